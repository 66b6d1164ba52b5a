package server

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// seedRequests are one behind the other, each behind its length.
func seedRequests(requests ...*pb.WatchRequest) (b []byte) {
	for _, r := range requests {
		encoded, err := proto.Marshal(r)
		if err != nil {
			panic(err)
		}
		b = protowire.AppendBytes(b, encoded)
	}
	return b
}

// Whatever a client asks for is carried out, refused or ignored: no panic, and
// every response is of a watch that was created and not canceled before
// (C15, X1), or of none.
func FuzzWatch_Requests(f *testing.F) {
	create := func(c *pb.WatchCreateRequest) *pb.WatchRequest {
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: c}}
	}
	cancel := func(id int64) *pb.WatchRequest {
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
	}
	progress := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
	f.Add(seedRequests(create(&pb.WatchCreateRequest{Key: []byte("a")}), progress, cancel(0), cancel(0)))
	f.Add(seedRequests(create(&pb.WatchCreateRequest{RangeEnd: []byte{0}, StartRevision: 1, PrevKv: true, Fragment: true, ProgressNotify: true}), progress))
	f.Add(seedRequests(create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 7, StartRevision: 2}), create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 7}), cancel(7)))
	f.Add(seedRequests(create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a")}), create(&pb.WatchCreateRequest{StartRevision: -9}), &pb.WatchRequest{}))
	f.Add(seedRequests(create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 1 << 62, WatchId: -1, Filters: []pb.WatchCreateRequest_FilterType{0, 1, 9}})))
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(f, err)
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(f, err)
	for _, k := range []string{"a", "b", "a", "", "a"} {
		_, _ = store.Put(context.Background(), []byte(k), []byte("value")) // one is refused
	}
	require.NoError(f, store.Compact(context.Background(), 3))
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(f, err)
	server, err := New(Parts{Engine: engine, Store: store, Hub: hub}, Config{MaxRequestBytes: 1})
	require.NoError(f, err)
	f.Cleanup(func() {
		require.NoError(f, server.Close())
		require.NoError(f, hub.Close())
		require.NoError(f, store.Close())
		require.NoError(f, engine.Close())
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		requests, creates := parseRequests(b)
		ctx, end := context.WithCancel(context.Background())
		rpc := &fakeRPC{ctx: ctx, cancel: end, requests: make(chan *pb.WatchRequest), sent: make(chan proto.Message)}
		over := make(chan error, 1)
		go func() { over <- server.watch.Watch(rpc) }()
		created := make(chan struct{}, creates)
		read := make(chan struct{})
		go func() {
			defer close(read)
			readFuzzed(t, rpc, created)
		}()
		for _, r := range requests {
			rpc.requests <- r
		}
		for range creates {
			<-created
		}
		end()
		<-over
		<-read
	})
}

// parseRequests reads what seedRequests writes, as far as it can be read.
func parseRequests(b []byte) (requests []*pb.WatchRequest, creates int) {
	for len(b) > 0 {
		encoded, n := protowire.ConsumeBytes(b)
		if n < 0 {
			break
		}
		b = b[n:]
		r := &pb.WatchRequest{}
		if proto.Unmarshal(encoded, r) != nil {
			continue
		}
		requests = append(requests, r)
		if r.GetCreateRequest() != nil {
			creates++
		}
	}
	return requests, creates
}

// readFuzzed checks what is sent until the stream ends, and tells of each
// Created.
func readFuzzed(t *testing.T, rpc *fakeRPC, created chan<- struct{}) {
	live := map[int64]bool{}
	for {
		var r *pb.WatchResponse
		select {
		case m := <-rpc.sent:
			r = m.ProtoReflect().Interface().(*pb.WatchResponse)
		case <-rpc.ctx.Done():
			return
		}
		if r.WatchId != watch.NoWatch {
			if r.Created == live[r.WatchId] {
				t.Errorf("live: %v, and then %v", live[r.WatchId], r)
			}
			live[r.WatchId] = !r.Canceled
		}
		if r.Created {
			created <- struct{}{}
		}
	}
}
