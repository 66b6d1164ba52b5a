package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Settings reach what they are about.
func TestEffect(t *testing.T) {
	t.Run("auto-compaction", func(t *testing.T) {
		c := up(t, "--backend", "mem", "--listen-client-urls", anyPort, "--auto-compaction-retention", "50ms").client()
		first, err := c.Put(t.Context(), "k", "1")
		require.NoError(t, err)
		_, err = c.Put(t.Context(), "k", "2")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := c.Get(t.Context(), "k", clientv3.WithRev(first.Header.Revision))
			return err == rpctypes.ErrCompacted
		}, slow, 10*time.Millisecond)
	})
	t.Run("quota-backend-bytes", func(t *testing.T) {
		c := up(t, "--backend", "mem", "--listen-client-urls", anyPort, "--quota-backend-bytes", "1MiB").client()
		var err error
		for i := 0; err == nil && i < 100; i++ {
			_, err = c.Put(t.Context(), fmt.Sprint("k", i), strings.Repeat("x", 100_000))
		}
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
		_, err = c.Get(t.Context(), "k0")
		require.NoError(t, err)
	})
	t.Run("limits", func(t *testing.T) {
		c := up(t, "--backend", "mem", "--listen-client-urls", anyPort, "--max-request-bytes", "1000", "--max-txn-ops", "2").client()
		_, err := c.Put(t.Context(), "k", strings.Repeat("x", 2000))
		assert.ErrorIs(t, err, rpctypes.ErrRequestTooLarge)
		_, err = c.Txn(t.Context()).Then(clientv3.OpGet("a"), clientv3.OpGet("b"), clientv3.OpGet("c")).Commit()
		assert.ErrorIs(t, err, rpctypes.ErrTooManyOps)
	})
	t.Run("watch-progress-notify-interval", func(t *testing.T) {
		c := up(t, "--backend", "mem", "--listen-client-urls", anyPort, "--watch-progress-notify-interval", "100ms").client()
		for r := range c.Watch(t.Context(), "k", clientv3.WithProgressNotify()) {
			require.NoError(t, r.Err())
			if r.IsProgressNotify() {
				break
			}
		}
	})
}
