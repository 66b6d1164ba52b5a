package contract

import (
	"math"
	"slices"
	"time"

	"github.com/watchkv/watchkv/peers/job"
)

// verdict is one line of the table with its figures.
type verdict struct {
	line
	own, peer float64 // medians; NaN: not measured
	ratio     float64 // median of the pairs' ratios
	low, high float64 // smallest and largest of them
	limitAt   float64
	cut       time.Duration // of the peer
	done      float64
	must      outcome
	reach     outcome
}

// judge reads a line's figures from the runs of its measurement.
func judge(l line, r *runs) verdict {
	v := verdict{line: l, peer: math.NaN(), ratio: math.NaN(), low: math.NaN(), high: math.NaN()}
	own := figures(l, r.of(l.engine, l.heap))
	v.own = median(own)
	var peer []float64
	if !l.ownOnly {
		samples := r.of(job.Etcd, l.heap)
		peer = figures(l, samples)
		v.peer = median(peer)
		if len(samples) > 0 {
			v.cut, v.done = samples[0].cut, samples[0].done
		}
	}
	v.limitAt = l.limitOf(r)
	var ratios []float64
	for i := range own {
		if len(peer) > 0 {
			ratios = append(ratios, better(own[i], peer[min(i, len(peer)-1)], l.less))
		}
	}
	if len(ratios) > 0 {
		v.ratio, v.low, v.high = median(ratios), slices.Min(ratios), slices.Max(ratios)
	}
	v.must = l.must.outcome(l.less, v.own, v.ratio, v.limitAt)
	v.reach = l.reach.outcome(l.less, v.own, v.ratio, v.limitAt)
	return v
}

func (g goal) outcome(less bool, own, ratio, limit float64) outcome {
	if g.none() {
		return ""
	}
	return g.judge(less, own, ratio, limit)
}

func figures(l line, samples []sample) (out []float64) {
	for _, s := range samples {
		if v, ok := l.figure(s.metrics); ok {
			out = append(out, v)
		}
	}
	return out
}

// limitOf is the physical limit of the line's figure; 0: none.
func (l line) limitOf(r *runs) float64 {
	switch {
	case l.limit.job == "":
		return 0
	case l.limit.job == bareJob:
		if v := median(figures(l, r.bare)); !math.IsNaN(v) {
			return v
		}
		return 0
	}
	v := r.limits[limitKey(l.limit.job, l.engine, l.limit.name)]
	if v == 0 {
		v = r.limits[limitKey(l.limit.job, job.Bare, l.limit.name)]
	}
	if l.limit.per > 0 && v > 0 {
		return l.limit.per / v * float64(time.Second)
	}
	return v
}
