package pebble_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
)

// A disk that takes its time for the manifest holds up neither reads nor
// Stats, and nothing has failed when it is done.
func TestStall_OfTheManifest(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var slow atomic.Bool
	entered, goOn := make(chan struct{}), make(chan struct{})
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync && strings.Contains(op.Path, "/MANIFEST") && slow.CompareAndSwap(true, false) {
			close(entered)
			<-goOn
		}
		return nil
	}))
	e, err := pebble.DriverFS(disk).Open("/data", backend.Options{})
	require.NoError(t, err)
	put := func(value byte) {
		var b backend.Batch
		b.Put(backend.SpaceKey, []byte("k"), []byte{value})
		require.NoError(t, bounded(t, "apply", func() error { return e.Apply(&b, backend.Sync) }))
	}
	put(1)
	slow.Store(true)
	reclaimed := make(chan error, 1)
	go func() { reclaimed <- e.(backend.Reclaimer).Reclaim(context.Background()) }()
	<-entered
	for range 3 {
		require.NoError(t, bounded(t, "read", func() error {
			v, err := e.View()
			if err != nil {
				return err
			}
			_, _, err = v.Get(backend.SpaceKey, nil, []byte("k"))
			require.NoError(t, err)
			return v.Close()
		}))
		require.NoError(t, bounded(t, "stats", func() error { e.Stats(); return nil }))
		put(2)
	}
	close(goOn)
	require.NoError(t, <-reclaimed)
	require.NoError(t, e.Close())
}
