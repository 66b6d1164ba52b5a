package faults

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// seen is what of an event damage could change.
type seen struct {
	Type            mvcc.EventType
	Key             string
	Rev             int64
	Create, Version int64
	Value           uint32 // checksum
}

func seenOf(e *mvcc.Event) seen {
	return seen{e.Type, string(e.KV.Key), e.KV.ModRevision, e.KV.CreateRevision, e.KV.Version, crc32.ChecksumIEEE(e.KV.Value)}
}

// known is what an undamaged store says.
type known struct {
	Rev, Compact int64
	History      []seen // from the compact revision on
	Live         []seen // keys as of Rev, ascending
}

// readAll reads everything a store says through Range and History.
func readAll(s *mvcc.Store) (known, error) {
	k := known{Rev: s.Rev(), Compact: s.CompactRev()}
	ctx := context.Background()
	for from := max(k.Compact, 1); from <= k.Rev; {
		chunk, err := s.History(ctx, mvcc.HistoryQuery{From: from, To: k.Rev, MaxEvents: 1000})
		if err != nil {
			return k, err
		}
		for i := range chunk.Events {
			k.History = append(k.History, seenOf(&chunk.Events[i]))
		}
		from = chunk.Next
	}
	res, err := s.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	for _, kv := range res.KVs {
		k.Live = append(k.Live, seenOf(&mvcc.Event{KV: kv}))
	}
	return k, err
}

// compare says how got differs from k: "same", "values" when nothing but
// values does, "prefix" when the newest revisions are gone and nothing else
// differs, "new" for a store that was never written to, or the first
// difference.
func (k *known) compare(got known) string {
	if got.Rev == 1 && got.Compact == 0 && len(got.Live) == 0 {
		return "new"
	}
	if got.Compact < k.Compact && len(got.History) > 0 {
		return k.compareOlder(got)
	}
	if got.Compact != k.Compact {
		return fmt.Sprintf("compact revision %d, not %d", got.Compact, k.Compact)
	}
	values := 0
	same := func(a, b seen) bool {
		if a == b {
			return true
		}
		a.Value = b.Value
		values++
		return a == b
	}
	for i, e := range got.History {
		if i >= len(k.History) || !same(k.History[i], e) {
			return fmt.Sprintf("event %d of history is %+v", i, e)
		}
	}
	if len(got.History) < len(k.History) || got.Rev != k.Rev {
		if got.Rev >= k.History[len(got.History)].Rev {
			return fmt.Sprintf("%d events of history up to revision %d, not %d", len(got.History), got.Rev, len(k.History))
		}
		return "prefix"
	}
	if len(got.Live) != len(k.Live) {
		return fmt.Sprintf("%d keys, not %d", len(got.Live), len(k.Live))
	}
	for i, e := range got.Live {
		if !same(k.Live[i], e) {
			return fmt.Sprintf("key %d is %+v, not %+v", i, e, k.Live[i])
		}
	}
	if values > 0 {
		return "values"
	}
	return "same"
}

// compareOlder compares with a store that has lost the newest compaction, and
// so all behind it: what stands from its end back to the compact revision of k
// is there.
func (k *known) compareOlder(got known) string {
	if got.Rev >= k.Rev {
		return fmt.Sprintf("compact revision %d, not %d, at revision %d", got.Compact, k.Compact, got.Rev)
	}
	known := map[seen]bool{}
	for _, e := range k.History {
		known[e] = true
	}
	for _, e := range got.History {
		if e.Rev >= k.Compact && !known[e] {
			return fmt.Sprintf("event %+v", e)
		}
	}
	return "prefix"
}

// specimen is a directory of data that tests damage copies of.
type specimen struct {
	driver backend.Driver
	dir    string
	clean  bool // closed, not copied from under an open store
	known  known
}

// String names it in tests.
func (s *specimen) String() string {
	if s.clean {
		return s.driver.Name + " closed"
	}
	return s.driver.Name + " killed"
}

// makeSpecimens fills a store in two sessions and returns what a kill leaves
// of the second, and what its close does.
func makeSpecimens(t *testing.T, d backend.Driver) []*specimen {
	t.Helper()
	dir := t.TempDir()
	live, killed := filepath.Join(dir, "closed"), filepath.Join(dir, "killed")
	r := rand.New(rand.NewPCG(1, 2))
	fill(t, d, live, r, 2000, func(*mvcc.Store) {})
	var k known
	fill(t, d, live, r, 600, func(s *mvcc.Store) {
		var err error
		k, err = readAll(s)
		require.NoError(t, err)
		copyDir(t, killed, live)
	})
	return []*specimen{{d, live, true, k}, {d, killed, false, k}}
}

// fill is one session: puts, deletes, transactions, and a compaction half way.
func fill(t *testing.T, d backend.Driver, dir string, r *rand.Rand, revisions int, before func(s *mvcc.Store)) {
	t.Helper()
	ctx := context.Background()
	engine, err := d.Open(dir, backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, mvcc.Config{RecentBytes: 1})
	require.NoError(t, err)
	type answer struct {
		rev int64
		err error
	}
	for i := 0; i < revisions; {
		// Many at once, so that they share a flush.
		n := min(100, revisions-i)
		answers := make(chan answer, n)
		for range n {
			key, value := fmt.Appendf(nil, "key-%03d", r.IntN(300)), randomBytes(r, 1+r.IntN(2000))
			kind := r.IntN(10)
			go func() {
				rev, err := store.Update(ctx, func(tx *mvcc.WriteTx) error {
					if kind == 0 {
						n, err := tx.DeleteRange(key, nil)
						if err == nil && n == 0 {
							err = tx.Put(key, value, 0)
						}
						return err
					}
					err := tx.Put(key, value, 0)
					if kind == 1 {
						err = errors.Join(err, tx.Put(append(key, '+'), value[:len(value)/2], 0))
					}
					return err
				})
				answers <- answer{rev, err}
			}()
		}
		for range n {
			a := <-answers
			require.NoError(t, a.err)
		}
		if i += n; i == revisions/2 {
			require.NoError(t, store.Compact(ctx, store.Rev()-int64(n)/2))
		}
	}
	before(store)
	require.NoError(t, store.Close())
	require.NoError(t, engine.Close())
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// copyDir copies a flat directory; zeros at the end of a file become a hole.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o700))
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		require.NoError(t, err)
		data := readUsed(t, filepath.Join(from, entry.Name()))
		path := filepath.Join(to, entry.Name())
		require.NoError(t, os.WriteFile(path, data, 0o600))
		require.NoError(t, os.Truncate(path, info.Size()))
	}
}

// readUsed reads a file up to its last byte that is not zero.
func readUsed(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var data []byte
	buf := make([]byte, 64<<10)
	zeros := make([]byte, len(buf))
	for quiet := 0; quiet < 16; { // no file has 1 MiB of zeros between data
		n, err := io.ReadFull(file, buf)
		data = append(data, buf[:n]...)
		if quiet++; !slices.Equal(buf[:n], zeros[:n]) {
			quiet = 0
		}
		if err != nil {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			break
		}
	}
	end := len(data)
	for end > 0 && data[end-1] == 0 {
		end--
	}
	return data[:end]
}
