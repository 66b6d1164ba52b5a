package mvcc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// ExportInfo says what an Export hands out.
type ExportInfo struct {
	// Rev is the last revision in it.
	Rev int64
	// Scheduled and Finished are the compaction marks; 0: none. With
	// Scheduled above Finished records are among what is handed out that the
	// compaction has still to delete.
	Scheduled, Finished int64
	// GapEnd is the last revision that an unclean stop in Relaxed lost and no
	// compaction covers, at most Rev; 0: none. It has no record.
	GapEnd int64
}

// Entry is one entry of a space, as the engine holds it.
type Entry struct{ Key, Value []byte }

// Exporter takes what Export hands out. An error ends the export.
type Exporter interface {
	// Begin is called once, before all else.
	Begin(info ExportInfo) error
	// Entries takes the next entries of a space. Within a space they ascend by
	// key; spaces come one after the other: leases, alarms, then the records.
	// The slices are the store's again when it returns.
	Entries(space backend.Space, entries []Entry) error
}

const (
	// exportChunkLen and exportChunkBytes bound what one view serves, and so
	// the memory of an export.
	exportChunkLen   = 4096
	exportChunkBytes = 1 << 20
)

// Export hands out everything the store holds as of one revision, which is at
// least the current one: every record up to it, the leases and alarms of that
// moment, and the compaction marks. Every record's form is checked on the way.
// It is for copies in another form; the engine's own are Backuper's.
//
// Readers and writers go on, a compaction waits (Stats.ExportingFor tells).
// Records are read in short views, and no view is open while an Exporter has
// the word; memory is bounded by some MiB and the leases. Errors: ErrDamaged,
// ErrClosed, ctx.Err(), those of the Exporter and the engine's.
func (s *Store) Export(ctx context.Context, to Exporter) error {
	if err := s.takeToken(ctx); err != nil {
		return err
	}
	defer s.giveToken()
	s.counters.exporting.Store(max(int64(time.Since(s.counters.opened)), 1))
	defer s.counters.exporting.Store(0)
	visible := s.visible.Load()
	if s.owes(visible) {
		_ = s.flush(visible) // if writing has ended, what is durable goes out
	}
	x := &exporting{s: s, to: to}
	if err := x.run(ctx); err != nil {
		return fmt.Errorf("export: %w", damaged(s.engine, err))
	}
	return nil
}

type exporting struct {
	s    *Store
	to   Exporter
	info ExportInfo
	seen continuity

	entries []Entry
	arena   arena
	bytes   int
}

func (x *exporting) run(ctx context.Context) error {
	beside, err := x.begin(ctx)
	if err != nil {
		return err
	}
	if err := x.to.Begin(x.info); err != nil {
		return err
	}
	for _, space := range besideSpaces {
		if entries := beside[space]; len(entries) > 0 {
			if err := x.to.Entries(space, entries); err != nil {
				return err
			}
		}
	}
	for from, more := []byte(nil), true; more; {
		if from, more, err = x.chunk(ctx, from); err != nil {
			return err
		}
		if len(x.entries) > 0 {
			if err := x.to.Entries(backend.SpaceKey, x.entries); err != nil {
				return err
			}
		}
		runtime.Gosched()
	}
	if err := x.seen.reach(x.info.Rev); err != nil {
		return fmt.Errorf("space key: %w", err)
	}
	return nil
}

// besideSpaces are what belongs to a revision and has no history.
var besideSpaces = [...]backend.Space{backend.SpaceLease, backend.SpaceAlarm}

// begin opens the view that decides: its revision is the export's, and what
// stands beside history is taken from it.
func (x *exporting) begin(ctx context.Context) (beside map[backend.Space][]Entry, err error) {
	first := x.s.applied.Load() // before the view, which has all of it
	view, err := x.s.engine.View()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	meta, err := readMeta(view)
	if err != nil {
		return nil, err
	}
	x.info = ExportInfo{Rev: first, Scheduled: meta.scheduled, Finished: meta.finished}
	beside = map[backend.Space][]Entry{}
	for _, space := range besideSpaces {
		if beside[space], err = allEntries(ctx, view, space); err != nil {
			return nil, err
		}
	}
	if err := x.end(ctx, view, meta.intent); err != nil {
		return nil, err
	}
	for _, g := range *x.s.gaps.Load() {
		if g.ceiling > meta.compact() {
			x.info.GapEnd = min(g.ceiling, x.info.Rev)
		}
	}
	x.seen = x.s.continuityFrom(1)
	return beside, nil
}

// end moves Rev to the last whole revision in the view: a batch may have come
// between it and what was known before. What that batch wrote counts only if
// it became visible.
func (x *exporting) end(ctx context.Context, view backend.View, intent int64) error {
	first := x.info.Rev
	var bad error
	err := view.Scan(backend.SpaceKey, firstKeyOf(first+1), nil, func(key, _ []byte) bool {
		var kr KeyRev
		if kr, bad = parseRevKey(key); bad != nil || kr.Main == intent {
			return false
		}
		x.info.Rev = kr.Main
		return true
	})
	if err := errors.Join(bad, err); err != nil {
		return err
	}
	if err := x.s.Wait(ctx, x.info.Rev); errors.Is(err, ErrFailed) {
		x.info.Rev = first
	} else if err != nil {
		return err
	}
	return nil
}

// allEntries copies a space; none if the engine was opened without it.
func allEntries(ctx context.Context, view backend.View, space backend.Space) (entries []Entry, err error) {
	var a arena
	err = view.Scan(space, nil, nil, func(key, value []byte) bool {
		entries = append(entries, Entry{Key: a.copy(key), Value: a.copy(value)})
		return ctx.Err() == nil
	})
	if errors.Is(err, backend.ErrUnknownSpace) {
		return nil, nil
	}
	return entries, errors.Join(err, ctx.Err())
}

// chunk reads the next records in one view.
func (x *exporting) chunk(ctx context.Context, from []byte) (next []byte, more bool, err error) {
	if err := x.s.readable(ctx); err != nil {
		return nil, false, err
	}
	view, err := x.s.engine.View()
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	x.entries, x.arena, x.bytes = x.entries[:0], arena{}, 0
	var bad error
	err = x.s.scanRecords(view, from, firstKeyOf(x.info.Rev+1), func(key, value []byte) bool {
		if n := len(x.entries); n == exportChunkLen || n > 0 && x.bytes+len(value) > exportChunkBytes {
			next, more = append([]byte(nil), key...), true
			return false
		}
		if bad = x.check(key, value); bad != nil {
			return false
		}
		x.entries = append(x.entries, Entry{Key: x.arena.copy(key), Value: x.arena.copy(value)})
		x.bytes += len(key) + len(value)
		if len(x.entries)%scanYield == 0 {
			runtime.Gosched()
		}
		return true
	})
	return next, more, errors.Join(bad, err)
}

// check keeps damage from getting into a copy.
func (x *exporting) check(key, value []byte) error {
	r, name, err := restoreRecord(key, value)
	if err != nil {
		return err
	}
	if err := x.seen.add(r.kr); err != nil {
		return fmt.Errorf("space key: %w", err)
	}
	if _, err := eventOf(r.kr, value); err != nil {
		return fmt.Errorf("space key: key %q: %w", name, err)
	}
	return nil
}
