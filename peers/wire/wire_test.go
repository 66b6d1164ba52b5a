package wire

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// What the client skims is what etcd's own type says.
func TestSkim(t *testing.T) {
	event := func(rev int64) *mvccpb.Event {
		return &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte("k"), Value: []byte("v"), ModRevision: rev}}
	}
	for _, c := range []struct {
		in   *pb.WatchResponse
		want response
	}{
		{&pb.WatchResponse{}, response{inOrder: true}},
		{&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 9}, WatchId: 3, Created: true}, response{watch: 3, created: true, inOrder: true}},
		{&pb.WatchResponse{WatchId: -1, Canceled: true}, response{watch: -1, canceled: true, inOrder: true}},
		{&pb.WatchResponse{WatchId: 1, Events: []*mvccpb.Event{event(5), event(6)}}, response{watch: 1, events: 2, first: 5, last: 6, inOrder: true}},
		{&pb.WatchResponse{WatchId: 1, Events: []*mvccpb.Event{event(6), event(5)}}, response{watch: 1, events: 2, first: 6, last: 5}},
	} {
		b, err := proto.Marshal(c.in)
		require.NoError(t, err)
		var got response
		require.NoError(t, got.skim(b))
		assert.Equal(t, c.want, got)
	}
	var r response
	assert.Error(t, r.skim([]byte{0x5a, 0xff}), "cut short")
}

// Every measurement runs on both servers and finds every event.
func TestMeasurements(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	binaries := NewBinaries(t.TempDir())
	for _, name := range []string{Etcd, "pebble", "bolt"} {
		t.Run(name, func(t *testing.T) {
			s, err := binaries.Start(ctx, name, t.TempDir())
			require.NoError(t, err)
			defer func() { assert.NoError(t, s.Stop()) }()
			for what, measure := range map[string]func() (map[string]float64, error){
				"rate_per_s": func() (map[string]float64, error) { return s.Puts(ctx, 4, 50*time.Millisecond, 200*time.Millisecond) },
				"cpu_ns": func() (map[string]float64, error) {
					return s.FanOut(ctx, 20, 100*time.Millisecond, 300*time.Millisecond)
				},
				"events_per_s":    func() (map[string]float64, error) { return s.CatchUp(ctx, 3, 200, 10, time.Minute) },
				"bytes_per_watch": func() (map[string]float64, error) { return s.Idle(ctx, 20, 10, 10*time.Millisecond) },
			} {
				got, err := measure()
				require.NoError(t, err)
				assert.Contains(t, got, what)
				if done, ok := got["done_ratio"]; ok {
					assert.Equal(t, 1.0, done)
				}
			}
		})
	}
}
