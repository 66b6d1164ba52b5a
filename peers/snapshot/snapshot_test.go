package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

func leaseRequest(id clientv3.LeaseID) *pb.LeaseGrantRequest {
	return &pb.LeaseGrantRequest{ID: int64(id), TTL: leaseTTL}
}

// R5 over the wire: a snapshot of watchd, from any engine, is taken by etcd's
// tools; a real etcd starts on it and is equal. Its own snapshot, and its file
// once it is stopped, bring everything back.
func TestThereAndBack(t *testing.T) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			ours := serve(t, open(t, d))
			fill(t, ours.client)
			path := save(t, ours.client)
			requireStatus(t, path, ours.store)

			theirs := startEtcd(t, restore(t, path, 0))
			requireEqual(t, ours.client, theirs.Client)
			_, err := theirs.Client.Put(t.Context(), "written by", "etcd")
			require.NoError(t, err)
			_, err = ours.client.Put(t.Context(), "written by", "etcd")
			require.NoError(t, err)

			engine := open(t, d)
			load(t, save(t, theirs.Client), engine, etcdfile.LoadConfig{})
			requireEqual(t, ours.client, serve(t, engine).client)
			require.NoError(t, theirs.Stop())
			engine = open(t, d)
			info := load(t, theirs.File(), engine, etcdfile.LoadConfig{})
			require.NotNil(t, info.WAL)
			require.NoError(t, info.WAL.Err)
			require.Zero(t, info.WAL.Missing, "a member that was stopped cleanly")
			requireEqual(t, ours.client, serve(t, engine).client)
		})
	}
}

// requireStatus holds etcd's own reading of a file against the store and ours.
func requireStatus(t *testing.T, path string, store *mvcc.Store) {
	st, err := etcdutl.NewV3(zap.NewNop()).Status(path)
	require.NoError(t, err)
	require.Equal(t, store.Rev(), st.Revision)
	all, err := store.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{CountOnly: true})
	require.NoError(t, err)
	require.EqualValues(t, all.Count, st.TotalKey)
	file, err := etcdfile.Open(t.Context(), path, etcdfile.OpenConfig{})
	require.NoError(t, err)
	ours, err := file.Status(t.Context())
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, etcdfile.Status(st), ours)
}

// A file with authentication enabled is refused; without its users it loads.
func TestFromEtcd_AuthEnabled(t *testing.T) {
	t.Parallel()
	theirs := startEtcd(t, t.TempDir())
	c, ctx := theirs.Client, t.Context()
	_, err := c.Put(ctx, "secret", "x")
	require.NoError(t, err)
	_, err = c.UserAdd(ctx, "root", "password")
	require.NoError(t, err)
	_, err = c.UserGrantRole(ctx, "root", "root")
	require.NoError(t, err)
	_, err = c.AuthEnable(ctx)
	require.NoError(t, err)
	require.NoError(t, theirs.Stop())
	file, err := etcdfile.Open(ctx, theirs.File(), etcdfile.OpenConfig{SkipHashCheck: true})
	require.NoError(t, err)
	defer file.Close()
	engine := open(t, mem.Driver())
	_, err = file.Load(ctx, engine, etcdfile.LoadConfig{})
	require.ErrorIs(t, err, etcdfile.ErrAuthEnabled)
	_, err = file.Load(ctx, engine, etcdfile.LoadConfig{DiscardAuth: true})
	require.NoError(t, err)
	got, err := serve(t, engine).client.Get(ctx, "secret")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
}

// What is only in the member's WAL is counted.
func TestFromEtcd_ChangesOnlyInTheWAL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := startEtcd(t, dir)
	ctx := t.Context()
	_, err := theirs.Client.Put(ctx, "in the file", "x")
	require.NoError(t, err)
	require.NoError(t, theirs.Stop())
	early, err := os.ReadFile(theirs.File())
	require.NoError(t, err)
	theirs = startEtcd(t, dir)
	for i := range 7 {
		_, err := theirs.Client.Put(ctx, "in the log", fmt.Sprint(i))
		require.NoError(t, err)
	}
	require.NoError(t, theirs.Stop())
	// As if it had ended before its file had them.
	require.NoError(t, os.WriteFile(theirs.File(), early, 0o600))
	file, err := etcdfile.Open(ctx, theirs.File(), etcdfile.OpenConfig{SkipHashCheck: true})
	require.NoError(t, err)
	defer file.Close()
	wal := file.Info().WAL
	require.NotNil(t, wal)
	require.NoError(t, wal.Err)
	require.GreaterOrEqual(t, wal.Missing, 7)
	require.LessOrEqual(t, wal.Missing, 10, "some are the server's own")
	require.Greater(t, wal.Last, file.Info().ConsistentIndex)
}

// R4: etcd's tool bumps a snapshot of ours, before and after an etcd ran on it.
func TestFromEtcd_Bumped(t *testing.T) {
	t.Parallel()
	const bump = 1000
	ours := serve(t, open(t, mem.Driver()))
	fill(t, ours.client)
	rev := ours.store.Rev()
	dir := restore(t, save(t, ours.client), bump)
	check := func() {
		engine := open(t, mem.Driver())
		load(t, filepath.Join(dir, "member", "snap", "db"), engine, etcdfile.LoadConfig{})
		bumped := serve(t, engine)
		require.Equal(t, rev+bump, bumped.store.Rev())
		requireSameKeys(t, ours.client, bumped.client)
		requireTold(t, bumped.client, rev)
	}
	check()
	theirs := startEtcd(t, dir)
	require.Eventually(t, func() bool { // it compacts
		h, err := theirs.Client.HashKV(t.Context(), theirs.Client.Endpoints()[0], 0)
		return err == nil && h.CompactRevision == rev+bump
	}, 30*time.Second, 10*time.Millisecond)
	requireSameKeys(t, ours.client, theirs.Client)
	require.NoError(t, theirs.Stop())
	check()
}

// R4 over the wire: a restore of ours that bumps tells old watchers (C11) and
// readers, and new ones go on from there.
func TestRestore_BumpTellsOldWatchers(t *testing.T) {
	t.Parallel()
	ours := serve(t, open(t, mem.Driver()))
	fill(t, ours.client)
	path := save(t, ours.client)
	_, err := ours.client.Put(t.Context(), "after the backup", "seen by clients")
	require.NoError(t, err)
	seen := ours.store.Rev()
	engine := open(t, mem.Driver())
	load(t, path, engine, etcdfile.LoadConfig{Bump: 500})
	restored := serve(t, engine)
	requireTold(t, restored.client, seen)
	requireTold(t, restored.client, seen+1)
	_, err = restored.client.Get(t.Context(), "k19", clientv3.WithRev(seen))
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
	got, err := restored.client.Get(t.Context(), "k19")
	require.NoError(t, err)
	require.Equal(t, seen-1+500, got.Header.Revision)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := restored.client.Watch(ctx, "k19", clientv3.WithRev(got.Header.Revision+1))
	put, err := restored.client.Put(ctx, "k19", "new")
	require.NoError(t, err)
	first := <-events
	require.NoError(t, first.Err())
	require.Equal(t, put.Header.Revision, first.Events[0].Kv.ModRevision)
}

func requireTold(t *testing.T, c *clientv3.Client, from int64) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for w := range c.Watch(ctx, "k19", clientv3.WithRev(from)) {
		if w.Created {
			continue
		}
		require.ErrorIs(t, w.Err(), rpctypes.ErrCompacted)
		require.Greater(t, w.CompactRevision, from)
		return
	}
	require.Fail(t, "the watch ended without a word")
}

// requireSameKeys compares keys but for what a bump changes: the revision of
// the answer.
func requireSameKeys(t *testing.T, a, b *clientv3.Client) {
	all, err := a.Get(t.Context(), "\x00", clientv3.WithFromKey())
	require.NoError(t, err)
	again, err := b.Get(t.Context(), "\x00", clientv3.WithFromKey())
	require.NoError(t, err)
	require.Equal(t, all.Count, again.Count)
	for i := range all.Kvs {
		require.Equal(t, all.Kvs[i].String(), again.Kvs[i].String())
	}
}
