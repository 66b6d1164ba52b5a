package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

var bigDeleteFlag = flag.Int("faults.bigdelete", 5_000, "keys that one transaction deletes in the tests of large revisions")

// bigConfig tells a child of role "bigdelete" what to do: it deletes all keys
// below d/ in one transaction, beside a watch of everything, and holds still
// at a point of that until it is killed.
type bigConfig struct {
	childConfig
	// BatchBytes is the largest batch its store believes the engine to take,
	// so that every engine's revision is written in parts; 0: the engine's own.
	BatchBytes int64
	Keys       int
	Hold       holdPoint
}

// holdPoint is a moment of the delete.
type holdPoint string

const (
	holdNowhere     holdPoint = ""
	holdBeforeFirst holdPoint = "before the first part"
	holdAfterFirst  holdPoint = "after the first part"
	holdAfterSecond holdPoint = "after the second part"
	holdBeforeLast  holdPoint = "before the last part"
	holdAfterLast   holdPoint = "after the last part"
)

var _ = addRole("bigdelete", runBigDelete)

// smallBatches is an engine that claims to take small batches only.
type smallBatches struct {
	backend.Engine
	bytes int64
}

func (e smallBatches) Stats() backend.Stats {
	s := e.Engine.Stats()
	if e.bytes > 0 {
		s.MaxBatchBytes = e.bytes
	}
	return s
}

// partsEngine tells of each part of the revision and holds where it is told.
type partsEngine struct {
	backend.Engine
	out   *reporter
	hold  holdPoint
	keys  int
	parts int
}

func (e *partsEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	first, last := whichPart(b, e.keys)
	if e.parts == 0 && !first {
		return e.Engine.Apply(b, s)
	}
	e.parts++
	e.holdAt(first && e.hold == holdBeforeFirst || last && e.hold == holdBeforeLast)
	e.out.say("apply %d %d", e.parts, b.Len())
	err := e.Engine.Apply(b, s)
	e.out.say("applied %d", e.parts)
	e.holdAt(first && e.hold == holdAfterFirst || e.parts == 2 && e.hold == holdAfterSecond || last && e.hold == holdAfterLast)
	if last {
		e.parts = 0
	}
	return err
}

func (e *partsEngine) holdAt(here bool) {
	if here {
		e.out.say("note %q", "holding")
		select {} // until it is killed
	}
}

// whichPart tells by the intent, or by the size of what needs none.
func whichPart(b *backend.Batch, keys int) (first, last bool) {
	records := 0
	for _, op := range b.Ops() {
		if op.Space == backend.SpaceKey {
			records++
		} else if string(op.Key) == "watchkv_intent" {
			first, last = op.Kind == backend.OpPut, op.Kind == backend.OpDelete
		}
	}
	if records >= keys {
		return true, true
	}
	return first, last
}

func runBigDelete(raw []byte) error {
	var c bigConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	out := newReporter()
	engine, err := c.openEngine()
	if err != nil {
		return err
	}
	parts := &partsEngine{Engine: smallBatches{engine, c.BatchBytes}, out: out, hold: c.Hold, keys: c.Keys}
	store, err := mvcc.Open(parts, c.storeConfig())
	if err != nil {
		return err
	}
	hub, err := watch.NewHub(store, watch.Config{})
	if err != nil {
		return err
	}
	stream, err := hub.NewStream("everything")
	if err != nil {
		return err
	}
	if _, err := stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}}); err != nil {
		return err
	}
	go func() {
		for {
			responses, err := stream.Recv(context.Background())
			if err != nil {
				return
			}
			for _, r := range responses {
				if len(r.Events) > 0 {
					out.say("saw %q %d %d 0", "0.1", r.Events[0].KV.ModRevision, len(r.Events))
				}
			}
		}
	}()
	out.say("opened %d %d", store.Rev(), store.CompactRev())
	out.say("try 0 0")
	res, err := store.DeleteRange(context.Background(), []byte("d/"), []byte("d0"))
	if err != nil {
		return err
	}
	out.say("ack 0 0 %d", res.Rev)
	io.Copy(io.Discard, os.Stdin)
	return errors.Join(hub.Close(), store.Close(), engine.Close())
}

// fillBig puts all keys below d/ that are missing, and answers the revision.
func fillBig(t *testing.T, s *mvcc.Store, keys int) int64 {
	ctx := context.Background()
	for i := 0; i < keys; {
		_, err := s.Update(ctx, func(tx *mvcc.WriteTx) error {
			for n := 0; n < 10_000 && i < keys; n++ {
				if err := tx.Put(fmt.Appendf(nil, "d/%07d", i), []byte("value"), 0); err != nil {
					return err
				}
				i++
			}
			return nil
		})
		require.NoError(t, err)
	}
	return s.Rev()
}

// bigRun is the rounds of kills on one engine's data.
type bigRun struct {
	bigConfig
	before int64 // revision before the delete that is killed
	random *rand.Rand
}

// R1, G4, E1: a delete of very many keys in one transaction that is killed in
// the middle is there as a whole or not at all.
func TestBigDelete_Killed(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		b := newBigRun(t, d, 0)
		t.Run("parts", func(t *testing.T) {
			b.BatchBytes = int64(b.Keys) * 12 // about five parts
			for _, hold := range []holdPoint{holdBeforeFirst, holdAfterFirst, holdAfterSecond, holdBeforeLast, holdNowhere, holdAfterLast} {
				b.round(t, hold)
			}
		})
		t.Run("as the engine has it", func(t *testing.T) {
			b.BatchBytes = 0
			for _, hold := range []holdPoint{holdBeforeFirst, holdNowhere, holdAfterLast} {
				b.round(t, hold)
			}
		})
	})
}

// R1: the same in Relaxed, where it is acknowledged before it is durable.
func TestBigDelete_KilledInRelaxed(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		b := newBigRun(t, d, 20*time.Millisecond)
		b.BatchBytes = int64(b.Keys) * 12
		for _, hold := range []holdPoint{holdAfterFirst, holdBeforeLast, holdAfterLast} {
			b.round(t, hold)
		}
	})
}

func newBigRun(t *testing.T, d backend.Driver, relaxed time.Duration) *bigRun {
	c := childConfig{Role: "bigdelete", Engine: d.Name, Dir: t.TempDir(), Relaxed: relaxed, RecentBytes: 1}
	return &bigRun{bigConfig: bigConfig{childConfig: c, Keys: *bigDeleteFlag}, random: rand.New(rand.NewPCG(*seedFlag, 6))}
}

// round fills, deletes in a child that is killed at a moment, and looks.
func (b *bigRun) round(t *testing.T, hold holdPoint) {
	start := time.Now()
	b.fill(t)
	filled := time.Since(start)
	b.Hold = hold
	rep, at := b.killed(t)
	deleted := time.Since(start) - filled
	whole := b.look(t, rep, hold)
	t.Logf("%q: killed %s, deleted: %v; filling took %v, until the kill %v, looking %v",
		hold, at, whole, filled.Round(time.Millisecond), deleted.Round(time.Millisecond), (time.Since(start) - filled - deleted).Round(time.Millisecond))
}

// with opens the data for a moment.
func (b *bigRun) with(t *testing.T, do func(e backend.Engine, s *mvcc.Store)) {
	engine, err := b.openEngine()
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	store, err := mvcc.Open(engine, b.storeConfig())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	do(engine, store)
}

func (b *bigRun) fill(t *testing.T) {
	b.with(t, func(_ backend.Engine, s *mvcc.Store) {
		if countBig(t, s) == 0 {
			fillBig(t, s, b.Keys)
		}
		b.before = s.Rev()
	})
}

func countBig(t *testing.T, s *mvcc.Store) int64 {
	res, err := s.Range([]byte("d/"), []byte("d0"), mvcc.RangeOptions{CountOnly: true})
	require.NoError(t, err)
	return res.Count
}

// killed runs the child up to the moment and kills it; at says when that was.
func (b *bigRun) killed(t *testing.T) (rep *report, at string) {
	c := startChild(t, b.bigConfig, 0)
	moment := c.expect(func(f fact) bool { return f.Word == "note" && f.text(0) == "holding" })
	if b.Hold == holdNowhere {
		part := 1 + b.random.IntN(3)
		moment = c.expect(func(f fact) bool {
			return f.Word == "apply" && f.num(0) >= int64(part) || f.Word == "ack" && b.Relaxed == 0
		})
	}
	f, ok := c.await(t, moment)
	require.True(t, ok, "%v", c)
	if b.Hold == holdNowhere {
		// A part of 200,000 records takes a tenth of a second and more.
		c.after(time.Duration(b.random.IntN(b.Keys/4)) * time.Microsecond)
	}
	c.kill()
	rep = c.killed(t)
	require.Empty(t, rep.failed)
	return rep, fmt.Sprintf("after %d parts, at %v", len(rep.applies), f.Args)
}

// look opens what is left: the delete is whole or nowhere, for readers, for
// watches and in the engine; its intent is gone; writes go on.
func (b *bigRun) look(t *testing.T, rep *report, hold holdPoint) (whole bool) {
	b.with(t, func(e backend.Engine, s *mvcc.Store) {
		count := countBig(t, s)
		whole = count == 0
		if !whole {
			require.EqualValues(t, b.Keys, count, "a part of the delete is there")
		}
		switch hold {
		case holdAfterLast:
			require.True(t, whole, "every part was durable")
		case holdNowhere:
		default:
			require.False(t, whole, "not every part was written")
		}
		if b.Relaxed == 0 && (len(rep.acks) > 0 || len(rep.watches) > 0) {
			require.True(t, whole, "it was shown and is gone")
		}
		for _, w := range rep.watches {
			require.Equal(t, []sighting{{b.before + 1, b.Keys, 0}}, w.saw)
		}
		marks, err := readMarks(e)
		require.NoError(t, err)
		require.Zero(t, marks.intent)
		records := recordsAbove(t, e, b.before)
		if whole {
			require.Equal(t, map[int64]int{b.before + 1: b.Keys}, records)
		} else {
			require.Empty(t, records)
		}
		b.replay(t, s, whole)
		top := max(s.Rev(), rep.seen)
		rev, err := s.Put(context.Background(), []byte("again"), nil)
		require.NoError(t, err)
		require.Greater(t, rev, top)
	})
	return whole
}

// recordsAbove counts the engine's records above a revision, by revision.
func recordsAbove(t *testing.T, e backend.Engine, rev int64) map[int64]int {
	view, err := e.View()
	require.NoError(t, err)
	got := map[int64]int{}
	err = view.Scan(backend.SpaceKey, revKey(rev+1), nil, func(key, _ []byte) bool {
		got[int64(binary.BigEndian.Uint64(key))]++
		return true
	})
	require.NoError(t, errors.Join(err, view.Close()))
	return got
}

// replay watches from before the delete: it comes as one revision in one
// response, or not at all.
func (b *bigRun) replay(t *testing.T, s *mvcc.Store, whole bool) {
	hub, err := watch.NewHub(s, watch.Config{})
	require.NoError(t, err)
	defer hub.Close()
	stream, err := hub.NewStream("replay")
	require.NoError(t, err)
	_, err = stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: b.before})
	require.NoError(t, err)
	responses, err := untilSettled(stream)
	require.NoError(t, err)
	var got [][]mvcc.Event
	for _, r := range responses {
		above := slices.IndexFunc(r.Events, func(e mvcc.Event) bool { return e.KV.ModRevision > b.before })
		if above >= 0 {
			got = append(got, r.Events[above:])
		}
	}
	if !whole {
		require.Empty(t, got)
		return
	}
	require.Len(t, got, 1, "one response")
	require.Len(t, got[0], b.Keys)
	for i, e := range got[0] {
		if e.Type != mvcc.EventDelete || e.KV.ModRevision != b.before+1 || !bytes.Equal(e.KV.Key, fmt.Appendf(nil, "d/%07d", i)) {
			require.FailNow(t, "not the delete", "event %d is %v", i, e)
		}
	}
}

// untilSettled takes the event responses of a stream whose watches begin at or
// below what is written.
func untilSettled(stream *watch.Stream) (events []watch.Response, err error) {
	if err := stream.RequestProgress(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return events, err
		}
		for _, r := range responses {
			switch {
			case r.Progress():
				return events, nil
			case r.Canceled:
				return events, r.Err
			case len(r.Events) > 0:
				events = append(events, r)
			}
		}
	}
}
