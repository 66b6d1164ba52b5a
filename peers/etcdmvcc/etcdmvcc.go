// Package etcdmvcc is etcd's own watchable store, server/v3/storage/mvcc on
// bbolt, as a target of package bench.
//
// It is set up as etcd's server does by default: batches committed every 100
// ms or 10,000 operations, a free list of type map, 10 GiB mapped. Above the
// store etcd's server makes a few things itself; those are made here, and
// what they cost is charged to etcd: each event is copied into the form that
// the benchmark's consumers read ([ConvertCost] measures it), Created is
// added, requested progress is asked for again until etcd answers it.
//
// What is not there is not asked for: previous values (etcd's server reads
// them one by one for each watch), the end of catch-up, inspection. The
// revision of a response is no resume point: etcd gives responses from
// history the store's current revision.
package etcdmvcc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"

	bolt "go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/bench"
)

// Kind opens etcd's store. The zero value has the durability of the store
// alone: what was put is on disk within 100 ms.
type Kind struct {
	// CommitEach commits every put by itself before it is answered.
	CommitEach bool
}

// Facts implements bench.Kind.
func (k Kind) Facts() bench.TargetFacts {
	f := bench.TargetFacts{
		Kind: "etcd mvcc", Engine: "bbolt", Version: "etcd v" + version.Version, Durability: "relaxed:100ms",
		OutboxResponses: mvcc.ChanBufLen(), EtcdRules: true,
	}
	if k.CommitEach {
		f.Durability = "sync, a commit for each put"
	}
	return f
}

// Open implements bench.Kind.
func (k Kind) Open(dir string) (bench.Target, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("etcdmvcc: %w", err)
	}
	t := &target{kind: k, path: filepath.Join(dir, "db")}
	t.open(false)
	return t, nil
}

// target is an open store. backend and kv change only in Fill, which has no
// company.
type target struct {
	kind    Kind
	path    string
	backend backend.Backend
	kv      mvcc.WatchableKV
}

// open opens both; etcd's own answer to a file it cannot open is to panic.
func (t *target) open(noFsync bool) {
	t.backend = backend.NewDefaultBackend(zap.NewNop(), t.path, func(c *backend.BackendConfig) {
		c.BackendFreelistType = bolt.FreelistMapType // etcd's flag has this default
		c.UnsafeNoFsync = noFsync
	})
	t.kv = mvcc.New(zap.NewNop(), t.backend, &lease.FakeLessor{}, mvcc.StoreConfig{})
}

func (t *target) shut() error { return errors.Join(t.kv.Close(), t.backend.Close()) }

// Close implements bench.Target.
func (t *target) Close() error { return t.shut() }

// Put implements bench.Target. etcd keeps the slices it is given; its server
// hands over what the wire decoder allocated, so one copy is made here.
func (t *target) Put(_ context.Context, key, value []byte) (int64, error) {
	both := append(slices.Grow([]byte(nil), len(key)+len(value)), key...)
	both = append(both, value...)
	rev := t.kv.Put(both[:len(key):len(key)], both[len(key):], lease.NoLease)
	if t.kind.CommitEach {
		t.kv.Commit()
	}
	return rev, nil
}

// Rev implements bench.Target.
func (t *target) Rev(context.Context) (int64, error) { return t.kv.Rev(), nil }

// Delete implements bench.Deleter.
func (t *target) Delete(_ context.Context, key []byte) (int64, error) {
	deleted, rev := t.kv.DeleteRange(slices.Clone(key), nil)
	if deleted == 0 {
		return 0, nil
	}
	if t.kind.CommitEach {
		t.kv.Commit()
	}
	return rev, nil
}

// Read implements bench.Reader.
func (t *target) Read(ctx context.Context, key, end []byte, limit int64) (keys, bytes int64, err error) {
	res, err := t.kv.Range(ctx, key, storeEnd(end), mvcc.RangeOptions{Limit: limit})
	if err != nil {
		return 0, 0, fmt.Errorf("etcdmvcc: read: %w", err)
	}
	for i := range res.KVs {
		bytes += int64(len(res.KVs[i].Key) + len(res.KVs[i].Value))
	}
	return int64(len(res.KVs)), bytes, nil
}

// Compact implements bench.Compactor. As in etcd's server it does not wait
// for the records to be deleted.
func (t *target) Compact(_ context.Context, rev int64) error {
	if _, err := t.kv.Compact(traceutil.TODO(), rev); err != nil {
		return fmt.Errorf("etcdmvcc: compact: %w", err)
	}
	return nil
}

// storeEnd is an end as etcd's server writes it for its store.
func storeEnd(end []byte) []byte {
	switch {
	case len(end) == 1 && end[0] == 0:
		return []byte{} // no end
	case len(end) == 0:
		return nil // a single key
	}
	return end
}

// NewStream implements bench.Target.
func (t *target) NewStream(string) (bench.Stream, error) {
	return &stream{
		store: t.kv, etcd: t.kv.NewWatchStream(),
		ended: make(chan struct{}), signal: make(chan struct{}, 1),
	}, nil
}

// Fill implements bench.Filler. The file is not synced while it grows, once
// at the end.
func (t *target) Fill(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(rev int64, key, value []byte)) error {
	if err := t.shut(); err != nil {
		return err
	}
	t.open(true)
	for i := range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		key, value := next(i)
		// Nobody watches: nothing of it is kept beyond the call.
		wrote(t.kv.Put(key, value, lease.NoLease), key, value)
	}
	if err := t.shut(); err != nil {
		return err
	}
	if err := syncFile(t.path); err != nil {
		return err
	}
	t.open(false)
	return nil
}

func syncFile(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("etcdmvcc: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
