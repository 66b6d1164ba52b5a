// Package figure writes and reads the numbers people see: three significant
// digits, the unit chosen by the value, decimal prefixes for rates and binary
// ones for memory and files.
package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration writes a time with three significant digits in ns, µs, ms or s. A
// negative one keeps its sign; zero is "0".
func Duration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	if d < 0 {
		return "-" + Duration(-max(d, -math.MaxInt64))
	}
	units := []struct {
		size float64
		name string
	}{{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}}
	for i, u := range units {
		text := digits(float64(d) / u.size)
		// 999.6 µs rounds to 1000 µs, which is 1.00 ms.
		if i+1 < len(units) && float64(d)/u.size >= 999.5 {
			continue
		}
		if u.size == 1 {
			text = strconv.FormatInt(int64(d), 10)
		}
		return text + " " + u.name
	}
	return ""
}

// Short writes a planned time as short as it can: "45 s", "2 min", "500 ms".
func Short(d time.Duration) string {
	switch {
	case d >= 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d >= time.Second && d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return Duration(d)
}

// Count writes how many there are of something: whole with commas below one
// million, with three digits and a prefix from there on.
func Count(n int64) string {
	if n < 0 {
		return "-" + Count(-max(n, -math.MaxInt64))
	}
	if n >= 1e6 {
		return prefixed(float64(n))
	}
	return commas(n)
}

// Rate writes a number per second: plain up to 10,000, with k, M or G above.
func Rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 99.95:
		return digits(v)
	case v < 9_999.5:
		return commas(int64(math.Round(v)))
	}
	return prefixed(v)
}

// Plain writes a number with three significant digits and commas.
func Plain(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.01:
		return "<0.01"
	case v < 0.995:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case v < 999.5:
		return digits(v)
	}
	scale := math.Pow(10, math.Floor(math.Log10(v))-2)
	return commas(int64(math.Round(v/scale) * scale))
}

// Bytes writes an amount of memory or disk in B, KiB, MiB or GiB.
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-max(n, -math.MaxInt64))
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1024, u
	}
	return digits(v) + " " + unit
}

// ShortBytes writes a planned size as short as it can: "256 B", "4 KiB".
func ShortBytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	return Bytes(n)
}

// Percent writes a share of one: "8%", "2.1%", "<0.1%".
func Percent(ratio float64) string {
	p := ratio * 100
	switch {
	case p == 0:
		return "0%"
	case p < 0.1:
		return "<0.1%"
	case p < 9.95 && math.Abs(p-math.Round(p)) > 0.05:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

// digits writes a value below 1000 with three significant digits.
func digits(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func prefixed(v float64) string {
	for _, u := range []string{"", "k", "M"} {
		if v < 999.5 {
			return digits(v) + u
		}
		v /= 1000
	}
	return digits(v) + "G"
}

func commas(n int64) string {
	s := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
