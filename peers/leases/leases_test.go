// Package leases_test holds the stored form of leases against etcd's.
package leases_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	boltengine "github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
)

// What is granted here is read by etcd's type, and is byte for byte what that
// writes; what that writes is read here.
func TestStoredForm(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	run := func(fn func(l *lease.Lessor)) {
		engine, err := boltengine.Open(dir, backend.Options{})
		require.NoError(t, err)
		store, err := mvcc.Open(engine, mvcc.Config{})
		require.NoError(t, err)
		l, err := lease.Open(store, lease.Config{MinTTL: 1})
		require.NoError(t, err)
		fn(l)
		require.NoError(t, l.Close())
		require.NoError(t, store.Close())
		require.NoError(t, engine.Close())
	}
	want := map[int64]int64{}
	id := rapid.Custom(func(t *rapid.T) int64 {
		return max(rapid.Int64().Draw(t, "id"), -1<<62) | 1
	})
	run(func(l *lease.Lessor) {
		for seed := range 200 {
			granted, err := l.Grant(ctx, id.Example(seed), 1000+rapid.Int64Range(0, 8_000_000_000).Example(seed))
			if err != nil {
				require.ErrorIs(t, err, lease.ErrExists)
				continue
			}
			want[granted.ID] = granted.TTL
		}
	})
	require.Greater(t, len(want), 100)

	file := open(t, dir)
	entries(t, file, func(b *bolt.Bucket) {
		require.Len(t, keys(t, b), len(want))
		for id, ttl := range want {
			value := b.Get(binary.BigEndian.AppendUint64(nil, uint64(id)))
			var got leasepb.Lease
			require.NoError(t, proto.Unmarshal(value, &got))
			require.True(t, proto.Equal(&leasepb.Lease{ID: id, TTL: ttl}, &got), "%v", &got)
			theirs, err := proto.Marshal(&got)
			require.NoError(t, err)
			require.Equal(t, theirs, value)
			// As a checkpoint of etcd writes it.
			got.RemainingTTL = ttl / 2
			changed, err := proto.Marshal(&got)
			require.NoError(t, err)
			require.NoError(t, b.Put(binary.BigEndian.AppendUint64(nil, uint64(id)), changed))
		}
	})
	require.NoError(t, file.Close())
	run(func(l *lease.Lessor) {
		require.Len(t, l.Leases(), len(want))
		for id, ttl := range want {
			got, err := l.TimeToLive(id)
			require.NoError(t, err)
			require.Equal(t, ttl, got.TTL)
			require.InDelta(t, float64(ttl/2), got.Remaining.Seconds(), 30)
		}
	})
}

// open opens the engine's file as bbolt has it.
func open(t *testing.T, dir string) *bolt.DB {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	file, err := bolt.Open(files[0], 0o600, nil)
	require.NoError(t, err)
	return file
}

func entries(t *testing.T, file *bolt.DB, fn func(b *bolt.Bucket)) {
	t.Helper()
	require.NoError(t, file.Update(func(tx *bolt.Tx) error {
		fn(tx.Bucket([]byte("lease")))
		return nil
	}))
}

func keys(t *testing.T, b *bolt.Bucket) (all [][]byte) {
	t.Helper()
	require.NoError(t, b.ForEach(func(k, _ []byte) error {
		all = append(all, k)
		return nil
	}))
	return all
}
