package watchd

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// reconnecting makes a client come back soon after the server does.
var reconnecting = []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond},
	MinConnectTimeout: 5 * time.Second,
})}

type kind int

const (
	put    kind = iota
	get         // the newest version
	remove      // a delete
	swap        // put if the key's value is what this client saw last
)

// request is one operation on one key. Values of puts are unique.
type request struct {
	kind          kind
	key           string
	value, expect string
}

// answer is what came of it; known is false when the answer did not.
type answer struct {
	known bool
	seen  string // the value, of get; "" is none
	mod   int64  // its revision, of get
	done  bool   // the swap happened, or the delete found something
	wrote int64  // revision of the change; 0 if nothing changed
}

// register is one key in the model: its value, "" for none, and the revision
// of that; 0 where nobody was told.
type register struct {
	value string
	mod   int64
}

// keyModel explains the answers for each key by itself. What was not answered
// may have happened at any time after it was asked, or, at the end of time,
// not at all.
var keyModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(request).key
			byKey[key] = append(byKey[key], o)
		}
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		r, in, out := state.(register), input.(request), output.(answer)
		later := !out.known || out.wrote == 0 || out.wrote > r.mod // revisions go up
		switch in.kind {
		case put:
			return later, register{value: in.value, mod: out.wrote}
		case get:
			same := r.mod == 0 || r.mod == out.mod || r.value == ""
			return !out.known || out.seen == r.value && same, r
		case remove:
			found := r.value != ""
			return later && (!out.known || out.done == found), register{mod: max(r.mod, out.wrote)}
		default:
			if r.value == in.expect {
				return later && (!out.known || out.done), register{value: in.value, mod: out.wrote}
			}
			return !out.known || !out.done, r
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// load is clients that write and read until they are told to end.
type load struct {
	stop    context.CancelFunc // ends the clients once they are answered
	workers workers
	seen    atomic.Int64 // the highest revision that an answer had
	done    atomic.Int64 // operations answered
	step    chan struct{}

	mu      sync.Mutex
	history []porcupine.Operation
}

// loadClients is how many operations may be without an answer after each kill.
const loadClients = 8

func startLoad(ctx context.Context, t *testing.T, endpoint string) *load {
	stopping, stop := context.WithCancel(ctx)
	l := &load{stop: stop, step: make(chan struct{}, 1)}
	began := time.Now()
	for i := range loadClients {
		conn, err := grpc.NewClient(endpoint, append(reconnecting, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))...)
		require.NoError(t, err)
		l.workers.Go(func() {
			defer conn.Close()
			l.client(ctx, stopping, i, pb.NewKVClient(conn), began)
		})
	}
	t.Cleanup(func() {
		stop()
		l.workers.Wait()
	})
	return l
}

// client sends one operation after the other. What is under way when it should
// stop is still answered, so that nothing happens afterwards.
func (l *load) client(ctx, stopping context.Context, id int, kv pb.KVClient, began time.Time) {
	r := rand.New(rand.NewPCG(uint64(id), 1))
	last := map[string]string{} // what this client saw
	for n := 0; stopping.Err() == nil; n++ {
		in := request{kind: kind(r.IntN(4)), key: killKey(r.IntN(killKeys))}
		if in.kind == put || in.kind == swap {
			in.value = fmt.Sprintf("%d-%d", id, n)
		}
		in.expect = last[in.key]
		if in.kind == swap && in.expect == "" {
			in.kind = put
		}
		o := porcupine.Operation{ClientId: id, Input: in, Call: time.Since(began).Nanoseconds()}
		out, rev := in.send(ctx, kv)
		o.Output, o.Return = out, time.Since(began).Nanoseconds()
		if !out.known {
			o.Return = math.MaxInt64
		}
		if out.known && in.kind == get {
			last[in.key] = out.seen
		}
		l.mu.Lock()
		l.history = append(l.history, o)
		l.mu.Unlock()
		if !out.known {
			continue
		}
		raise(&l.seen, rev)
		l.done.Add(1)
		select {
		case l.step <- struct{}{}:
		default:
		}
	}
}

// send asks, and returns the answer and the revision it came with.
func (in request) send(ctx context.Context, kv pb.KVClient) (answer, int64) {
	switch key := []byte(in.key); in.kind {
	case put:
		a, err := kv.Put(ctx, &pb.PutRequest{Key: key, Value: []byte(in.value)})
		if err != nil {
			return answer{}, 0
		}
		return answer{known: true, wrote: a.Header.Revision}, a.Header.Revision
	case get:
		a, err := kv.Range(ctx, &pb.RangeRequest{Key: key})
		if err != nil {
			return answer{}, 0
		}
		out := answer{known: true}
		if len(a.Kvs) > 0 {
			out.seen, out.mod = string(a.Kvs[0].Value), a.Kvs[0].ModRevision
		}
		return out, a.Header.Revision
	case remove:
		a, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key})
		if err != nil {
			return answer{}, 0
		}
		out := answer{known: true, done: a.Deleted > 0}
		if out.done {
			out.wrote = a.Header.Revision
		}
		return out, a.Header.Revision
	default:
		a, err := kv.Txn(ctx, &pb.TxnRequest{
			Compare: []*pb.Compare{{
				Key: key, Target: pb.Compare_VALUE, Result: pb.Compare_EQUAL,
				TargetUnion: &pb.Compare_Value{Value: []byte(in.expect)},
			}},
			Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: []byte(in.value)}}}},
		})
		if err != nil {
			return answer{}, 0
		}
		out := answer{known: true, done: a.Succeeded}
		if out.done {
			out.wrote = a.Header.Revision
		}
		return out, a.Header.Revision
	}
}

// more waits until n more operations were answered.
func (l *load) more(ctx context.Context, t *testing.T, n int) {
	for until := l.done.Load() + int64(n); l.done.Load() < until; {
		select {
		case <-l.step:
		case <-ctx.Done():
			require.Fail(t, "the load stands still", "%d operations answered", l.done.Load())
		}
	}
}

// end lets the clients end and returns all they did.
func (l *load) end() []porcupine.Operation {
	l.stop()
	l.workers.Wait()
	return l.history
}

// unknown is how many operations had no answer; call it after end.
func (l *load) unknown() (n int) {
	for _, o := range l.history {
		if !o.Output.(answer).known {
			n++
		}
	}
	return n
}

// raise makes a at least v.
func raise(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}
