package versus

import (
	"math"
	"slices"
	"time"

	"github.com/watchkv/watchkv/peers/job"
)

// verdict is a line with its figures: medians, NaN where there is none.
type verdict struct {
	line
	ours, etcd     []float64 // in the order of the pairs
	own, peer      float64
	ratio          float64 // median of the pairs' ratios
	lowest, most   float64 // of them
	limitAt        float64
	cut            *sample // the peer's run, if it was cut
	musts, reaches outcome
}

// judge reads a line's figures from the runs of its measurement; nil runs are
// of a measurement that failed.
func judge(l line, r *runs) verdict {
	none := math.NaN()
	v := verdict{line: l, own: none, peer: none, ratio: none, lowest: none, most: none, limitAt: none}
	if r != nil {
		v.read(r)
	}
	v.musts = l.must.judge(l.less, v.own, v.ratio, v.limitAt)
	v.reaches = l.reach.judge(l.less, v.own, v.ratio, v.limitAt)
	return v
}

func (v *verdict) read(r *runs) {
	v.ours = v.figures(r.of(v.engine, v.mode))
	v.own = median(v.ours)
	if !v.alone {
		samples := r.of(job.Etcd, v.mode)
		v.etcd = v.figures(samples)
		v.peer = median(v.etcd)
		if len(samples) > 0 && samples[0].cut > 0 {
			v.cut = &samples[0]
		}
	}
	v.limitAt = v.limitOf(r)
	if ratios := v.ratios(); len(ratios) > 0 {
		v.ratio, v.lowest, v.most = median(ratios), slices.Min(ratios), slices.Max(ratios)
	}
}

// ratios of the pairs; a peer that ran once, because it was cut, stands
// against each.
func (v *verdict) ratios() (out []float64) {
	for i := range v.ours {
		if len(v.etcd) > 0 {
			if x := better(v.ours[i], v.etcd[min(i, len(v.etcd)-1)], v.less); !math.IsNaN(x) {
				out = append(out, x)
			}
		}
	}
	return out
}

func (l line) figures(samples []sample) (out []float64) {
	for _, s := range samples {
		if v, ok := l.figure(s.metrics); ok {
			out = append(out, v)
		}
	}
	return out
}

func (l line) limitOf(r *runs) float64 {
	if l.limit.job == bareJob {
		return median(l.figures(r.bare))
	}
	for _, side := range []string{l.engine, job.Bare} {
		if v, ok := r.limits[limitKey(l.limit.job, side, l.limit.name)]; ok {
			if l.limit.over > 0 {
				return l.limit.over / v * float64(time.Second)
			}
			return v
		}
	}
	return math.NaN()
}
