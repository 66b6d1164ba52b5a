package mvcc

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/backend/engines"
)

// etcdFacts is what the etcd that wrote a file answered about it.
type etcdFacts struct {
	Rev     int64 `json:"current_revision"`
	Compact int64 `json:"compact_revision"`
	Hashes  []struct {
		Asked   int64  `json:"asked"`
		Hash    uint32 `json:"hash"`
		Compact int64  `json:"compact_revision"`
		HashRev int64  `json:"hash_revision"`
	} `json:"hashes"`
	Ranges []struct {
		Key, End []byte
		Revision int64
		Limit    int64
		Count    int64
		More     bool
		KVs      []etcdKV
	} `json:"ranges"`
	Events []struct {
		Type string
		KV   etcdKV
	} `json:"events"`
}

type etcdKV struct {
	Key     []byte `json:"key"`
	Value   []byte `json:"value"`
	Create  int64  `json:"create_revision"`
	Mod     int64  `json:"mod_revision"`
	Version int64  `json:"version"`
	Lease   int64  `json:"lease"`
}

func (kv etcdKV) ours() KeyValue {
	return plain(KeyValue{Key: kv.Key, Value: kv.Value, CreateRevision: kv.Create, ModRevision: kv.Mod, Version: kv.Version, Lease: kv.Lease})
}

// plain makes the ways to say "no bytes" equal.
func plain(kv KeyValue) KeyValue {
	if len(kv.Value) == 0 {
		kv.Value = nil
	}
	return kv
}

func readFacts(t *testing.T, name string) etcdFacts {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "etcd", name))
	require.NoError(t, err)
	var facts etcdFacts
	require.NoError(t, json.Unmarshal(b, &facts))
	return facts
}

// openEngine opens an engine on dir; the test's end closes it unless the test
// did.
func openEngine(t *testing.T, d backend.Driver, dir string) backend.Engine {
	t.Helper()
	engine, err := d.Open(dir, backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := engine.Close(); !errors.Is(err, backend.ErrClosed) {
			require.NoError(t, err)
		}
	})
	return engine
}

// openEtcdFile opens one of the files read-only.
func openEtcdFile(t *testing.T, name string) backend.Engine {
	t.Helper()
	engine, err := bolt.Open(filepath.Join("testdata", "etcd", name), backend.Options{ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

// copySpaces copies every entry of our spaces from one engine to another.
func copySpaces(t *testing.T, from, to backend.Engine) {
	t.Helper()
	view, err := from.View()
	require.NoError(t, err)
	defer func() { require.NoError(t, view.Close()) }()
	for _, space := range backend.DefaultSpaces() {
		var b backend.Batch
		err := view.Scan(space.Space, nil, nil, func(key, value []byte) bool {
			b.Put(space.Space, append([]byte(nil), key...), append([]byte(nil), value...))
			return true
		})
		require.NoError(t, err)
		require.NoError(t, to.Apply(&b, backend.Sync))
	}
}

// checkFacts asks the store what etcd was asked.
func checkFacts(t *testing.T, s *Store, facts etcdFacts) {
	t.Helper()
	require.Equal(t, facts.Rev, s.Rev())
	require.Equal(t, max(facts.Compact, 0), s.CompactRev())
	for _, want := range facts.Hashes {
		got, err := s.HashKV(ctx, want.Asked)
		require.NoError(t, err)
		require.Equal(t, HashResult{Hash: want.Hash, Rev: facts.Rev, CompactRev: want.Compact, HashRev: want.HashRev}, got)
	}
	for _, want := range facts.Ranges {
		got, err := s.Range(want.Key, want.End, RangeOptions{Rev: want.Revision, Limit: want.Limit})
		require.NoError(t, err)
		require.Equal(t, want.Count, got.Count)
		require.Equal(t, want.More, got.More)
		require.Len(t, got.KVs, len(want.KVs))
		for i, kv := range want.KVs {
			require.Equal(t, kv.ours(), plain(got.KVs[i]))
		}
	}
	chunk, err := s.History(ctx, HistoryQuery{From: max(facts.Compact, 1), To: facts.Rev})
	require.NoError(t, err)
	require.Len(t, chunk.Events, len(facts.Events))
	for i, want := range facts.Events {
		got := chunk.Events[i]
		require.Equal(t, want.Type == "delete", got.Type == EventDelete)
		require.Equal(t, want.KV.ours(), plain(got.KV))
	}
}

// A file that a real etcd wrote, after a compaction and a restart, opens as it
// is; so does the snapshot it made.
func TestEtcdFile_OpensAsItIs(t *testing.T) {
	facts := readFacts(t, "facts.json")
	for _, name := range []string{"member.db", "snapshot.db"} {
		t.Run(name, func(t *testing.T) {
			checkFacts(t, openOn(t, openEtcdFile(t, name), Config{ReadOnly: true}), facts)
		})
	}
}

// The same records answer the same on every engine, before and after a
// restart, and take new writes.
func TestEtcdFile_OnEveryEngine(t *testing.T) {
	facts := readFacts(t, "facts.json")
	file := openEtcdFile(t, "member.db")
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			dir := t.TempDir()
			engine := openEngine(t, d, dir)
			copySpaces(t, file, engine)
			s := openOn(t, engine, Config{})
			checkFacts(t, s, facts)
			require.NoError(t, s.Close())
			if !d.Volatile {
				require.NoError(t, engine.Close())
				engine = openEngine(t, d, dir)
			}
			s = openOn(t, engine, Config{})
			checkFacts(t, s, facts)
			require.Equal(t, facts.Rev+1, put(t, s, "new", "1"))
			require.NoError(t, s.Compact(ctx, facts.Rev))
			kv, ok, err := s.Get([]byte("new"), 0)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, facts.Rev+1, kv.ModRevision)
		})
	}
}

// A file that holds leases opens for writing: its leases are kept, and which
// keys are attached to them is known.
func TestEtcdFile_Leases(t *testing.T) {
	facts := readFacts(t, "leases.json")
	want := map[int64][]string{}
	for _, kv := range facts.Ranges[0].KVs {
		if kv.Lease != 0 {
			want[kv.Lease] = append(want[kv.Lease], string(kv.Key))
		}
	}
	require.Len(t, want, 2)
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			engine := openEngine(t, d, t.TempDir())
			copySpaces(t, openEtcdFile(t, "leases.db"), engine)
			s := openOn(t, engine, Config{})
			checkFacts(t, s, facts)
			for id, keys := range want {
				require.Equal(t, keys, texts(s.LeaseKeys(id)))
			}
			leases := 0
			require.NoError(t, s.ScanBeside(backend.SpaceLease, func(_, _ []byte) bool { leases++; return true }))
			require.Equal(t, 2, leases)
			require.Equal(t, facts.Rev+1, put(t, s, want[4097][0], ""))
			require.Equal(t, want[4097][1:], texts(s.LeaseKeys(4097)))
		})
	}
}

func texts(keys [][]byte) []string {
	out := []string{}
	for _, key := range keys {
		out = append(out, string(key))
	}
	return out
}

// metaKeys lists the meta space.
func metaKeys(t *testing.T, engine backend.Engine) map[string]string {
	t.Helper()
	view, err := engine.View()
	require.NoError(t, err)
	defer func() { require.NoError(t, view.Close()) }()
	got := map[string]string{}
	require.NoError(t, view.Scan(backend.SpaceMeta, nil, nil, func(key, value []byte) bool {
		got[string(key)] = string(value)
		return true
	}))
	return got
}
