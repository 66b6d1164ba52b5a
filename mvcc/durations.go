package mvcc

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Durations is a histogram of durations. Counters only grow.
type Durations struct {
	Count int64
	Sum   time.Duration
	// Within counts those of at most Base << i, each in the first that holds
	// it; those that are longer are in Count alone.
	Base   time.Duration
	Within [14]int64
}

// durations is one while it changes.
type durations struct {
	sum    atomic.Int64
	within [15]atomic.Int64 // the last is for what is longer
}

func (d *durations) add(took, base time.Duration) {
	d.sum.Add(int64(took))
	at := 0
	if took > base {
		at = min(bits.Len64(uint64((took-1)/base)), len(d.within)-1)
	}
	d.within[at].Add(1)
}

func (d *durations) read(base time.Duration) Durations {
	out := Durations{Base: base, Sum: time.Duration(d.sum.Load())}
	for i := range d.within {
		n := d.within[i].Load()
		out.Count += n
		if i < len(out.Within) {
			out.Within[i] = n
		}
	}
	return out
}
