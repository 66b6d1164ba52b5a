package page

import "math"

// axis places values between 0 and 1 and has labels for some of them.
type axis struct {
	at    func(v float64) float64
	value func(place float64) float64 // the reverse; of the signed axis alone
	ticks []tick
}

// tick is a labelled place of an axis.
type tick struct {
	At    float64 // 0 to 1
	Text  string
	Phone bool // has room on a phone too
}

// Widths in CSS pixels that labels must fit: of a plot in the 960 px column,
// and of one on the smallest phones, of 320 px.
const (
	deskWidth  = 830
	phoneWidth = 225
	deskTall   = 300
	charWidth  = 7.2 // of the labels' font, on average
	labelGap   = 10
	lineTall   = 17
)

// across keeps the labels of a horizontal axis that stand apart, the ends
// first, and says which of them do on a phone.
func across(ticks []tick) []tick {
	return apart(apart(ticks, deskWidth, false), phoneWidth, true)
}

// apart goes through the labels, the last, the first, then the others from
// the left. Those without room are left out, or marked when only marking.
func apart(ticks []tick, width float64, mark bool) []tick {
	order := make([]int, 0, len(ticks))
	if n := len(ticks); n > 0 {
		order = append(order, n-1)
		for i := range n - 1 {
			order = append(order, i)
		}
	}
	kept := make([]bool, len(ticks))
	half := func(t tick) float64 { return float64(len([]rune(t.Text))) * charWidth / 2 }
	for _, i := range order {
		room := true
		for j, other := range ticks {
			if kept[j] && math.Abs(other.At-ticks[i].At)*width < half(other)+half(ticks[i])+labelGap {
				room = false
			}
		}
		kept[i] = room
	}
	var out []tick
	for i, t := range ticks {
		if mark {
			t.Phone = kept[i]
			out = append(out, t)
		} else if kept[i] {
			out = append(out, t)
		}
	}
	return out
}

// upright keeps as many labels of a vertical axis of a height as have room.
func upright(ticks []tick, height float64) []tick {
	for step := 1; ; step++ {
		var out []tick
		for i := 0; i < len(ticks); i += step {
			t := ticks[i]
			t.Phone = true
			out = append(out, t)
		}
		if len(out) < 2 || math.Abs(out[1].At-out[0].At)*height >= lineTall {
			return out
		}
	}
}

// What axes can show; values beyond stand at their ends. No figure of ours
// comes near, but a file may say anything.
const (
	smallest    = 1e-9
	largest     = 1e18
	largestSpan = 1e15
)

// logarithmic is an axis from a round number at or below lo to one at or above
// hi.
func logarithmic(lo, hi float64, text func(float64) string) axis {
	hi = math.Min(math.Max(hi, smallest), largest)
	lo = math.Min(math.Max(lo, math.Max(smallest, hi/largestSpan)), hi)
	steps := []float64{1, 10}
	if hi/lo < 50 {
		steps = []float64{1, 2, 5, 10}
	}
	round := func(v float64, up bool) float64 {
		decade := math.Pow(10, math.Floor(math.Log10(v)))
		best := decade
		for _, s := range steps {
			switch {
			case up && s*decade >= v*(1-1e-9):
				return s * decade
			case !up && s*decade <= v*(1+1e-9):
				best = s * decade
			}
		}
		return best
	}
	from, to := round(lo, false), round(hi, true)
	if from == to {
		to = round(from*1.5, true)
	}
	a := axis{at: func(v float64) float64 {
		return clamp(math.Log(v/from) / math.Log(to/from))
	}}
	for decade := math.Pow(10, math.Floor(math.Log10(from)+1e-9)); decade <= to*(1+1e-9); decade *= 10 {
		for _, s := range steps[:len(steps)-1] {
			if v := s * decade; v >= from*(1-1e-9) && v <= to*(1+1e-9) {
				a.ticks = append(a.ticks, tick{At: a.at(v), Text: text(v)})
			}
		}
	}
	return a
}

// linear is an axis from 0 to a round number at or above hi.
func linear(hi float64, parts int, text func(float64) string) axis {
	if hi = math.Min(hi, largest); !(hi >= smallest) {
		hi = 1
	}
	step := hi / float64(parts)
	decade := math.Pow(10, math.Floor(math.Log10(step)))
	for _, s := range []float64{1, 2, 5, 10} {
		if s*decade >= step*(1-1e-9) {
			step = s * decade
			break
		}
	}
	n := math.Ceil(hi/step - 1e-9)
	to := n * step
	a := axis{at: func(v float64) float64 { return clamp(v / to) }}
	for i := 0.0; i <= n; i++ {
		a.ticks = append(a.ticks, tick{At: i / n, Text: text(i * step)})
	}
	return a
}

// seconds is an axis of exactly 0 to hi seconds.
func seconds(hi float64) axis {
	hi = math.Min(math.Max(hi, smallest), largest)
	whole := linear(hi, 6, func(v float64) string { return tickTime(v * 1e9) })
	a := axis{at: func(v float64) float64 { return clamp(v / hi) }}
	for i, t := range whole.ticks {
		v := float64(i) / float64(len(whole.ticks)-1) * (hi / whole.at(hi))
		if v <= hi*(1+1e-9) {
			a.ticks = append(a.ticks, tick{At: a.at(v), Text: t.Text})
		}
	}
	if len(a.ticks) > 0 {
		a.ticks[0].Text = "0 s"
	}
	a.ticks = across(a.ticks)
	return a
}

// percentiles is an axis over shares of samples events, by log(1/(1-q)): each
// further nine takes the same width. Its end is the maximum.
func percentiles(samples int64) axis {
	end := math.Log10(math.Max(10, float64(samples)))
	a := axis{at: func(q float64) float64 {
		if q >= 1 {
			return 1
		}
		return clamp(-math.Log10(1-q) / end)
	}}
	for _, q := range []struct {
		at   float64
		text string
	}{{0, "0%"}, {0.5, "p50"}, {0.9, "p90"}, {0.99, "p99"}, {0.999, "p99.9"}, {0.9999, "p99.99"}, {0.99999, "p99.999"}, {1, "max"}} {
		if q.at == 1 || a.at(q.at) < 0.999 {
			a.ticks = append(a.ticks, tick{At: a.at(q.at), Text: q.text})
		}
	}
	a.ticks = across(a.ticks)
	return a
}

// signedUnit is where the signed axis turns from linear to logarithmic.
const signedUnit = 1e3 // ns

// signed is a time axis on both sides of zero: linear within 1 µs of it,
// logarithmic beyond.
func signed(lo, hi float64) axis {
	grade := func(v float64) float64 { return math.Copysign(math.Log10(1+math.Abs(v)/signedUnit), v) }
	from, to := signedEnd(math.Max(0, -lo)), signedEnd(math.Max(0, hi))
	left, width := grade(-from), grade(to)-grade(-from)
	a := axis{
		at: func(v float64) float64 { return clamp((grade(v) - left) / width) },
		value: func(place float64) float64 {
			g := left + place*width
			return math.Copysign((math.Pow(10, math.Abs(g))-1)*signedUnit, g)
		},
	}
	var below []tick
	for v := 1e4; v <= from*(1+1e-9); v *= 10 {
		below = append([]tick{{At: a.at(-v), Text: "−" + tickTime(v)}}, below...)
	}
	a.ticks = append(below, tick{At: a.at(0), Text: "0"})
	for v := 1e4; v <= to*(1+1e-9); v *= 10 {
		a.ticks = append(a.ticks, tick{At: a.at(v), Text: tickTime(v)})
	}
	a.ticks = across(a.ticks)
	return a
}

// signedEnd is the decade at or above v, at least 10 µs.
func signedEnd(v float64) float64 {
	end := 1e4
	for end < v*(1-1e-9) && end < 1e13 {
		end *= 10
	}
	return end
}

func clamp(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return math.Min(1, math.Max(0, v))
}
