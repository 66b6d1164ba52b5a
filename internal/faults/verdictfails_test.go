package faults

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// scene is what a killed child left: its data and what it told.
type scene struct {
	childConfig
	*report
}

// killedScene runs a child until it has acknowledged enough and kills it.
func killedScene(t *testing.T, relaxed time.Duration, enough func(fact) bool) scene {
	c := childConfig{Engine: "bolt", Dir: t.TempDir(), Relaxed: relaxed, Seed: *seedFlag, Writers: 4, CompactEvery: 1000, Streams: 3}
	w := startWorker(t, c)
	_, ok := w.await(t, w.expect(enough))
	require.True(t, ok, "%v", w)
	w.kill()
	return scene{c, w.killed(t)}
}

// enoughAfterCompaction waits for a compaction, and for writes and a watch
// that saw some of them after it.
func enoughAfterCompaction() func(fact) bool {
	compact, compacted, acks, saw := int64(0), int64(-1), 0, map[string]int{}
	return func(f fact) bool {
		switch f.Word {
		case "compact":
			compact, acks = f.num(0), 0
			clear(saw)
		case "compacted":
			compacted = f.num(0)
		case "ack":
			acks++
		case "saw":
			if f.num(1) > compact+60 {
				saw[f.text(0)]++
			}
		}
		return compacted == compact && acks > 100 && saw[f.text(0)] > 5
	}
}

// copied is the scene in a directory of its own, with a report of its own.
func (s scene) copied(t *testing.T) scene {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(s.Dir)))
	s.Dir = dir
	r := *s.report
	r.acks = slices.Clone(r.acks)
	r.open, r.applies = maps.Clone(r.open), maps.Clone(r.applies)
	r.watches = map[string]*watched{}
	for name, w := range s.watches {
		other := *w
		other.saw = slices.Clone(w.saw)
		r.watches[name] = &other
	}
	s.report = &r
	return s
}

// held is what a new ledger says of the scene.
func (s scene) held() error {
	l := newLedger(s.childConfig)
	if err := l.learn(s.report); err != nil {
		return err
	}
	return l.hold(s.childConfig)
}

// engine changes the data behind the store's back.
func (s scene) engine(t *testing.T, change func(v backend.View, b *backend.Batch)) {
	e, err := s.openEngine()
	require.NoError(t, err)
	v, err := e.View()
	require.NoError(t, err)
	var b backend.Batch
	change(v, &b)
	require.NoError(t, v.Close())
	require.NotZero(t, b.Len(), "nothing to change")
	require.NoError(t, e.Apply(&b, backend.Sync))
	require.NoError(t, e.Close())
}

// records visits the records from a revision on until visit answers false.
func records(t *testing.T, v backend.View, from int64, visit func(rev int64, key, record []byte) bool) {
	err := v.Scan(backend.SpaceKey, revKey(from), nil, func(key, value []byte) bool {
		return visit(int64(binary.BigEndian.Uint64(key)), slices.Clone(key), slices.Clone(value))
	})
	require.NoError(t, err)
}

// lastAck is the acknowledgement with the greatest revision that is durable,
// and one from the middle of what is not compacted.
func (s scene) lastAck() (last, middle ack) {
	acks := slices.Clone(s.acks)
	slices.SortFunc(acks, func(a, b ack) int { return int(a.rev - b.rev) })
	above, _ := slices.BinarySearchFunc(acks, s.compacted+25, func(a ack, rev int64) int { return int(a.rev - rev) })
	return acks[len(acks)-1], acks[above]
}

// seenInTheMiddle is a watch that got something from the middle of what is kept, and the
// place in what it saw.
func (s scene) seenInTheMiddle(t *testing.T) (*watched, int) {
	_, middle := s.lastAck()
	for _, w := range s.watches {
		for i, v := range w.saw {
			if i > 0 && v.rev > middle.rev && i < len(w.saw)-1 {
				return w, i
			}
		}
	}
	require.FailNow(t, "no watch saw enough")
	return nil, 0
}

// The check can fail: data and reports that are not what they should be are
// found out, each for the rule it breaks.
func TestLedger_FindsWhatSyncMustNotDo(t *testing.T) {
	sc := killedScene(t, 0, enoughAfterCompaction())
	require.NoError(t, sc.copied(t).held(), "as it was left")
	require.Positive(t, sc.compacted)
	for name, c := range map[string]struct {
		want   string
		tamper func(t *testing.T, s scene)
	}{
		"the end is gone": {"R1", func(t *testing.T, s scene) {
			last, _ := s.lastAck()
			s.engine(t, func(v backend.View, b *backend.Batch) {
				records(t, v, last.rev, func(_ int64, key, _ []byte) bool { b.Delete(backend.SpaceKey, key); return true })
			})
		}},
		"a revision in the middle is gone": {"damaged", func(t *testing.T, s scene) {
			_, middle := s.lastAck()
			s.engine(t, func(v backend.View, b *backend.Batch) {
				records(t, v, middle.rev, func(rev int64, key, _ []byte) bool {
					if rev == middle.rev {
						b.Delete(backend.SpaceKey, key)
					}
					return rev == middle.rev
				})
			})
		}},
		"a revision in the middle is torn": {"", func(t *testing.T, s scene) {
			_, middle := s.lastAck()
			s.engine(t, func(v backend.View, b *backend.Batch) {
				previous := int64(0)
				records(t, v, middle.rev, func(rev int64, key, _ []byte) bool {
					if rev == previous {
						b.Delete(backend.SpaceKey, key)
						return false
					}
					previous = rev
					return true
				})
			})
		}},
		"a value has changed": {"R1", func(t *testing.T, s scene) {
			_, middle := s.lastAck()
			s.engine(t, func(v backend.View, b *backend.Batch) {
				records(t, v, middle.rev, func(_ int64, key, record []byte) bool {
					if len(record) < 60 { // the last byte is the value's
						return true
					}
					record[len(record)-1] ^= 1
					b.Put(backend.SpaceKey, key, record)
					return false
				})
			})
		}},
		"there is a write nobody asked for": {"nobody asked for", func(t *testing.T, s scene) {
			e, err := s.openEngine()
			require.NoError(t, err)
			store, err := mvcc.Open(e, s.storeConfig())
			require.NoError(t, err)
			_, err = store.Put(context.Background(), []byte("k/000001"), []byte("whose?"))
			require.NoError(t, err)
			require.NoError(t, store.Close())
			require.NoError(t, e.Close())
		}},
		"the compaction is forgotten": {"damaged", func(t *testing.T, s scene) {
			s.engine(t, func(_ backend.View, b *backend.Batch) {
				b.Delete(backend.SpaceMeta, []byte("scheduledCompactRev"))
				b.Delete(backend.SpaceMeta, []byte("finishedCompactRev"))
			})
		}},
		"the compaction left a record": {"R3", func(t *testing.T, s scene) {
			s.engine(t, func(_ backend.View, b *backend.Batch) {
				mark := append(append(revKey(s.compacted), '_'), make([]byte, 8)...)
				b.Put(backend.SpaceMeta, []byte("scheduledCompactRev"), mark)
				b.Put(backend.SpaceMeta, []byte("finishedCompactRev"), mark)
				tombstone := append(append(revKey(s.compacted-1), '_'), 0, 0, 0, 0, 0, 0, 0, 99, 't')
				b.Put(backend.SpaceKey, tombstone, []byte("\x0a\x03k/z"))
			})
		}},
		"two operations were acknowledged as each other": {"R1", func(t *testing.T, s scene) {
			_, middle := s.lastAck()
			i := slices.Index(s.acks, middle)
			s.acks[i].id, s.acks[i+1].id = s.acks[i+1].id, s.acks[i].id
		}},
		"a revision was given twice": {"R1", func(t *testing.T, s scene) {
			s.acks[10].rev = s.acks[11].rev
		}},
		"a reader saw more": {"R1", func(t *testing.T, s scene) { s.seen += 100 }},
		"a watch passed over a revision": {"G3", func(t *testing.T, s scene) {
			w, i := s.seenInTheMiddle(t)
			w.saw = slices.Delete(w.saw, i, i+1)
		}},
		"a watch saw a revision twice": {"G7", func(t *testing.T, s scene) {
			w, i := s.seenInTheMiddle(t)
			w.saw = slices.Insert(w.saw, i, w.saw[i])
		}},
		"a watch saw something else": {"G7", func(t *testing.T, s scene) {
			w, i := s.seenInTheMiddle(t)
			w.saw[i].digest++
		}},
		"a watch saw a part of a revision": {"G7", func(t *testing.T, s scene) {
			w, i := s.seenInTheMiddle(t)
			w.saw[i].n++
		}},
		"a watch was told of a compaction nobody wanted": {"C11", func(t *testing.T, s scene) {
			w, _ := s.seenInTheMiddle(t)
			w.told = s.seen
		}},
		"a compaction was acknowledged and is not there": {"R3", func(t *testing.T, s scene) { s.compacted = s.seen }},
		"it opened below what was known":                 {"R2", func(t *testing.T, s scene) { s.openedRev = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := sc.copied(t)
			c.tamper(t, s)
			require.ErrorContains(t, s.held(), c.want)
		})
	}
}

// The same for what Relaxed may lose and what it may not.
func TestLedger_FindsWhatRelaxedMustNotDo(t *testing.T) {
	batches, given := 0, int64(0)
	sc := killedScene(t, 50*time.Millisecond, func(f fact) bool {
		// Something is durable, and something was acknowledged that the engine
		// was not even given yet.
		switch f.Word {
		case "apply":
			given = max(given, f.num(2))
		case "applied":
			batches++
		}
		return batches > 3 && f.Word == "ack" && f.num(2) > given
	})
	require.NoError(t, sc.copied(t).held(), "as it was left")
	last, _ := sc.lastAck()
	for name, c := range map[string]struct {
		want   string
		tamper func(t *testing.T, s scene)
	}{
		"a complete batch is lost": {"was complete", func(t *testing.T, s scene) {
			s.applies[1000000] = &applied{begin: last.at, end: last.at, rev: last.rev}
		}},
		"more than an interval is lost": {"before the end", func(t *testing.T, s scene) {
			s.last += time.Minute
			maps.DeleteFunc(s.applies, func(_ int64, a *applied) bool { return a.end == 0 })
		}},
		"the numbers of what was lost are used again": {"R1", func(t *testing.T, s scene) {
			s.engine(t, func(_ backend.View, b *backend.Batch) { b.Delete(backend.SpaceMeta, []byte("watchkv_ceiling")) })
		}},
		"a clean close lost something": {"R1", func(t *testing.T, s scene) {
			s.engine(t, func(v backend.View, b *backend.Batch) {
				end := int64(0)
				records(t, v, 0, func(rev int64, _, _ []byte) bool { end = rev; return true })
				b.Delete(backend.SpaceMeta, []byte("watchkv_ceiling"))
				b.Put(backend.SpaceMeta, []byte("watchkv_end"), revKey(end))
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sc.copied(t)
			c.tamper(t, s)
			err := s.held()
			require.ErrorContains(t, err, c.want, fmt.Sprint(last))
		})
	}
}
