package wire

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// generated is the events as the generated code has them.
func generated(events []mvcc.Event) []*mvccpb.Event {
	var out []*mvccpb.Event
	for i := range events {
		e := &events[i]
		to := &mvccpb.Event{Type: mvccpb.Event_EventType(e.Type), Kv: generatedKV(&e.KV)}
		if e.Type == mvcc.EventDelete {
			to.Kv = &mvccpb.KeyValue{Key: e.KV.Key, ModRevision: e.KV.ModRevision}
		}
		if e.Prev != nil {
			to.PrevKv = generatedKV(e.Prev)
		}
		out = append(out, to)
	}
	return out
}

func generatedKV(kv *mvcc.KeyValue) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}

var members = rapid.Custom(func(t *rapid.T) *pb.ResponseHeader {
	return &pb.ResponseHeader{
		ClusterId: rapid.Uint64().Draw(t, "cluster"), MemberId: rapid.Uint64().Draw(t, "member"),
		RaftTerm: rapid.Uint64().Draw(t, "term"),
	}
})

var keyValues = rapid.Custom(func(t *rapid.T) mvcc.KeyValue {
	return mvcc.KeyValue{
		Key:            rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "key"),
		Value:          rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "value"),
		CreateRevision: rapid.Int64().Draw(t, "create"),
		ModRevision:    rapid.Int64().Draw(t, "mod"),
		Version:        rapid.Int64().Draw(t, "version"),
		Lease:          rapid.Int64().Draw(t, "lease"),
	}
})

var runs = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) mvcc.Event {
	e := mvcc.Event{KV: keyValues.Draw(t, "kv")}
	if rapid.Bool().Draw(t, "delete") {
		e.Type = mvcc.EventDelete
	}
	if rapid.Bool().Draw(t, "has previous") {
		kv := keyValues.Draw(t, "previous")
		e.Prev = &kv
	}
	return e
}), 0, 6)

// check holds a batch against the generated code, byte by byte: the id is a
// WatchResponse with nothing else, the rest one without it.
func check(t require.TestingT, header *pb.ResponseHeader, events []mvcc.Event, rev, id int64) {
	encoder := NewEncoder(header)
	b := encoder.Encode(events, rev)
	want := &pb.WatchResponse{Header: proto.CloneOf(header), WatchId: id, Events: generated(events)}
	want.Header.Revision = rev

	idPart, err := proto.Marshal(&pb.WatchResponse{WatchId: id})
	require.NoError(t, err)
	without := proto.CloneOf(want)
	without.WatchId = 0
	rest, err := proto.Marshal(without)
	require.NoError(t, err)
	got := b.Message(id).Bytes()
	require.Equal(t, append(idPart, rest...), got)
	require.Equal(t, len(got), b.Size(id))
	require.Equal(t, len(got), b.Message(id).Size())
	require.True(t, b.EncodedBy(encoder))
	same(t, want, decode(t, b.Message(id)))
}

func same(t require.TestingT, want, got proto.Message) {
	require.True(t, proto.Equal(want, got), "want %.2000v\ngot %.2000v", want, got)
}

func decode(t require.TestingT, m *Message) *pb.WatchResponse {
	out := &pb.WatchResponse{}
	require.NoError(t, proto.Unmarshal(m.Bytes(), out))
	return out
}

// E5, P1 and everything else of an event, in the generated code's bytes.
func TestBatch_IsTheGeneratedBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		check(t, members.Draw(t, "member"), runs.Draw(t, "events"), rapid.Int64().Draw(t, "revision"), rapid.Int64().Draw(t, "id"))
	})
}

// What a store wrote, of which records and not fields go to the wire: as it is
// live, from the recent log, and as it is read from the engine.
func TestBatch_StoredRecordsAreTheGeneratedBytes(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		engine, err := mem.Driver().Open("", backend.Options{})
		require.NoError(t, err)
		defer engine.Close()
		store, err := mvcc.Open(engine, mvcc.Config{})
		require.NoError(t, err)
		defer store.Close()
		keys := rapid.SampledFrom([]string{"a", "b", "\x00", "\xff", strings.Repeat("k", 200)})
		for range rapid.IntRange(1, 12).Draw(t, "operations") {
			key := []byte(keys.Draw(t, "key"))
			op := mvcc.Op{Type: mvcc.OpDeleteRange, Key: key}
			if rapid.IntRange(0, 3).Draw(t, "put") > 0 {
				op = mvcc.Op{Type: mvcc.OpPut, Key: key, Value: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value"), Lease: rapid.Int64Min(0).Draw(t, "lease")}
			}
			_, err := store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{op}})
			require.NoError(t, err)
		}
		read, err := store.History(ctx, mvcc.HistoryQuery{From: 1, To: store.Rev()})
		require.NoError(t, err)
		commits, _, ok := store.Recent(nil, 2, 1000)
		require.True(t, ok)
		var live []mvcc.Event
		for _, c := range commits {
			live = append(live, c.Events...)
		}
		for _, events := range [][]mvcc.Event{live, read.Events} {
			for i := range events {
				require.NotEmpty(t, events[i].Record())
			}
			check(t, &pb.ResponseHeader{MemberId: 1}, events, store.Rev(), 3)
		}
	})
}

func FuzzBatch_IsTheGeneratedBytes(f *testing.F) {
	f.Add(uint64(1), uint64(2), int64(7), int64(0), []byte("k"), []byte("v"), int64(1), int64(7), int64(2), int64(0), false, []byte(nil))
	f.Add(uint64(1)<<63, uint64(0), int64(-1), int64(-1), []byte{}, []byte{}, int64(0), int64(0), int64(0), int64(-5), true, []byte("old"))
	f.Add(uint64(9), uint64(2), int64(128), int64(1024), make([]byte, 128), make([]byte, 20000), int64(1), int64(1<<40), int64(3), int64(9), false, []byte("old"))
	f.Fuzz(func(t *testing.T, cluster, member uint64, rev, id int64, key, value []byte, create, mod, version, lease int64, deleted bool, prev []byte) {
		kv := mvcc.KeyValue{Key: key, Value: value, CreateRevision: create, ModRevision: mod, Version: version, Lease: lease}
		events := []mvcc.Event{{KV: kv}, {KV: kv, Prev: &mvcc.KeyValue{Key: key, Value: prev, ModRevision: create}}}
		if deleted {
			events[0].Type = mvcc.EventDelete
		}
		check(t, &pb.ResponseHeader{ClusterId: cluster, MemberId: member, RaftTerm: 2}, events, rev, id)
	})
}

// S1 to S4 of whatever is cut: fragments hold all events in order and everything
// else alike, all but the last are marked, and each is below the limit or has
// a single event.
func TestBatch_Fragments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := runs.Draw(t, "events")
		id, limit := rapid.Int64().Draw(t, "id"), rapid.IntRange(1, 400).Draw(t, "limit")
		b := NewEncoder(members.Draw(t, "member")).Encode(events, 9)
		whole := decode(t, b.Message(id))
		var parts []*pb.WatchResponse
		require.NoError(t, b.Fragments(id, limit, func(m *Message) error {
			part := decode(t, m)
			require.Equal(t, proto.Size(part), m.Size(), "in its shortest form")
			require.True(t, m.Size() < limit || len(part.Events) < 2, "S3: %d bytes, %d events", m.Size(), len(part.Events))
			parts = append(parts, part)
			return nil
		}))
		if b.Size(id) < limit || len(events) < 2 {
			require.Len(t, parts, 1, "S1")
		} else {
			require.Greater(t, len(parts), 1, "S1")
		}
		joined := &pb.WatchResponse{}
		for i, part := range parts {
			require.Equal(t, i < len(parts)-1, part.Fragment, "S2")
			part.Fragment = false
			joined.Events = append(joined.Events, part.Events...)
			part.Events = nil
			same(t, &pb.WatchResponse{Header: whole.Header, WatchId: whole.WatchId}, part)
		}
		joined.Header, joined.WatchId = whole.Header, whole.WatchId
		same(t, whole, joined)
	})
}

func TestBatch_FragmentsStopAtAnError(t *testing.T) {
	b := NewEncoder(&pb.ResponseHeader{}).Encode([]mvcc.Event{{}, {}, {}}, 1)
	calls := 0
	err := b.Fragments(1, 1, func(*Message) error { calls++; return assert.AnError })
	assert.ErrorIs(t, err, assert.AnError)
	assert.Equal(t, 1, calls)
}

// A message costs one allocation beside what grpc needs, and a batch three,
// whatever is in it.
func TestBatch_Allocations(t *testing.T) {
	encoder := NewEncoder(&pb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 3})
	events := make([]mvcc.Event, 100)
	for i := range events {
		events[i].KV = mvcc.KeyValue{Key: []byte("key"), Value: make([]byte, 256), ModRevision: 7, Version: 1, CreateRevision: 7}
	}
	b := encoder.Encode(events, 7)
	var m *Message
	assert.EqualValues(t, 1, testing.AllocsPerRun(100, func() { m = b.Message(smallIDs - 1) }))
	assert.EqualValues(t, 3, testing.AllocsPerRun(100, func() { b = encoder.Encode(events, 7) }))
	assert.NotZero(t, m.Size())
}

func BenchmarkEncode(b *testing.B) {
	encoder := NewEncoder(&pb.ResponseHeader{ClusterId: 1 << 60, MemberId: 1 << 60, RaftTerm: 3})
	events := make([]mvcc.Event, 100)
	for i := range events {
		events[i].KV = mvcc.KeyValue{Key: make([]byte, 64), Value: make([]byte, 256), ModRevision: 70000, Version: 1, CreateRevision: 70000}
	}
	size := encoder.Encode(events, 7).Size(0)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		encoder.Encode(events, 70000)
	}
}
