package server_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/ordering"
	"go.etcd.io/etcd/client/v3/snapshot"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/server"
)

// What the official client's packages build on transactions, leases and
// watches works, on every engine.
func TestGoClient(t *testing.T) {
	for _, driver := range engines.All() {
		t.Run(driver.Name, func(t *testing.T) {
			engine, err := driver.Open(t.TempDir(), backend.Options{})
			require.NoError(t, err)
			s := serveOver(t, engine, server.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for name, use := range map[string]func(context.Context, *testing.T, *serving){
				"mutex": useMutex, "election": useElection, "stm": useSTM, "lease": useLease, "leasing": useLeasing,
				"ordering": useOrdering, "namespace": useNamespace, "mirror": useMirror, "snapshot": useSnapshot, "watch": useWatch,
			} {
				t.Run(name, func(t *testing.T) { use(ctx, t, s) })
			}
		})
	}
}

func session(t *testing.T, c *clientv3.Client) *concurrency.Session {
	s, err := concurrency.NewSession(c, concurrency.WithTTL(30))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// useMutex counts up without a transaction: only the lock keeps it right.
func useMutex(ctx context.Context, t *testing.T, s *serving) {
	const clients, times = 4, 5
	var all sync.WaitGroup
	for range clients {
		c := s.client(t)
		lock := concurrency.NewMutex(session(t, c), "mutex/lock")
		all.Go(func() {
			for range times {
				if !assert.NoError(t, lock.Lock(ctx)) {
					return
				}
				n := 0
				if now, err := c.Get(ctx, "mutex/n"); assert.NoError(t, err) && len(now.Kvs) > 0 {
					n, err = strconv.Atoi(string(now.Kvs[0].Value))
					assert.NoError(t, err)
				}
				_, err := c.Put(ctx, "mutex/n", strconv.Itoa(n+1))
				assert.NoError(t, err)
				assert.NoError(t, lock.Unlock(ctx))
			}
		})
	}
	all.Wait()
	c := s.client(t)
	n, err := c.Get(ctx, "mutex/n")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(clients*times), string(n.Kvs[0].Value))

	held, other := concurrency.NewMutex(session(t, c), "mutex/try"), concurrency.NewMutex(session(t, c), "mutex/try")
	require.NoError(t, held.TryLock(ctx))
	require.ErrorIs(t, other.TryLock(ctx), concurrency.ErrLocked)
	require.NoError(t, held.Unlock(ctx))
}

func useElection(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	first, second := concurrency.NewElection(session(t, c), "election"), concurrency.NewElection(session(t, c), "election")
	seen := second.Observe(ctx)
	require.NoError(t, first.Campaign(ctx, "one"))
	require.Equal(t, "one", string((<-seen).Kvs[0].Value))
	won := make(chan error, 1)
	go func() { won <- second.Campaign(ctx, "two") }()
	require.NoError(t, first.Proclaim(ctx, "still one"))
	require.Equal(t, "still one", string((<-seen).Kvs[0].Value))
	require.NoError(t, first.Resign(ctx))
	require.NoError(t, <-won)
	leader, err := first.Leader(ctx)
	require.NoError(t, err)
	require.Equal(t, "two", string(leader.Kvs[0].Value))
	require.NoError(t, second.Resign(ctx))
	_, err = second.Leader(ctx)
	require.ErrorIs(t, err, concurrency.ErrElectionNoLeader)
}

// useSTM moves money between two accounts; whatever the isolation, none is
// made or lost, since each writes what it read.
func useSTM(ctx context.Context, t *testing.T, s *serving) {
	for _, isolation := range []concurrency.Isolation{
		concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads, concurrency.ReadCommitted,
	} {
		a, b := fmt.Sprintf("stm/%d/a", isolation), fmt.Sprintf("stm/%d/b", isolation)
		c := s.client(t)
		for _, account := range []string{a, b} {
			_, err := c.Put(ctx, account, "100")
			require.NoError(t, err)
		}
		move := func(tx concurrency.STM) error {
			from, err1 := strconv.Atoi(tx.Get(a))
			to, err2 := strconv.Atoi(tx.Get(b))
			tx.Put(a, strconv.Itoa(from-1))
			tx.Put(b, strconv.Itoa(to+1))
			return errors.Join(err1, err2)
		}
		clients := 4
		if isolation == concurrency.ReadCommitted {
			clients = 1 // looks at no revision when it commits
		}
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range 5 {
					_, err := concurrency.NewSTM(c, move, concurrency.WithIsolation(isolation), concurrency.WithAbortContext(ctx))
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		now, err := c.Get(ctx, a)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(100-5*clients), string(now.Kvs[0].Value), "isolation %d", isolation)
		now, err = c.Get(ctx, b)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(100+5*clients), string(now.Kvs[0].Value), "isolation %d", isolation)
	}
}

func useLease(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	lease, err := c.Grant(ctx, 60)
	require.NoError(t, err)
	_, err = c.Put(ctx, "lease/k", "v", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	once, err := c.KeepAliveOnce(ctx, lease.ID)
	require.NoError(t, err)
	require.EqualValues(t, 60, once.TTL)
	alive, err := c.KeepAlive(ctx, lease.ID)
	require.NoError(t, err)
	require.EqualValues(t, 60, (<-alive).TTL)
	left, err := c.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("lease/k")}, left.Keys)
	_, err = c.Revoke(ctx, lease.ID)
	require.NoError(t, err)
	gone, err := c.Get(ctx, "lease/k")
	require.NoError(t, err)
	require.Empty(t, gone.Kvs)
	_, err = c.KeepAliveOnce(ctx, lease.ID)
	require.Error(t, err)
}

// useLeasing reads from a client's own copy, which another's write takes away.
func useLeasing(ctx context.Context, t *testing.T, s *serving) {
	c, other := s.client(t), s.client(t)
	kv, end, err := leasing.NewKV(c, "leasing/")
	require.NoError(t, err)
	defer end()
	otherKV, endOther, err := leasing.NewKV(other, "leasing/")
	require.NoError(t, err)
	defer endOther()
	_, err = kv.Put(ctx, "leased", "1")
	require.NoError(t, err)
	for range 2 {
		got, err := kv.Get(ctx, "leased")
		require.NoError(t, err)
		require.Equal(t, "1", string(got.Kvs[0].Value))
	}
	_, err = otherKV.Put(ctx, "leased", "2")
	require.NoError(t, err)
	got, err := kv.Get(ctx, "leased")
	require.NoError(t, err)
	require.Equal(t, "2", string(got.Kvs[0].Value))
}

func useOrdering(ctx context.Context, t *testing.T, s *serving) {
	kv := ordering.NewKV(s.client(t).KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		return errors.New("a revision went down")
	})
	for i := range 10 {
		_, err := kv.Put(ctx, "ordering", strconv.Itoa(i))
		require.NoError(t, err)
		got, err := kv.Get(ctx, "ordering", clientv3.WithSerializable())
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i), string(got.Kvs[0].Value))
	}
}

func useNamespace(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	kv, watcher := namespace.NewKV(c.KV, "namespace/"), namespace.NewWatcher(c.Watcher, "namespace/")
	defer watcher.Close()
	put, err := kv.Put(ctx, "k", "v")
	require.NoError(t, err)
	_, err = kv.Txn(ctx).If(clientv3.Compare(clientv3.Value("k"), "=", "v")).Then(clientv3.OpPut("l", "w"), clientv3.OpDelete("k")).Commit()
	require.NoError(t, err)
	var seen []string
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for answer := range watcher.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(put.Header.Revision)) {
		require.NoError(t, answer.Err())
		for _, e := range answer.Events {
			seen = append(seen, fmt.Sprintf("%s %s", e.Type, e.Kv.Key))
		}
		if len(seen) == 3 {
			break
		}
	}
	require.Equal(t, []string{"PUT k", "PUT l", "DELETE k"}, seen)
	all, err := c.Get(ctx, "namespace/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	require.Equal(t, "namespace/l", string(all.Kvs[0].Key))
}

func useMirror(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	for i := range 5 {
		_, err := c.Put(ctx, fmt.Sprintf("mirror/%d", i), "v")
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	syncer := mirror.NewSyncer(c, "mirror/", 0)
	answers, errs := syncer.SyncBase(ctx)
	base := 0
	for answer := range answers {
		base += len(answer.Kvs)
	}
	require.NoError(t, <-errs)
	require.Equal(t, 5, base)
	updates := syncer.SyncUpdates(ctx)
	_, err := c.Delete(ctx, "mirror/3")
	require.NoError(t, err)
	update := <-updates
	require.NoError(t, update.Err())
	require.Equal(t, "mirror/3", string(update.Events[0].Kv.Key))
}

func useSnapshot(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	to := filepath.Join(t.TempDir(), "snapshot.db")
	version, err := snapshot.SaveWithVersion(ctx, zap.NewNop(), clientv3.Config{Endpoints: c.Endpoints()}, to)
	require.NoError(t, err)
	require.Regexp(t, `^3\.\d+`, version)
	require.FileExists(t, to)
}

func useWatch(ctx context.Context, t *testing.T, s *serving) {
	c := s.client(t)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const mega = 1 << 20
	var puts []clientv3.Op
	for i := range 3 {
		puts = append(puts, clientv3.OpPut(fmt.Sprintf("watch/%d", i), strings.Repeat("v", mega/3)))
	}
	first, err := c.Txn(ctx).Then(puts...).Commit()
	require.NoError(t, err)
	for range 3 {
		_, err := c.Txn(ctx).Then(puts...).Commit()
		require.NoError(t, err)
	}
	last, err := c.Delete(ctx, "watch/1")
	require.NoError(t, err)
	answers := c.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision), clientv3.WithCreatedNotify(),
		clientv3.WithPrevKV(), clientv3.WithFragment(), clientv3.WithProgressNotify())
	require.True(t, (<-answers).Created)
	events := 0
	for answer := range answers {
		require.NoError(t, answer.Err())
		for _, e := range answer.Events {
			events++
			require.Equal(t, e.IsCreate(), e.PrevKv == nil, "%v of %s", e.Type, e.Kv.Key)
		}
		if answer.Header.Revision >= last.Header.Revision {
			break
		}
	}
	require.Equal(t, 4*3+1, events)
	require.NoError(t, c.RequestProgress(ctx))
	progress := <-answers
	require.True(t, progress.IsProgressNotify())
	require.GreaterOrEqual(t, progress.Header.Revision, last.Header.Revision)

	only := c.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision), clientv3.WithFilterPut())
	require.True(t, (<-only).Events[0].Type == clientv3.EventTypeDelete)
}
