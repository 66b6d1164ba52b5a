package mvcc

import (
	"fmt"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// historyOf builds a history from steps: a positive number is a put at that
// revision, a negative one a delete.
func historyOf(steps ...int64) keyHistory {
	h := newIndex().history([]byte("k"))
	for _, s := range steps {
		if s > 0 {
			h.put(KeyRev{Main: s})
		} else {
			h.delete(KeyRev{Main: -s, Sub: 1, Tombstone: true})
		}
	}
	return h
}

func stepsOf(h keyHistory) []int64 {
	out := []int64{}
	for i := range h.len() {
		v := h.at(i)
		if v.tombstone() {
			out = append(out, -v.main)
		} else {
			out = append(out, v.main)
		}
	}
	return out
}

func TestKeyHistory_Compact(t *testing.T) {
	for _, test := range []struct {
		steps []int64
		rev   int64
		want  []int64
	}{
		{[]int64{2, 4, 6}, 1, []int64{2, 4, 6}},
		{[]int64{2, 4, 6}, 2, []int64{2, 4, 6}},
		{[]int64{2, 4, 6}, 4, []int64{4, 6}},
		{[]int64{2, 4, 6}, 5, []int64{4, 6}},
		{[]int64{2, 4, 6}, 9, []int64{6}},
		{[]int64{2, -4}, 3, []int64{2, -4}},
		{[]int64{2, -4}, 4, []int64{-4}}, // C10
		{[]int64{2, -4}, 5, []int64{}},
		{[]int64{2, -4, 6}, 4, []int64{-4, 6}},
		{[]int64{2, -4, 6}, 5, []int64{6}},
		{[]int64{2, 4, -4, 6}, 4, []int64{4, -4, 6}}, // two events in one revision
		{[]int64{2, 4, -4, 6}, 5, []int64{6}},
	} {
		h := historyOf(test.steps...)
		gone := h.compact(test.rev)
		require.Equal(t, test.want, stepsOf(h), "%v at %d", test.steps, test.rev)
		require.Equal(t, len(test.steps)-len(test.want), gone)
		require.Equal(t, len(test.want) == 0, h.empty())
	}
}

func TestKeyHistory_CountsLives(t *testing.T) {
	h := historyOf(2, 3)
	create, count := h.put(KeyRev{Main: 5})
	require.Equal(t, [2]int64{2, 3}, [2]int64{create, count}) // E4
	before := life{h.create, h.count}
	h.delete(KeyRev{Main: 6, Tombstone: true})
	create, count = h.put(KeyRev{Main: 7})
	require.Equal(t, [2]int64{7, 1}, [2]int64{create, count}) // E6
	h.undo(life{})
	h.undo(before)
	require.Equal(t, []int64{2, 3, 5}, stepsOf(h))
	create, count = h.put(KeyRev{Main: 8})
	require.Equal(t, [2]int64{2, 4}, [2]int64{create, count})
}

// FuzzKeyHistory holds a history against a sorted list, over random puts,
// deletes, undos and compactions.
func FuzzKeyHistory(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkHistory))
}

func TestKeyHistory_AgainstList(t *testing.T) { rapid.Check(t, checkHistory) }

func checkHistory(t *rapid.T) {
	h := newIndex().history([]byte("k"))
	var list []KeyRev
	main, compact := int64(0), int64(0)
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
		case op == 0 && main > compact+1:
			compact = rapid.Int64Range(compact+1, main-1).Draw(t, "compact")
			h.compact(compact)
			list = naiveCompact(list, compact)
		case op == 1 && len(list) > 0 && list[len(list)-1].Main > compact:
			h.undo(life{})
			list = list[:len(list)-1]
		case op < 4 && len(list) > 0 && !list[len(list)-1].Tombstone:
			main++
			h.delete(KeyRev{Main: main, Tombstone: true})
			list = append(list, KeyRev{Main: main, Tombstone: true})
		default:
			main += rapid.Int64Range(1, 3).Draw(t, "skip")
			h.put(KeyRev{Main: main})
			list = append(list, KeyRev{Main: main})
		}
		require.Equal(t, len(list), h.len())
		rev := rapid.Int64Range(0, main+1).Draw(t, "rev")
		i := sort.Search(len(list), func(i int) bool { return list[i].Main > rev })
		v, ok := h.versionAt(rev)
		require.Equal(t, i > 0, ok)
		if ok {
			require.Equal(t, list[i-1], v.keyRev())
		}
		for _, kr := range list {
			require.True(t, h.holds(kr))
			kr.Sub++
			require.False(t, h.holds(kr))
		}
	}
}

func naiveCompact(list []KeyRev, rev int64) []KeyRev {
	var kept []KeyRev
	for i, kr := range list {
		last := i+1 == len(list) || list[i+1].Main > rev
		if kr.Main >= rev || last && !kr.Tombstone {
			kept = append(kept, kr)
		}
	}
	return kept
}

func indexed(t *testing.T) *Store {
	t.Helper()
	s := openMem(t, Config{})
	for i := range 3000 { // revisions 2 to 3001, more keys than one chunk of a walk
		put(t, s, fmt.Sprintf("%04d", i%1500), "v")
	}
	del(t, s, "0003") // 3002
	put(t, s, "0004", "v")
	return s
}

func TestIndexQueries(t *testing.T) {
	s := indexed(t)
	everything := SpanOf(everyKey, everyKey)
	single := SpanOf([]byte("0003"), nil)

	revs, cut, visited := s.Revisions(nil, single, 1, 9999, RevLimits{})
	require.Equal(t, []KeyRev{{Main: 5}, {Main: 1505}, {Main: 3002, Tombstone: true}}, revs)
	require.False(t, cut)
	require.Equal(t, 1, visited)
	revs, cut, _ = s.Revisions(nil, single, 6, 3001, RevLimits{})
	require.Equal(t, []KeyRev{{Main: 1505}}, revs)
	require.False(t, cut)
	revs, cut, visited = s.Revisions(nil, everything, 1, 9999, RevLimits{})
	require.Len(t, revs, 3002)
	require.False(t, cut)
	require.Equal(t, 1500, visited)
	revs, cut, visited = s.Revisions(revs[:1], everything, 1, 9999, RevLimits{MaxRevs: 5})
	require.Len(t, revs, 6)
	require.True(t, cut)
	require.Equal(t, 3, visited)
	revs, cut, visited = s.Revisions(nil, everything, 1, 9999, RevLimits{MaxKeys: 1100})
	require.Len(t, revs, 2202)
	require.True(t, cut)
	require.Equal(t, 1100, visited)
	revs, cut, _ = s.Revisions(nil, everything, 1, 9999, RevLimits{MaxKeys: 1500, MaxRevs: 3002})
	require.Len(t, revs, 3002)
	require.False(t, cut)
	revs, cut, visited = s.Revisions(nil, SpanOf([]byte("b"), []byte("a")), 1, 9999, RevLimits{})
	require.Empty(t, revs)
	require.False(t, cut)
	require.Zero(t, visited)

	n, exact := s.CountRevisions(everything, 3001, 0, 0)
	require.Equal(t, 3, n)
	require.True(t, exact)
	_, exact = s.CountRevisions(everything, 1, 10, 0)
	require.False(t, exact)
	n, exact = s.CountRevisions(everything, 1, 0, 100)
	require.Greater(t, n, 100)
	require.False(t, exact)

	kr, ok := s.VersionAt([]byte("0003"), 3001)
	require.True(t, ok)
	require.Equal(t, KeyRev{Main: 1505}, kr)
	kr, ok = s.VersionAt([]byte("0003"), 3002)
	require.True(t, ok)
	require.Equal(t, KeyRev{Main: 3002, Tombstone: true}, kr)
	_, ok = s.VersionAt([]byte("0003"), 4)
	require.False(t, ok)
	_, ok = s.VersionAt([]byte("no"), 9999)
	require.False(t, ok)
}

// V6: the newest version of every key that changed, oldest change first.
func TestNewest(t *testing.T) {
	s := indexed(t)
	everything := SpanOf(everyKey, everyKey)
	revs, cut := s.Newest(nil, everything, 3000, 9999, 100)
	require.Equal(t, []KeyRev{{Main: 3000}, {Main: 3001}, {Main: 3002, Tombstone: true}, {Main: 3003}}, revs)
	require.False(t, cut)
	revs, cut = s.Newest(revs[:1], everything, 3000, 9999, 2)
	require.Equal(t, []KeyRev{{Main: 3000}, {Main: 3000}, {Main: 3001}}, revs)
	require.True(t, cut)
	revs, cut = s.Newest(nil, everything, 3000, 3001, 100)
	require.Equal(t, []KeyRev{{Main: 3000}, {Main: 3001}}, revs)
	require.False(t, cut)
	revs, cut = s.Newest(nil, everything, 1, 9999, 1500)
	require.Len(t, revs, 1500)
	require.False(t, cut)
	require.True(t, sort.SliceIsSorted(revs, func(i, j int) bool { return revs[i].less(revs[j]) }))
	revs, cut = s.Newest(nil, SpanOf([]byte("0003"), nil), 1, 2000, 5)
	require.Equal(t, []KeyRev{{Main: 1505}}, revs)
	require.False(t, cut)
	revs, cut = s.Newest(nil, everything, 1, 9999, 0)
	require.Empty(t, revs)
	require.False(t, cut)
}
