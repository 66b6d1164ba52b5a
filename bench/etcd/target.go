package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
)

// target is the keys of one scenario on the server.
type target struct {
	kind   *Kind
	prefix string
	usage  atomic.Pointer[bench.ServerUsage] // at the last look

	mu    sync.Mutex // guards what is below; held while a connection is closed
	next  int        // number of the next connection, for the endpoints' turns
	conns []*connection
}

// connection is shared by uses streams, and closed by the last of them.
type connection struct {
	conn *grpc.ClientConn
	uses int
}

// Prefix implements bench.Prefixed.
func (t *target) Prefix() string { return t.prefix }

// patience is how long a measured write may take at least: a server that is
// overloaded gives up by itself after 7 s, and that is worth knowing.
const patience = 15 * time.Second

// withPatience bounds a measured write.
func (t *target) withPatience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(patience, t.kind.config.CommandTimeout))
}

// within bounds one request that is not measured.
func (t *target) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.kind.config.CommandTimeout)
}

// ours refuses keys that are somebody else's.
func (t *target) ours(key []byte) error {
	if !bytes.HasPrefix(key, []byte(t.prefix)) {
		return fmt.Errorf("etcd: key %q is not under %s, where this run writes", key, t.prefix)
	}
	return nil
}

// Put implements bench.Target. An error that is neither bench.ErrSpent nor
// bench.ErrRefused leaves open whether the key was written.
func (t *target) Put(ctx context.Context, key, value []byte) (int64, error) {
	if err := errors.Join(t.ours(key), t.kind.spend(len(key), len(value))); err != nil {
		return 0, err
	}
	ctx, cancel := t.withPatience(ctx)
	defer cancel()
	r, err := t.kind.client.Put(ctx, string(key), string(value))
	if err != nil {
		return 0, t.kind.writeError(err)
	}
	t.kind.noteRev(r.Header.Revision)
	return r.Header.Revision, nil
}

// Delete implements bench.Deleter.
func (t *target) Delete(ctx context.Context, key []byte) (int64, error) {
	if err := errors.Join(t.ours(key), t.kind.spend(len(key), 0)); err != nil {
		return 0, err
	}
	ctx, cancel := t.withPatience(ctx)
	defer cancel()
	r, err := t.kind.client.Delete(ctx, string(key))
	switch {
	case err != nil:
		return 0, t.kind.writeError(err)
	case r.Deleted == 0:
		return 0, nil
	}
	t.kind.noteRev(r.Header.Revision)
	return r.Header.Revision, nil
}

// Rev implements bench.Target. The read is linearizable.
func (t *target) Rev(ctx context.Context) (int64, error) {
	ctx, cancel := t.within(ctx)
	defer cancel()
	r, err := t.kind.client.Get(ctx, t.prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("etcd: %w", t.kind.gone(err))
	}
	t.kind.noteRev(r.Header.Revision)
	return r.Header.Revision, nil
}

// Read implements bench.Reader.
func (t *target) Read(ctx context.Context, key, end []byte, limit int64) (keys, size int64, err error) {
	ctx, cancel := t.within(ctx)
	defer cancel()
	r, err := t.kind.client.Get(ctx, string(key), clientv3.WithRange(string(end)), clientv3.WithLimit(limit))
	if err != nil {
		return 0, 0, fmt.Errorf("etcd: %w", t.kind.gone(err))
	}
	for _, kv := range r.Kvs {
		size += int64(len(kv.Key) + len(kv.Value))
	}
	return int64(len(r.Kvs)), size, nil
}

// NewStream implements bench.Target.
func (t *target) NewStream(name string) (bench.Stream, error) {
	conn, err := t.connect()
	if err != nil {
		return nil, err
	}
	s, err := t.newStream(name, pb.NewWatchClient(conn.conn))
	if err != nil {
		return nil, errors.Join(err, t.leave(conn))
	}
	s.conn = conn
	return s, nil
}

// connect is a new connection while there are fewer than MaxConnections, else
// the one that fewest streams use.
func (t *target) connect() (*connection, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.conns) >= MaxConnections {
		least := slices.MinFunc(t.conns, func(a, b *connection) int { return a.uses - b.uses })
		least.uses++
		return least, nil
	}
	conn, err := t.kind.dial(t.next)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	t.next++
	c := &connection{conn: conn, uses: 1}
	t.conns = append(t.conns, c)
	return c, nil
}

// leave ends a stream's use of its connection.
func (t *target) leave(c *connection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.uses--; c.uses > 0 {
		return nil
	}
	t.conns = slices.DeleteFunc(t.conns, func(x *connection) bool { return x == c })
	return ignoreClosed(c.conn.Close())
}

// Close implements bench.Target: it ends the connections and deletes the keys.
// What cannot be deleted now is tried again by Kind.Close.
func (t *target) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, c := range t.conns { // of streams that nobody closed
		errs = append(errs, ignoreClosed(c.conn.Close()))
	}
	t.conns = nil
	if !t.kind.away.Load() {
		_ = t.kind.clean(t.prefix) // Kind.Close tries again, and says what stays
	}
	return errors.Join(errs...)
}

// compactable is a target whose history may be compacted.
type compactable struct{ *target }

// Compact implements bench.Compactor.
func (t compactable) Compact(ctx context.Context, rev int64) error {
	ctx, cancel := t.within(ctx)
	defer cancel()
	_, err := t.kind.client.Compact(ctx, rev)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("etcd: %w", &mvcc.CompactedError{Requested: rev})
	}
	if err != nil {
		return fmt.Errorf("etcd: compact at %d: %w", rev, t.kind.gone(err))
	}
	return nil
}

var (
	_ bench.Deleter   = (*target)(nil)
	_ bench.Reader    = (*target)(nil)
	_ bench.Filler    = (*target)(nil)
	_ bench.Prefixed  = (*target)(nil)
	_ bench.Compactor = compactable{}
)
