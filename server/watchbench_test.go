package server_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/mvcc"
)

// rawStreams opens watch streams over the one connection, each with watches of
// everything from a revision on, whose responses are received as bytes: so
// that the client takes as little as it can.
func (w *watched) rawStreams(streams, each int, from int64) []grpc.ClientStream {
	all := make([]grpc.ClientStream, streams)
	for i := range all {
		rpc, err := w.conn.NewStream(w.ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
			pb.Watch_Watch_FullMethodName, grpc.ForceCodecV2(discardCodec{}))
		require.NoError(w.t, err)
		for range each {
			require.NoError(w.t, rpc.SendMsg(createRequest(&pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: from})))
		}
		for range each {
			var size int
			require.NoError(w.t, rpc.RecvMsg(&size))
		}
		all[i] = rpc
	}
	return all
}

// An event for a thousand watches on a hundred streams, one a message: put,
// and wait until everybody has it. ns/event is server and client together.
func BenchmarkFanOutOverGRPC(b *testing.B) {
	const streams, each = 100, 10
	w := serveWatches(b, setup{})
	received := make(chan error, streams)
	for _, rpc := range w.rawStreams(streams, each, 0) {
		go func() {
			for {
				for range each {
					var size int
					if err := rpc.RecvMsg(&size); err != nil {
						received <- err
						return
					}
				}
				received <- nil
			}
		}()
	}
	value := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		w.write(fmt.Sprintf("%064d", 7), value)
		for range streams {
			require.NoError(b, <-received)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*streams*each), "ns/event")
	require.NoError(b, w.conn.Close())
	for range streams {
		<-received
	}
}

// A history of 20,000 revisions, out of the recent log, read by one watch and
// by a hundred on streams of their own.
func BenchmarkCatchUpOverGRPC(b *testing.B) {
	for _, watches := range []int{1, 100} {
		b.Run(fmt.Sprintf("watches=%d", watches), func(b *testing.B) { benchmarkCatchUp(b, watches) })
	}
}

func benchmarkCatchUp(b *testing.B, watches int) {
	const revisions = 20_000
	w := serveWatches(b, setup{store: mvcc.Config{RecentBytes: 1}})
	value, size := make([]byte, 256), 0
	for i := range revisions {
		w.write(fmt.Sprintf("%064d", i), value)
	}
	first := w.rawStreams(1, 1, 2)[0]
	for size < revisions*(64+256) { // how many bytes it all is depends on where it is cut, a little
		var n int
		require.NoError(b, first.RecvMsg(&n))
		size += n
	}
	b.SetBytes(int64(watches * size))
	b.ReportAllocs()
	for b.Loop() {
		done := make(chan error, watches)
		for _, rpc := range w.rawStreams(watches, 1, 2) {
			go func() {
				for got := 0; got < revisions*(64+256); {
					var n int
					if err := rpc.RecvMsg(&n); err != nil {
						done <- err
						return
					}
					got += n
				}
				done <- nil
			}()
		}
		for range watches {
			require.NoError(b, <-done)
		}
	}
	b.ReportMetric(float64(b.N*watches*revisions)/b.Elapsed().Seconds(), "events/s")
}
