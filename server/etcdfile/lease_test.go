package etcdfile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// E7: leases in a file are those of its revision, however many come and go
// meanwhile: no key is attached to a lease that is not there.
func TestBuild_LeasesOfTheRevision(t *testing.T) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			s := openStore(t, openEngine(t, d))
			lessor, err := lease.Open(s, lease.Config{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, lessor.Close()) })
			working, stop := context.WithCancel(ctx)
			var workers sync.WaitGroup
			for w := range 3 {
				workers.Go(func() {
					for i := 0; working.Err() == nil; i++ {
						l, err := lessor.Grant(ctx, 0, 1000)
						assert.NoError(t, err)
						for k := range 3 {
							_, err = s.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{{Type: mvcc.OpPut, Key: fmt.Appendf(nil, "%d/%d/%d", w, i%5, k), Lease: l.ID}}})
							assert.NoError(t, err)
						}
						if i%3 > 0 {
							_, err = lessor.Revoke(ctx, l.ID)
							assert.NoError(t, err)
						}
					}
				})
			}
			for range 4 {
				requireLeasesWhole(t, s)
			}
			stop()
			workers.Wait()
			requireLeasesWhole(t, s)
		})
	}
}

// requireLeasesWhole looks at every key of a snapshot.
func requireLeasesWhole(t *testing.T, s *mvcc.Store) {
	f := open(t, build(t, s), etcdfile.OpenConfig{})
	engine := openEngine(t, mem.Driver())
	_, err := f.Load(ctx, engine, etcdfile.LoadConfig{})
	require.NoError(t, err)
	loaded := openStore(t, engine)
	lessor, err := lease.Open(loaded, lease.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, lessor.Close()) }()
	all, err := loaded.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	require.NoError(t, err)
	for _, kv := range all.KVs {
		require.True(t, lessor.Exists(kv.Lease), "key %q has lease %x", kv.Key, kv.Lease)
	}
}
