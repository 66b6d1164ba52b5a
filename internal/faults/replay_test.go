package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// watches: what watches saw before the crash is in history, each revision once
// and whole, none between them passed over; and new watches replay the same
// from any revision that is not compacted (G1 to G5, G7).
func (h *holding) watches() error {
	spans := []mvcc.Span{mvcc.SpanOf([]byte("k"), []byte("l"))}
	for _, r := range h.reports {
		for name, w := range r.watches {
			if err := h.sawAll(w); err != nil {
				return fmt.Errorf("watch %s from %d of %q: %w", name, w.start, w.span, err)
			}
			spans = append(spans, w.span)
		}
	}
	return h.replay(spans)
}

// expected is what a watch gets of the known commits from start to end.
func (l *ledger) expected(span mvcc.Span, start, end int64) []sighting {
	var out []sighting
	from, _ := slices.BinarySearchFunc(l.commits, start, func(c committed, rev int64) int { return int(c.rev - rev) })
	for _, c := range l.commits[from:] {
		if c.rev > end {
			break
		}
		var matching []effect
		for _, e := range c.effects {
			if span.Contains([]byte(e.key)) {
				matching = append(matching, e)
			}
		}
		if len(matching) > 0 {
			out = append(out, sighting{c.rev, len(matching), digest(matching)})
		}
	}
	return out
}

// sawAll holds what a watch of a child got against history, as far as that is
// still there. What Relaxed lost is not compared.
func (h *holding) sawAll(w *watched) error {
	if err := h.toldRightly(w); err != nil || len(w.saw) == 0 {
		return err
	}
	from := max(w.start, h.compact, 1)
	there := slices.DeleteFunc(slices.Clone(w.saw), func(s sighting) bool { return s.rev < from || s.rev > h.rev })
	last := min(w.saw[len(w.saw)-1].rev, h.rev)
	want := h.expected(w.span, from, last)
	for i := range max(len(want), len(there)) {
		switch {
		case i >= len(there):
			return fmt.Errorf("G3: revision %d matches and never came", want[i].rev)
		case i >= len(want) || there[i].rev < want[i].rev:
			return fmt.Errorf("G7: it saw revision %d, which is not in history, or saw it twice", there[i].rev)
		case there[i].rev > want[i].rev:
			return fmt.Errorf("G3: revision %d matches and never came, %d did", want[i].rev, there[i].rev)
		case there[i] != want[i]:
			return fmt.Errorf("G7: of revision %d it saw %d events (%x), there are %d (%x)", want[i].rev, there[i].n, there[i].digest, want[i].n, want[i].digest)
		}
	}
	return nil
}

// toldRightly: nobody is told of a compaction that nobody asked for.
func (h *holding) toldRightly(w *watched) error {
	for _, g := range h.gaps {
		if w.told == g.ceiling+1 {
			return nil
		}
	}
	if w.told > max(h.asked, h.store.CompactRev()) {
		return fmt.Errorf("C11: told that history begins at %d, nobody asked for more than %d", w.told, h.asked)
	}
	return nil
}

// replay watches the spans from the compact revision, from the revisions on
// both sides of each gap and from random ones, and compares with the ledger.
func (h *holding) replay(spans []mvcc.Span) error {
	hub, err := watch.NewHub(h.store, watch.Config{})
	if err != nil {
		return err
	}
	defer hub.Close()
	stream, err := hub.NewStream("replay")
	if err != nil {
		return err
	}
	defer stream.Close()
	r := rand.New(rand.NewPCG(uint64(h.store.Rev()), uint64(len(h.commits))))
	first, last := max(h.store.CompactRev(), 1), h.rev
	starts := []int64{first, last, last + 1}
	for _, g := range h.gaps {
		starts = append(starts, g.tail, g.tail+1)
	}
	for range 6 {
		starts = append(starts, first+r.Int64N(last-first+1))
	}
	replays := map[int64]*replayed{}
	for i, start := range starts {
		if start < first || start > h.store.Rev() || h.store.CheckStart(start) != nil {
			continue
		}
		span := spans[0]
		if i > 4 {
			span = spans[r.IntN(len(spans))]
		}
		id, err := stream.Watch(watch.Request{Key: span.Lo, End: endOf(span), StartRevision: start})
		if err != nil {
			return fmt.Errorf("watch from %d: %w", start, err)
		}
		replays[id] = &replayed{start: start, span: span}
	}
	if err := h.receive(stream, replays); err != nil {
		return err
	}
	for _, w := range replays {
		if want := h.expected(w.span, w.start, last); !slices.Equal(want, w.saw) {
			return fmt.Errorf("G5: a watch of %q from %d got %d revisions, want %d, or they differ", w.span, w.start, len(w.saw), len(want))
		}
	}
	return nil
}

// endOf writes a span's end as a watch request has it.
func endOf(s mvcc.Span) []byte {
	if s.Hi == nil {
		return []byte{0}
	}
	return s.Hi
}

// replayed is a watch made after a crash.
type replayed struct {
	start int64
	span  mvcc.Span
	saw   []sighting
}

// receive takes everything up to the answer that says that it is all.
func (h *holding) receive(stream *watch.Stream, replays map[int64]*replayed) error {
	if err := stream.RequestProgress(); err != nil {
		return err
	}
	for {
		responses, err := stream.Recv(h.ctx)
		if err != nil {
			return fmt.Errorf("G5: watches replay no further: %w", err)
		}
		for i := range responses {
			r := &responses[i]
			switch {
			case r.WatchID == watch.NoWatch && r.Progress():
				return nil
			case r.Canceled:
				return fmt.Errorf("G5: a watch from %d was ended: %w", replays[r.WatchID].start, r.Err)
			}
			w := replays[r.WatchID]
			w.saw = append(w.saw, sightings(r.Events)...)
		}
	}
}

// lostInTime: what is gone was in no batch that was complete, and was
// acknowledged within one interval before the last sign of life, and the time
// that batches took meanwhile.
//
// For a flush begins before the oldest that waits is one interval old, unless
// another batch is being written, and takes everything with it. So of the time
// since the acknowledgement all but one interval was spent in batches or is
// the machine's, which wakes timers late: that is measured in the child.
//
// A batch that failed is the end: nothing is acknowledged from then on.
func (r *report) lostInTime(lost []ack, interval time.Duration) error {
	last := r.last
	for _, b := range r.applies {
		if b.err != "" {
			last = min(last, b.end)
		}
	}
	for _, a := range lost {
		if a.id.Seed != r.seed {
			continue
		}
		inBatches := time.Duration(0)
		for n, b := range r.applies {
			end := b.end
			if end == 0 {
				end = last
			}
			inBatches += max(end-max(b.begin, a.at), 0)
			if b.end > 0 && b.err == "" && b.rev >= a.rev {
				return fmt.Errorf("R1: operation %v is gone, but batch %d with its revision %d was complete", a.id, n, a.rev)
			}
		}
		slack := 2*r.late + 100*time.Millisecond
		if age := last - a.at; age > interval+inBatches+slack {
			return fmt.Errorf("R1: operation %v is gone, acknowledged %v before the end; interval %v, batches took %v, timers were late by %v",
				a.id, age, interval, inBatches, r.late)
		}
	}
	return nil
}
