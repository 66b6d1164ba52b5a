package mvcc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func TestContinuity(t *testing.T) {
	revs := func(main ...int64) (krs []KeyRev) {
		for _, m := range main {
			krs = append(krs, KeyRev{Main: m})
		}
		return krs
	}
	for _, test := range []struct {
		name    string
		compact int64
		gaps    []gap
		records []KeyRev
		end     int64
		says    string // "": nothing is missing
	}{
		{"empty", 0, nil, nil, 1, ""},
		{"whole", 0, nil, revs(2, 3, 4), 4, ""},
		{"from the first on", 0, nil, revs(3), 3, "revisions 2 to 2 have no record"},
		{"hole", 0, nil, revs(2, 5), 5, "revisions 3 to 4 have no record"},
		{"end", 0, nil, revs(2), 4, "revisions 3 to 4 have no record"},
		{"compacted", 7, nil, revs(3, 5, 8), 8, ""},
		{"the compact revision may lack records", 7, nil, nil, 7, ""},
		{"hole above the compact revision", 7, nil, revs(5, 9), 9, "revisions 8 to 8 have no record"},
		{"gap", 0, []gap{{2, 10}}, revs(2, 11), 11, ""},
		{"gap at the end", 0, []gap{{2, 10}}, revs(2), 10, ""},
		{"before a gap", 0, []gap{{3, 10}}, revs(2, 11), 11, "revisions 3 to 3 have no record"},
		{"behind a gap", 0, []gap{{2, 10}}, revs(2, 12), 12, "revisions 11 to 11 have no record"},
		{"gaps side by side", 0, []gap{{2, 10}, {10, 20}}, revs(2, 21), 21, ""},
		{"between gaps", 0, []gap{{2, 10}, {11, 20}}, revs(2, 21), 21, "revisions 11 to 11 have no record"},
		{"changes", 0, nil, []KeyRev{{2, 0, false}, {2, 1, true}, {3, 0, false}}, 3, ""},
		{"first change", 0, nil, []KeyRev{{2, 1, false}}, 2, "revision 2 lacks its change 0"},
		{"a change between", 0, nil, []KeyRev{{2, 0, false}, {2, 2, false}}, 2, "revision 2 lacks its change 1"},
		{"changes at the compact revision", 2, nil, []KeyRev{{2, 1, false}, {2, 5, true}}, 2, ""},
		{"twice", 0, nil, revs(2, 2), 2, "revision 2/0 comes after 2/0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := continuity{compact: test.compact, gaps: test.gaps}
			var err error
			for _, kr := range test.records {
				if err == nil {
					err = c.add(kr)
				}
			}
			if err == nil {
				err = c.reach(test.end)
			}
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// R5: whichever record of kept history is gone, opening says so. What it
// cannot miss is the last change of a revision, if nothing later of that key
// builds on it.
func TestOpen_MissesEveryRecord(t *testing.T) {
	const end = 13
	for compact := range int64(end) {
		engine := memEngine(t)
		s := openOn(t, engine, Config{})
		for i := range end - 1 {
			_, err := s.Update(ctx, func(tx *WriteTx) error {
				if i%4 == 3 {
					_, err := tx.DeleteRange([]byte("a"), []byte("c"))
					return err
				}
				return errors.Join(tx.Put([]byte("a"), []byte("1"), 0), tx.Put([]byte("b"), []byte("2"), 0))
			})
			require.NoError(t, err)
		}
		if compact > 1 {
			require.NoError(t, s.Compact(ctx, compact))
		}
		require.NoError(t, s.Close())
		for _, text := range keySpace(t, engine) {
			key, err := hex.DecodeString(text)
			require.NoError(t, err)
			kr, err := parseRevKey(key)
			require.NoError(t, err)
			if kr.Main <= compact || kr.Sub == 1 && (kr.Main%4 == 0 || kr.Main == end) {
				continue
			}
			_, err = Open(without(t, engine, key), Config{})
			require.ErrorIs(t, err, ErrDamaged, "without %v, compacted at %d", kr, compact)
			require.ErrorContains(t, err, "restore it from a backup")
		}
	}
}

// without is a copy of an engine's data that lacks one record.
func without(t *testing.T, from backend.Engine, key []byte) backend.Engine {
	t.Helper()
	to := memEngine(t)
	view, err := from.View()
	require.NoError(t, err)
	var b backend.Batch
	for _, space := range []backend.Space{backend.SpaceKey, backend.SpaceMeta} {
		require.NoError(t, view.Scan(space, nil, nil, func(k, v []byte) bool {
			b.Put(space, bytes.Clone(k), bytes.Clone(v))
			return true
		}))
	}
	require.NoError(t, view.Close())
	b.Delete(backend.SpaceKey, key)
	require.NoError(t, to.Apply(&b, backend.Sync))
	return to
}

// R5, G3: an engine that passes over records while the store is open costs no
// event in silence, wherever the hole and the bounds of the chunk are.
func TestHistory_SeesHoles(t *testing.T) {
	for hole := int64(2); hole <= 6; hole++ {
		engine := memEngine(t)
		s := openOn(t, engine, Config{})
		for range 5 {
			put(t, s, "a", "1")
		}
		var b backend.Batch
		b.Delete(backend.SpaceKey, firstKeyOf(hole))
		require.NoError(t, engine.Apply(&b, backend.Sync))
		for from := int64(2); from <= 6; from++ {
			for most := range 6 {
				var err error
				var got []int64
				for next := from; next <= 6 && err == nil; {
					var chunk Chunk
					if chunk, err = s.History(ctx, HistoryQuery{From: next, To: 6, MaxEvents: most}); err == nil {
						next = chunk.Next
						for _, e := range chunk.Events {
							got = append(got, e.KV.ModRevision)
						}
					}
				}
				if from <= hole {
					require.ErrorIs(t, err, ErrDamaged, "hole %d, from %d, at most %d", hole, from, most)
					require.ErrorContains(t, err, fmt.Sprintf("revisions %d to %d have no record", hole, hole))
				} else {
					require.NoError(t, err)
				}
				for i, rev := range got {
					require.Equal(t, from+int64(i), rev)
				}
			}
		}
	}
}
