package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/mvcc"
)

// sameEvents holds the events of a response against all of their fields.
func sameEvents(t *testing.T, r *pb.WatchResponse, want ...*mvccpb.Event) {
	t.Helper()
	require.True(t, proto.Equal(&pb.WatchResponse{Events: want}, &pb.WatchResponse{Events: r.Events}), "want %v\ngot  %v", want, r.Events)
}

// E1, E5, E6, G4 and G8 over the wire.
func TestWatch_EventsOfATransaction(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.put("b")
	s.create(prefix(""))
	s.txn("c", "-b", "a")
	put := func(k string, create, mod, version int64) *mvccpb.Event {
		return &mvccpb.Event{Kv: &mvccpb.KeyValue{
			Key: []byte(k), Value: []byte("value of " + k), CreateRevision: create, ModRevision: mod, Version: version,
		}}
	}
	r := s.next()
	sameEvents(t, r, put("c", 3, 3, 1),
		&mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte("b"), ModRevision: 3}}, put("a", 3, 3, 1))
	assert.EqualValues(t, 3, r.Header.Revision)
	s.txn("b", "c")
	sameEvents(t, s.next(), put("b", 4, 4, 1), put("c", 3, 4, 2))
}

// E3, E4 and E8 over the wire.
func TestWatch_WhatIsAnEvent(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(prefix(""))
	s.put("a", "a") // the same value
	assert.EqualValues(t, 1, s.event(0).Events[0].Kv.Version)
	assert.EqualValues(t, 2, s.event(0).Events[0].Kv.Version)
	s.txn("-nobody")
	s.compact(3)
	assert.EqualValues(t, 3, s.nothing())
}

// P1 over the wire, live and from history.
func TestWatch_PreviousValues(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	live := prefix("")
	live.PrevKv = true
	s.create(live)
	s.write("a", []byte("1"))
	s.write("a", []byte("2"))
	s.txn("-a")
	first := &mvccpb.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1}
	second := &mvccpb.KeyValue{Key: []byte("a"), Value: []byte("2"), CreateRevision: 2, ModRevision: 3, Version: 2}
	want := []*mvccpb.Event{
		{Kv: first}, {Kv: second, PrevKv: first},
		{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte("a"), ModRevision: 4}, PrevKv: second},
	}
	for _, w := range want {
		sameEvents(t, s.event(0), w)
	}
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2, PrevKv: true})
	sameEvents(t, s.next(), want...)
}

// P2 over the wire: what is compacted is absent, and counted.
func TestWatch_PreviousValueIsCompacted(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.put("a", "a", "a")
	s.compact(3)
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 3, PrevKv: true})
	r := s.next()
	require.Len(t, r.Events, 2)
	assert.Nil(t, r.Events[0].PrevKv)
	assert.NotNil(t, r.Events[1].PrevKv)
	assert.EqualValues(t, 1, s.hub.Stats().PrevKVMissing)
}

// F1 and F2 over the wire; F3 is that the gauges are zero in the end.
func TestWatch_Filters(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	for _, f := range [][]pb.WatchCreateRequest_FilterType{
		{pb.WatchCreateRequest_NOPUT}, {pb.WatchCreateRequest_NODELETE},
		{pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE},
	} {
		s.create(&pb.WatchCreateRequest{Key: []byte("a"), Filters: f})
	}
	s.put("a")
	assert.Equal(t, []string{"a"}, keys(s.event(1)))
	rev := s.txn("-a")
	assert.Equal(t, []string{"-a"}, keys(s.event(0)))
	assert.Equal(t, rev, s.nothing(), "the watch that gets none has advanced too")
	stats := s.hub.Stats()
	assert.Zero(t, stats.PendingBytes)
	assert.EqualValues(t, 2, stats.EventsDispatched)
	assert.Equal(t, 3, stats.Synced)
}

// A response of everything that a client of the generated code knows, by a key
// with a lease and bytes that are no text.
func TestWatch_EveryFieldArrives(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	name, value := "\xff\x00k", []byte{0, 0xff, 0x80}
	created := s.create(key(name))
	got, err := s.store.Txn(s.ctx, mvcc.Txn{Then: []mvcc.Op{{Type: mvcc.OpPut, Key: []byte(name), Value: value, Lease: 1 << 62}}})
	require.NoError(t, err)
	r := s.next()
	header := proto.CloneOf(created.Header)
	header.Revision = got.Rev
	require.NotZero(t, header.ClusterId)
	require.NotZero(t, header.MemberId)
	require.NotZero(t, header.RaftTerm)
	want := &pb.WatchResponse{Header: header, Events: []*mvccpb.Event{{Kv: &mvccpb.KeyValue{
		Key: []byte(name), Value: value, CreateRevision: 2, ModRevision: 2, Version: 1, Lease: 1 << 62,
	}}}}
	assert.True(t, proto.Equal(want, r), "want %v\ngot  %v", want, r)
}
