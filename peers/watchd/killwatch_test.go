package watchd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// session is one watch of the official client, as it was asked for and all it
// answered. Between two of its responses the client may have gone over to
// another stream, by itself.
type session struct {
	req       watch.Request
	responses []watch.Response
}

// watcher watches one range, by one session after the other.
type watcher struct {
	key, end string
	prev     bool
	restless bool // ends its watch now and then, and goes on by another
	sessions []*session
	at       atomic.Int64 // the revision up to which it was told
}

type watchers struct {
	stop    context.CancelFunc
	workers workers
	seen    atomic.Int64 // the highest revision that a watcher was told
	all     []*watcher
	counts  watchtest.Counts
}

// startWatchers runs watchers of everything and of single keys, each with a
// client of its own.
func startWatchers(ctx context.Context, t *testing.T, endpoint string) *watchers {
	ctx, stop := context.WithCancel(ctx)
	w := &watchers{stop: stop}
	for _, one := range []*watcher{
		{key: "k/", end: "k0"},
		{key: "k/", end: "k0", prev: true, restless: true},
		{key: killKey(1), prev: true},
		{key: killKey(2), restless: true},
		{key: killKey(3), end: killKey(7), prev: true},
		{key: "nothing"},
	} {
		client := dial(t, endpoint)
		w.all = append(w.all, one)
		w.workers.Go(func() {
			if err := one.run(ctx, client, &w.seen); err != nil {
				w.workers.failed(fmt.Errorf("watch of %s: %w", one.key, err))
			}
		})
	}
	t.Cleanup(func() {
		stop()
		w.workers.Wait()
	})
	return w
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context, client *clientv3.Client, seen *atomic.Int64) error {
	r := rand.New(rand.NewPCG(uint64(len(w.key)), 2))
	next := int64(1)
	for ctx.Err() == nil {
		limit := -1 // responses until it ends by itself
		if w.restless {
			limit = 1 + r.IntN(50)
		}
		if err := w.session(ctx, client, &next, limit, seen); err != nil {
			return err
		}
	}
	return nil
}

// session is one watch from next on, which it moves.
func (w *watcher) session(ctx context.Context, client *clientv3.Client, next *int64, limit int, seen *atomic.Int64) error {
	outer := ctx
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	s := &session{req: watch.Request{Key: []byte(w.key), StartRevision: *next, PrevKV: w.prev, Progress: true}}
	options := []clientv3.OpOption{clientv3.WithRev(*next), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify()}
	if w.end != "" {
		s.req.End = []byte(w.end)
		options = append(options, clientv3.WithRange(w.end))
	}
	if w.prev {
		options = append(options, clientv3.WithPrevKV())
	}
	w.sessions = append(w.sessions, s)
	for answer := range client.Watch(ctx, w.key, options...) {
		err := answer.Err()
		if outer.Err() != nil {
			return nil
		}
		// The stream may break while the watch is made; then the client says
		// so instead of going on.
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) && len(s.responses) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		s.responses = append(s.responses, converted(answer))
		if !answer.Created {
			*next = max(*next, answer.Header.Revision+1)
			raise(seen, answer.Header.Revision)
			raise(&w.at, answer.Header.Revision)
		}
		if limit--; limit == 0 {
			return nil
		}
	}
	return nil
}

// converted is a response as the checker knows it.
func converted(answer clientv3.WatchResponse) watch.Response {
	out := watch.Response{Revision: answer.Header.Revision, Created: answer.Created}
	for _, e := range answer.Events {
		event := mvcc.Event{Type: mvcc.EventType(e.Type), KV: convertedKV(e.Kv)}
		if e.PrevKv != nil {
			prev := convertedKV(e.PrevKv)
			event.Prev = &prev
		}
		out.Events = append(out.Events, event)
	}
	return out
}

func convertedKV(kv *mvccpb.KeyValue) mvcc.KeyValue {
	return mvcc.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}

// end waits until all watchers were told everything up to last, lets them end,
// and checks all they were told.
func (w *watchers) end(ctx context.Context, t *testing.T, truth []*mvccpb.Event, last int64) {
	for _, one := range w.all {
		// Progress comes to those for whom nothing was written.
		require.Eventually(t, func() bool { return one.at.Load() >= last || ctx.Err() != nil }, programTimeout, poll, "%s is at %d of %d", one.key, one.at.Load(), last)
	}
	w.stop()
	w.workers.Wait()
	require.NoError(t, w.workers.err)
	h := historyOf(t, truth)
	for _, one := range w.all {
		var before *watchtest.Watch
		for i, s := range one.sessions {
			check := watchtest.NewWatch(s.req, watchtest.Options{History: h, Resumes: before, EtcdRules: true})
			for _, r := range s.responses {
				require.NoError(t, check.Deliver(&r), "watch of %s, session %d", one.key, i)
			}
			upTo := s.req.StartRevision - 1
			if i == len(one.sessions)-1 {
				upTo = last
			}
			require.NoError(t, check.Finish(upTo), "watch of %s, session %d", one.key, i)
			w.counts.Add(check.Counts())
			before = check
		}
	}
	// EtcdRules leave out what is not on the wire; ours that are hold.
	require.Empty(t, w.counts.NotKept())
	require.Zero(t, w.counts.Unmatched)
	require.GreaterOrEqual(t, w.counts.Matched, int64(2*len(truth)), "both who watch everything")
}

func (w *watchers) summary() string {
	return fmt.Sprintf("%d watches, %d events and %d progress notifications checked", w.counts.Watches, w.counts.Matched, w.counts.Progress)
}
