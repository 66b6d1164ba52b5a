package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/peers/etcd"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/etcdfile"
	"github.com/watchkv/watchkv/watch"
)

// served is watchkv behind a real socket.
type served struct {
	store  *mvcc.Store
	client *clientv3.Client
}

// serve serves an engine until the end of the test.
func serve(t *testing.T, engine backend.Engine) served {
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hub.Close()) })
	lessor, err := lease.Open(store, lease.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lessor.Close()) })
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, server.Config{ScratchDir: t.TempDir()})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(listener) }()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{listener.Addr().String()}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Close())
		g.Stop()
		require.NoError(t, srv.Close())
		require.NoError(t, <-ended)
	})
	return served{store, client}
}

func open(t *testing.T, d backend.Driver) backend.Engine {
	engine, err := d.Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	return engine
}

func startEtcd(t *testing.T, dir string) *etcd.Server {
	s, err := etcd.Start(t.Context(), etcd.Config{Dir: dir, NoFsync: true})
	require.NoError(t, err)
	return s
}

const (
	firstLease, secondLease = 0x1001, 0x1002
	leaseTTL                = 365 * 24 * 3600
)

// fill writes a history through the API: several keys in a transaction, a
// large value, deletes, leases with keys that come and go, a compaction with
// tombstones at and after it.
func fill(t *testing.T, c *clientv3.Client) {
	ctx := t.Context()
	must := func(err error) { require.NoError(t, err) }
	for _, id := range []clientv3.LeaseID{firstLease, secondLease} {
		_, err := clientv3.RetryLeaseClient(c).LeaseGrant(ctx, leaseRequest(id))
		must(err)
	}
	put := func(key, value string, opts ...clientv3.OpOption) {
		_, err := c.Put(ctx, key, value, opts...)
		must(err)
	}
	for i := range 60 {
		put(fmt.Sprintf("k%02d", i%20), fmt.Sprintf("value %d", i))
	}
	put("empty", "")
	put("large", string(make([]byte, 1<<20)))
	for i := range 6 {
		put(fmt.Sprint("leased", i), "x", clientv3.WithLease([]clientv3.LeaseID{firstLease, secondLease}[i%2]))
	}
	put("leased0", "left its lease")
	_, err := c.Txn(ctx).Then(clientv3.OpPut("t1", "1"), clientv3.OpDelete("k0", clientv3.WithPrefix()), clientv3.OpPut("t2", "2")).Commit()
	must(err)
	del, err := c.Delete(ctx, "leased1")
	must(err)
	_, err = c.Compact(ctx, del.Header.Revision, clientv3.WithCompactPhysical())
	must(err)
	put("k10", "again")
	_, err = c.Delete(ctx, "k1", clientv3.WithPrefix())
	must(err)
	put("k10", "once more")
}

// save fetches a snapshot as etcdctl does.
func save(t *testing.T, c *clientv3.Client) string {
	snap, err := c.SnapshotWithVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "3.7.0", snap.Version)
	body, err := io.ReadAll(snap.Snapshot)
	require.NoError(t, errors.Join(err, snap.Snapshot.Close()))
	path := filepath.Join(t.TempDir(), "snap.db")
	require.NoError(t, os.WriteFile(path, body, 0o600))
	return path
}

// restore makes a member's data directory of a snapshot, with etcd's tool.
func restore(t *testing.T, path string, bump uint64) (dir string) {
	dir = filepath.Join(t.TempDir(), "restored.etcd")
	require.NoError(t, etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
		SnapshotPath: path, Name: "default", OutputDataDir: dir, PeerURLs: []string{"http://127.0.0.1:0"},
		InitialCluster: "default=http://127.0.0.1:0", InitialClusterToken: "etcd-cluster", RevisionBump: bump, MarkCompacted: bump > 0,
	}))
	return dir
}

// load opens an etcd file, with or without hash, and fills an engine.
func load(t *testing.T, path string, engine backend.Engine, c etcdfile.LoadConfig) etcdfile.Info {
	file, err := etcdfile.Open(t.Context(), path, etcdfile.OpenConfig{SkipHashCheck: filepath.Base(path) == "db"})
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	_, err = file.Load(t.Context(), engine, c)
	require.NoError(t, err)
	return file.Info()
}

// requireEqual asks both servers everything: keys, revisions, leases with
// their keys, and the hash of history at several revisions.
func requireEqual(t *testing.T, a, b *clientv3.Client) {
	ctx := t.Context()
	everything := []clientv3.OpOption{clientv3.WithFromKey()}
	all, err := a.Get(ctx, "\x00", everything...)
	require.NoError(t, err)
	again, err := b.Get(ctx, "\x00", everything...)
	require.NoError(t, err)
	require.Equal(t, all.Header.Revision, again.Header.Revision)
	require.Equal(t, all.Count, again.Count)
	for i := range all.Kvs {
		require.Equal(t, all.Kvs[i].String(), again.Kvs[i].String())
	}
	for rev := all.Header.Revision; rev > all.Header.Revision-3; rev-- {
		h, err := a.HashKV(ctx, a.Endpoints()[0], rev)
		require.NoError(t, err)
		other, err := b.HashKV(ctx, b.Endpoints()[0], rev)
		require.NoError(t, err)
		require.Equal(t, h.Hash, other.Hash, "revision %d", rev)
		require.Equal(t, h.CompactRevision, other.CompactRevision)
		require.Equal(t, h.HashRevision, other.HashRevision)
	}
	require.Equal(t, leasesOf(t, a), leasesOf(t, b))
}

// leasesOf says what there is to say of leases but for the time left.
func leasesOf(t *testing.T, c *clientv3.Client) (all []string) {
	list, err := c.Leases(t.Context())
	require.NoError(t, err)
	for _, l := range list.Leases {
		ttl, err := c.TimeToLive(t.Context(), l.ID, clientv3.WithAttachedKeys())
		require.NoError(t, err)
		require.InDelta(t, leaseTTL, ttl.TTL, float64(time.Hour/time.Second))
		slices.SortFunc(ttl.Keys, slices.Compare)
		all = append(all, fmt.Sprintf("%x %d %s", l.ID, ttl.GrantedTTL, ttl.Keys))
	}
	slices.Sort(all)
	return all
}

func hashedFile(t require.TestingT, dir string, from io.Reader) string {
	body, err := io.ReadAll(from)
	require.NoError(t, err)
	sum := sha256.Sum256(body)
	path := filepath.Join(dir, "snap.db")
	require.NoError(t, os.WriteFile(path, append(body, sum[:]...), 0o600))
	return path
}

func background() context.Context { return context.Background() }
