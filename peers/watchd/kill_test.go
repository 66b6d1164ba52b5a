package watchd

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/peers/process"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// killKeys is how many keys the load writes: few, so that its operations meet.
const killKeys = 10

func killKey(i int) string { return "k/" + strconv.Itoa(i) }

// kills is how often watchd is killed under load, and between is how many
// answered operations are between one kill and the next.
func kills() (times, between int) {
	if *whole {
		return 50, 1000
	}
	return 8, 300
}

// G1, G2, G3, G4, G5, G6, G7, G9, R1, R2 and R3 over the wire: watchd is killed at once, again and
// again, under writers and watchers that go on when it is back. Everything
// acknowledged is there, what any watcher saw stays, in the same order, the
// answers have an order that explains them, and compaction is never undone.
func TestKill(t *testing.T) {
	for _, engine := range engines {
		if engine == "mem" {
			continue // keeps nothing
		}
		t.Run(engine, func(t *testing.T) {
			c := process.Config{Program: bin.watchd, Dir: t.TempDir(), Args: []string{"--watch-progress-notify-interval", "100ms"}}
			server, err := process.StartWatchd(t.Context(), engine, c)
			require.NoError(t, err)
			c.Port = server.Port
			defer func() { server.Kill() }()

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			load := startLoad(ctx, t, server.Endpoint())
			watchers := startWatchers(ctx, t, server.Endpoint())
			times, between := kills()
			for range times {
				load.more(ctx, t, between)
				server.Kill()
				seen := max(load.seen.Load(), watchers.seen.Load())
				server, err = process.StartWatchd(ctx, engine, c)
				require.NoError(t, err)
				// R2
				require.GreaterOrEqual(t, revisionOf(ctx, t, server.Endpoint()), seen, "the revision went down over a kill")
			}
			load.more(ctx, t, between)
			history := load.end()

			client := dial(t, server.Endpoint())
			last := revisionOf(ctx, t, server.Endpoint())
			truth := allEvents(ctx, t, client, last)
			checkWrites(t, truth, history)
			checkState(ctx, t, client, truth, 0)
			watchers.end(ctx, t, truth, last)
			result := porcupine.CheckOperationsTimeout(keyModel, history, time.Minute)
			assert.Equal(t, porcupine.Ok, result, "no order explains the answers")
			t.Logf("%d operations, %d without an answer; %d revisions; %s", len(history), load.unknown(), last, watchers.summary())

			server = killCompaction(ctx, t, engine, c, server, truth)
			require.NoError(t, server.Stop())
		})
	}
}

// killCompaction is R3: a kill right after a compaction was acknowledged.
func killCompaction(ctx context.Context, t *testing.T, engine string, c process.Config, server *process.Server, truth []*mvccpb.Event) *process.Server {
	last := truth[len(truth)-1].Kv.ModRevision
	for part := int64(1); part <= 3; part++ {
		at := last * part / 4
		_, err := dial(t, server.Endpoint()).Compact(ctx, at)
		require.NoError(t, err)
		server.Kill()
		server, err = process.StartWatchd(ctx, engine, c)
		require.NoError(t, err)
		client := dial(t, server.Endpoint())
		_, err = client.Get(ctx, killKey(0), clientv3.WithRev(at-1))
		require.ErrorIs(t, err, rpctypes.ErrCompacted, "compaction at %d was undone", at)
		told, ok := <-client.Watch(ctx, killKey(0), clientv3.WithRev(at-1))
		require.True(t, ok)
		require.Equal(t, at, told.CompactRevision)
		checkState(ctx, t, client, truth, at)
		checkState(ctx, t, client, truth, 0)
	}
	return server
}

func dial(t *testing.T, endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialOptions: reconnecting, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func revisionOf(ctx context.Context, t *testing.T, endpoint string) int64 {
	client := dial(t, endpoint)
	defer client.Close()
	answer, err := client.Get(ctx, "nothing")
	require.NoError(t, err)
	return answer.Header.Revision
}

// allEvents is the whole history up to last, as the server tells it now.
func allEvents(ctx context.Context, t *testing.T, client *clientv3.Client, last int64) (events []*mvccpb.Event) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := int64(2)
	for answer := range client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithProgressNotify()) {
		require.NoError(t, answer.Err())
		for _, e := range answer.Events {
			require.Equal(t, next, e.Kv.ModRevision, "each revision is one change of one key")
			next++
			events = append(events, (*mvccpb.Event)(e))
		}
		if next > last {
			return events
		}
	}
	require.Fail(t, "the watch ended", "at revision %d of %d", next, last)
	return nil
}

// checkWrites compares what was acknowledged with what is there: every
// acknowledged write is, at its revision, and nothing is that nobody sent.
func checkWrites(t *testing.T, truth []*mvccpb.Event, history []porcupine.Operation) {
	sent := map[string]bool{} // values of puts, and keys of deletes, that may be there
	for _, o := range history {
		in, out := o.Input.(request), o.Output.(answer)
		switch in.kind {
		case put, swap:
			sent[in.value] = true
		case remove:
			sent[in.key] = true
		}
		if !out.known || out.wrote == 0 {
			continue
		}
		require.LessOrEqual(t, out.wrote, truth[len(truth)-1].Kv.ModRevision, "%v -> %v is gone", in, out)
		e := truth[out.wrote-2]
		require.Equal(t, in.key, string(e.Kv.Key), "%v -> %v", in, out)
		require.Equal(t, in.kind == remove, e.Type == mvccpb.Event_DELETE, "%v -> %v", in, out)
		require.Equal(t, in.value, string(e.Kv.Value), "%v -> %v", in, out)
	}
	for _, e := range truth {
		if e.Type == mvccpb.Event_DELETE {
			require.True(t, sent[string(e.Kv.Key)], "nobody deleted %v", e)
		} else {
			require.True(t, sent[string(e.Kv.Value)], "nobody wrote %v", e)
		}
	}
}

// checkState compares the keys at a revision, 0 for now, with the history.
func checkState(ctx context.Context, t *testing.T, client *clientv3.Client, truth []*mvccpb.Event, rev int64) {
	want := map[string]string{}
	for _, e := range truth {
		if rev != 0 && e.Kv.ModRevision > rev {
			break
		}
		if delete(want, string(e.Kv.Key)); e.Type == mvccpb.Event_PUT {
			want[string(e.Kv.Key)] = fmt.Sprintf("%s %d %d %d", e.Kv.Value, e.Kv.CreateRevision, e.Kv.ModRevision, e.Kv.Version)
		}
	}
	answer, err := client.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(rev))
	require.NoError(t, err)
	got := map[string]string{}
	for _, kv := range answer.Kvs {
		got[string(kv.Key)] = fmt.Sprintf("%s %d %d %d", kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
	}
	require.Equal(t, want, got, "at revision %d", rev)
}

// historyOf is what was written, for the checker of watches.
func historyOf(t *testing.T, truth []*mvccpb.Event) *watchtest.History {
	h := watchtest.NewHistory(watchtest.HistoryConfig{})
	for _, e := range truth {
		change := watchtest.Change{Type: mvcc.EventType(e.Type), Key: e.Kv.Key, Value: e.Kv.Value}
		require.NoError(t, h.Commit(e.Kv.ModRevision, change))
	}
	return h
}

// workers are goroutines, and the first error of one.
type workers struct {
	sync.WaitGroup
	mu  sync.Mutex
	err error
}

func (w *workers) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}
