package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watchkv/watchkv/server"
)

// C1 over the wire.
func TestWatch_EmptyKeyIsTheByteZero(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(&pb.WatchCreateRequest{})
	s.put("a", "\x00")
	assert.Equal(t, []string{"\x00"}, keys(s.event(0)))
}

// C2 over the wire.
func TestWatch_RangesAsEtcdReadsThem(t *testing.T) {
	all := []string{"\x00", "a", "a\x00", "b", "b1", "c", "\xff"}
	for _, tc := range []struct {
		name     string
		key, end string
		want     []string
	}{
		{"one key", "b", "", []string{"b"}},
		{"from a key on", "b", "\x00", []string{"b", "b1", "c", "\xff"}},
		{"all keys", "\x00", "\x00", all},
		{"all keys, with an empty key", "", "\x00", all},
		{"half open, by bytes", "a", "b1", []string{"a", "a\x00", "b"}},
		{"from the empty key to before one", "", "b", []string{"\x00", "a", "a\x00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serveWatches(t, setup{}).stream()
			s.create(&pb.WatchCreateRequest{Key: []byte(tc.key), RangeEnd: []byte(tc.end)})
			s.txn(all...)
			assert.Equal(t, tc.want, keys(s.next()))
		})
	}
}

// C3 over the wire.
func TestWatch_EmptyRangeIsRefused(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(key("a"))
	for _, end := range []string{"b", "a"} {
		r := s.refused(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte(end)})
		assert.Equal(t, "mvcc: watcher range is empty", r.CancelReason)
	}
	s.put("a")
	s.event(0)
}

// permissions is an Authorizer that tests change under way.
type permissions struct {
	mu    sync.Mutex
	asked []server.Access
	say   func(server.Access) error
}

func (p *permissions) Authorize(_ context.Context, a server.Access) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, a)
	return p.say(a)
}

func (p *permissions) become(say func(server.Access) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = say
}

// only allows to read one key.
func only(key string) func(server.Access) error {
	return func(a server.Access) error {
		if a.Action == server.ActionRead && string(a.Key) == key && len(a.End) == 0 {
			return nil
		}
		return rpctypes.ErrGRPCPermissionDenied
	}
}

// C4 over the wire: who may read "a" must not get everything from "a" on, nor
// the key 0x00 by leaving it out.
func TestWatch_PermissionIsOfTheRangeAsItCame(t *testing.T) {
	p := &permissions{say: only("a")}
	s := serveWatches(t, setup{server: server.Config{Authorizer: p}}).stream()
	denied := rpctypes.ErrGRPCPermissionDenied.Error()
	assert.Equal(t, denied, s.refused(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte{0}}).CancelReason)
	assert.Equal(t, denied, s.refused(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("b")}).CancelReason)
	assert.Equal(t, denied, s.refused(&pb.WatchCreateRequest{}).CancelReason)
	p.become(only(""))
	s.create(&pb.WatchCreateRequest{})
	p.become(only("a"))
	s.create(key("a"))
	assert.Equal(t, []server.Access{
		{Method: "/etcdserverpb.Watch/Watch", Action: server.ActionRead, Key: []byte("a"), End: []byte{0}},
		{Method: "/etcdserverpb.Watch/Watch", Action: server.ActionRead, Key: []byte("a"), End: []byte("b")},
		{Method: "/etcdserverpb.Watch/Watch", Action: server.ActionRead},
		{Method: "/etcdserverpb.Watch/Watch", Action: server.ActionRead},
		{Method: "/etcdserverpb.Watch/Watch", Action: server.ActionRead, Key: []byte("a")},
	}, p.asked)
}

// C5 over the wire, with etcd's reasons: denied, expired, revoked, nobody; what
// is no answer about permission is a denial. Watches that are there go on.
func TestWatch_RefusalLeavesTheStreamOpen(t *testing.T) {
	p := &permissions{say: func(server.Access) error { return nil }}
	s := serveWatches(t, setup{server: server.Config{Authorizer: p}}).stream()
	s.create(key("a"))
	for _, tc := range []struct {
		says error
		want error
	}{
		{rpctypes.ErrGRPCPermissionDenied, rpctypes.ErrGRPCPermissionDenied},
		{rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCInvalidAuthToken},
		{rpctypes.ErrGRPCAuthOldRevision, rpctypes.ErrGRPCAuthOldRevision},
		{rpctypes.ErrGRPCUserEmpty, rpctypes.ErrGRPCUserEmpty},
		{rpctypes.ErrInvalidAuthToken, rpctypes.ErrGRPCInvalidAuthToken},
		{errors.New("the directory of users is away"), rpctypes.ErrGRPCPermissionDenied},
	} {
		p.become(func(server.Access) error { return tc.says })
		assert.Equal(t, tc.want.Error(), s.refused(key("a")).CancelReason)
		s.put("a")
		s.event(0)
	}
	assert.Contains(t, s.log.String(), "the directory of users is away")
	p.become(func(server.Access) error { return nil })
	assert.EqualValues(t, 1, s.create(key("a")).WatchId, "a refused one took no id")
}

// C6 over the wire.
func TestWatch_NegativeStartIsRefusedAsCompacted(t *testing.T) {
	p := &permissions{say: func(server.Access) error { return rpctypes.ErrGRPCPermissionDenied }}
	s := serveWatches(t, setup{server: server.Config{Authorizer: p}}).stream()
	r := s.refused(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a"), StartRevision: -1})
	assert.Equal(t, "etcdserver: mvcc: required revision has been compacted", r.CancelReason)
	assert.EqualValues(t, 1, r.Header.Revision)
}

// C7 over the wire.
func TestWatch_StartZeroIsAfterCreated(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	before := s.put("a", "a")
	created := s.create(key("a"))
	assert.Equal(t, before, created.Header.Revision)
	s.put("a")
	assert.Equal(t, before+1, s.event(0).Events[0].Kv.ModRevision)
}

// C8 over the wire.
func TestWatch_FutureStart(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 4})
	s.send(progressRequest())
	s.put("a", "a", "a")
	assert.EqualValues(t, 4, s.event(0).Events[0].Kv.ModRevision, "neither what is below nor progress before it")
	assert.GreaterOrEqual(t, s.next().Header.Revision, int64(4), "the answer was owed")
}

// C9 over the wire; G5: from any revision on, history goes on exactly.
func TestWatch_HistoryThenLive(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.put("a", "a", "a", "a") // 2 to 5
	for from := int64(2); from <= 5; from++ {
		id := s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: from}).WatchId
		r := s.next()
		require.Equal(t, id, r.WatchId)
		var revs []int64
		for _, e := range r.Events {
			revs = append(revs, e.Kv.ModRevision)
		}
		want := []int64{2, 3, 4, 5}[from-2:]
		assert.Equal(t, want, revs)
		s.send(cancelRequest(id))
		s.canceled(id)
	}
	s.create(&pb.WatchCreateRequest{WatchId: 9, Key: []byte("a"), StartRevision: 5})
	assert.EqualValues(t, 5, s.event(9).Events[0].Kv.ModRevision)
	s.put("a")
	assert.EqualValues(t, 6, s.event(9).Events[0].Kv.ModRevision)
}

// C10 over the wire, also when it is a delete.
func TestWatch_StartAtTheCompactRevision(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.put("a", "b")
	at := s.txn("-a")
	s.put("b")
	s.compact(at)
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: at})
	assert.Equal(t, []string{"-a"}, keys(s.event(0)))
}

// C11 over the wire: with the current revision in its header, and the reason
// told by compact_revision alone.
func TestWatch_StartBelowTheCompactRevision(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.put("a", "a", "a", "a")
	s.compact(4)
	for _, start := range []int64{1, 3} {
		id := s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: start}).WatchId
		r := s.canceled(id)
		assert.EqualValues(t, 4, r.CompactRevision)
		assert.EqualValues(t, 5, r.Header.Revision)
		assert.Empty(t, r.CancelReason)
	}
	s.create(key("b"))
	assert.EqualValues(t, 5, s.nothing())
}

// C12 over the wire: each of thousands that wait for history is told once.
func TestWatch_CompactionIsToldOnce(t *testing.T) {
	const watches = 2000
	s := serveWatches(t, setup{}).stream()
	s.put("a", "a", "a")
	s.compact(4)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range watches {
			assert.NoError(t, s.rpc.Send(createRequest(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2})))
		}
		assert.NoError(t, s.rpc.Send(createRequest(key("b"))))
	}()
	told := map[int64]int{}
	for created := 0; created <= watches || len(told) < watches; {
		r := s.next()
		if r.Created {
			created++
			continue
		}
		assert.EqualValues(t, 4, r.CompactRevision)
		told[r.WatchId]++
	}
	<-asked
	s.nothing()
	for id, n := range told {
		require.Equal(t, 1, n, "watch %d", id)
	}
}

// C13 over the wire.
func TestWatch_IDs(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	assert.EqualValues(t, 0, s.create(key("a")).WatchId)
	assert.EqualValues(t, 2, s.create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 2}).WatchId)
	assert.EqualValues(t, 1, s.create(key("a")).WatchId)
	assert.EqualValues(t, 3, s.create(key("a")).WatchId, "2 is taken")
	assert.EqualValues(t, 1<<40, s.create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 1 << 40}).WatchId)
	r := s.refused(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 2})
	assert.Equal(t, "mvcc: duplicate watch ID provided on the WatchStream", r.CancelReason)
	s.put("a")
	got := map[int64]bool{}
	for range 5 {
		got[s.next().WatchId] = true
	}
	assert.Equal(t, map[int64]bool{0: true, 1: true, 2: true, 3: true, 1 << 40: true}, got)
}

// C14 over the wire.
func TestWatch_NegativeIDIsRefused(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	r := s.refused(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: -2})
	assert.Equal(t, "watch: watch ID must not be negative", r.CancelReason)
}

// C15 over the wire, and C16: with a writer at full speed the first of every
// watch is its Created, and its flags are in force from its first event on.
func TestWatch_CreatedComesFirstAndFlagsAreInForce(t *testing.T) {
	const watches = 100
	s := serveWatches(t, setup{}).stream()
	s.put("a", "a")
	ctx, stop := context.WithCancel(s.ctx)
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			_, err := s.store.Put(s.ctx, []byte("a"), []byte("x"))
			assert.NoError(t, err)
		}
	})
	var asking sync.WaitGroup
	asking.Go(func() {
		for i := range watches {
			assert.NoError(t, s.rpc.Send(createRequest(&pb.WatchCreateRequest{
				Key: []byte("a"), PrevKv: i%2 == 1, StartRevision: int64(i%3) * 3,
			})))
		}
	})
	created, first := map[int64]bool{}, map[int64]bool{}
	for len(first) < watches {
		r := s.next()
		if r.Created {
			require.False(t, created[r.WatchId])
			created[r.WatchId] = true
			continue
		}
		require.True(t, created[r.WatchId], "C15: watch %d", r.WatchId)
		first[r.WatchId] = true
		for _, e := range r.Events {
			require.Equal(t, r.WatchId%2 == 1, e.PrevKv != nil, "C16: watch %d at %d", r.WatchId, e.Kv.ModRevision)
		}
	}
	stop()
	asking.Wait()
	writing.Wait()
}

// C17 over the wire.
func TestWatch_UnknownThingsAreIgnored(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), Filters: []pb.WatchCreateRequest_FilterType{17, -1}})
	s.send(&pb.WatchRequest{})
	unknown := &pb.WatchRequest{}
	unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	s.send(unknown)
	s.put("a")
	s.txn("-a")
	assert.Equal(t, []string{"a"}, keys(s.event(0)))
	assert.Equal(t, []string{"-a"}, keys(s.event(0)))
	s.nothing() // the requests before it were carried out
	assert.Contains(t, s.log.String(), "invalid watch request")
}

// C19 over the wire.
func TestWatch_RequireLeaderIsSatisfied(t *testing.T) {
	w := serveWatches(t, setup{})
	s := w.streamOf(metadata.AppendToOutgoingContext(w.ctx, rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader))
	s.create(key("a"))
	s.put("a")
	s.event(0)
}

// The hub's bounds on watches are refusals with the bound in their reason.
func TestWatch_TooManyAreRefused(t *testing.T) {
	with := setup{}
	with.hub.MaxWatchesPerStream = 2
	s := serveWatches(t, with).stream()
	s.create(key("a"))
	s.create(key("a"))
	assert.Equal(t, "watch: too many watches: 2 on this stream, the bound", s.refused(key("a")).CancelReason)
	s.send(cancelRequest(0))
	s.canceled(0)
	s.create(key("a"))
}
