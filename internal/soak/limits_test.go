package soak

import (
	"fmt"
	"runtime"
	"runtime/metrics"

	"go.uber.org/goleak"
)

const (
	// historyBytes is what the checker's history takes: 40 bytes for each
	// event of its window and of the chunk it is filling, as much as 8 more
	// for each range that holds the event (lists double as they grow), and a
	// little for each key. Half of all events lie in about a dozen ranges.
	historyBytes = (historyWindow + 4096) * (40 + 12*8)
	// watchBytes is a checked watch that waits to be resumed: itself, its
	// record of 80-byte lines, its request, and what its policy remembers of
	// the keys.
	watchBytes = 700 + 8*80 + 200 + 2*48*keyCount
	// heapSlack is what the runtime, the test and the engines' libraries keep
	// for good once they were used: pools, tables made at first use, and one
	// memtable of 32 MiB that pebble lets go late. What leaks in each life
	// passes any slack in time.
	heapSlack = 24<<20 + 32<<20
)

// limits is what a soak may leave behind: nothing, but for known slack.
type limits struct {
	heap   int64 // live bytes before the first world
	ignore goleak.Option
}

func startLimits() *limits {
	return &limits{heap: liveHeap(), ignore: goleak.IgnoreCurrent()}
}

// betweenLives is asked with the store closed: goroutines are gone, and of
// memory there is only what the checker knows, and mem's data.
func (l *limits) betweenLives(w *world) (above int64, err error) {
	if err := goleak.Find(l.ignore); err != nil {
		return 0, err
	}
	above = liveHeap() - l.heap
	bound := int64(historyBytes + heapSlack + w.resumable()*watchBytes)
	if w.engine != nil { // mem stays open
		bound += w.engine.Stats().DiskBytes
	}
	if above > bound {
		return above, fmt.Errorf("life %d left %d KiB of heap more than there was at the start, at most %d KiB are accounted for", w.lives, above>>10, bound>>10)
	}
	return above, nil
}

// nothingLeft is asked when a world is over.
func (l *limits) nothingLeft() error {
	if err := goleak.Find(l.ignore); err != nil {
		return err
	}
	if above := liveHeap() - l.heap; above > heapSlack {
		return fmt.Errorf("%d KiB of heap more than at the start, at most %d KiB are accounted for", above>>10, heapSlack>>10)
	}
	return nil
}

// liveHeap is the bytes of reachable objects. Finalizers and pools need a
// second collection.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
