package page

import (
	"fmt"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/watchkv/watchkv/bench"
)

// mass is how many events had one value.
type mass struct {
	value float64 // ns
	count int64
}

// distribution is all values of one latency, ascending.
type distribution struct {
	masses []mass
	total  int64
}

// distributionOf puts the histograms of some runs together. Those that cannot
// be read are left out.
func distributionOf(runs []bench.Run, name string) distribution {
	at := map[float64]int64{}
	for _, run := range runs {
		h, ok := run.Histograms[name]
		if !ok {
			continue
		}
		if h.Signed {
			collect(at, h.Negative, -1)
			collect(at, h.Positive, 1)
			continue
		}
		collect(at, h.HDR, 1)
	}
	var d distribution
	for v, n := range at {
		d.masses = append(d.masses, mass{v, n})
		d.total += n
	}
	slices.SortFunc(d.masses, func(a, b mass) int {
		if a.value < b.value {
			return -1
		}
		return 1
	})
	if d.total <= 0 { // the counts of a file may be anything
		return distribution{}
	}
	return d
}

func collect(at map[float64]int64, text string, sign float64) {
	h, err := decode(text)
	if err != nil {
		return
	}
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			at[sign*float64(bar.To)] += bar.Count
		}
	}
}

// decode reads a histogram. What is in a file that somebody sent may be
// anything, and the decoder takes its lengths at their word.
func decode(text string) (h *hdrhistogram.Histogram, err error) {
	defer func() {
		if r := recover(); r != nil {
			h, err = nil, fmt.Errorf("page: decode histogram: %v", r)
		}
	}()
	if text == "" {
		return nil, fmt.Errorf("page: decode histogram: none")
	}
	h, err = hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("page: decode histogram: %w", err)
	}
	return h, nil
}

// quantile is the value at a share of 0 to 1; the distribution is not empty.
func (d distribution) quantile(q float64) float64 {
	rank := int64(q * float64(d.total))
	if float64(rank) < q*float64(d.total) || rank == 0 {
		rank++
	}
	var seen int64
	for _, m := range d.masses {
		if seen += m.count; seen >= rank {
			return m.value
		}
	}
	return d.masses[len(d.masses)-1].value
}

// below is the share of values at or under each of some values, ascending.
func (d distribution) below(values []float64) []float64 {
	shares := make([]float64, len(values))
	var seen int64
	i := 0
	for k, v := range values {
		for i < len(d.masses) && d.masses[i].value <= v {
			seen += d.masses[i].count
			i++
		}
		shares[k] = float64(seen) / float64(d.total)
	}
	return shares
}
