package server

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// WatchStats are figures of the watch streams. Counters only grow.
type WatchStats struct {
	Streams int64 // open now
	// ReceiveFailures and SendFailures count streams that ended by one. That
	// a client went away is none.
	ReceiveFailures, SendFailures int64
	// Sent tells how long it took to send one response of a watch that was
	// created: events, progress, its end by compaction; SentPerEvent divided by
	// the events there were; SentControl one that is Created, SentProgress a
	// periodic notification of progress. It is etcd's division, and includes
	// waiting for a client that is slow.
	Sent, SentPerEvent, SentControl, SentProgress Durations
}

// Durations is a histogram of durations.
type Durations struct {
	Count int64
	Sum   time.Duration
	// Within counts those of at most 1 ms << i, each in the first that holds it;
	// those that are longer are in Count alone.
	Within [14]int64
}

// WatchStats reads the figures of the watch streams.
func (s *Server) WatchStats() WatchStats {
	c := &s.watch.stats
	return WatchStats{
		Streams: c.open.Load(), ReceiveFailures: c.receiveFailures.Load(), SendFailures: c.sendFailures.Load(),
		Sent: c.events.read(), SentPerEvent: c.perEvent.read(), SentControl: c.control.read(), SentProgress: c.progress.read(),
	}
}

// watchCounters are the figures while they change.
type watchCounters struct {
	open                                atomic.Int64
	receiveFailures, sendFailures       atomic.Int64
	events, perEvent, control, progress durations
}

type durations struct {
	sum    atomic.Int64
	within [15]atomic.Int64 // the last is for what is longer
}

func (d *durations) add(took time.Duration) {
	d.sum.Add(int64(took))
	at := 0
	if took > time.Millisecond {
		at = min(bits.Len64(uint64((took-1)/time.Millisecond)), len(d.within)-1)
	}
	d.within[at].Add(1)
}

// addQuick adds n durations of at most a millisecond each.
func (d *durations) addQuick(n int64, sum time.Duration) {
	d.sum.Add(int64(sum))
	d.within[0].Add(n)
}

func (d *durations) read() Durations {
	out := Durations{Sum: time.Duration(d.sum.Load())}
	for i := range d.within {
		n := d.within[i].Load()
		out.Count += n
		if i < len(out.Within) {
			out.Within[i] = n
		}
	}
	return out
}
