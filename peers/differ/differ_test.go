// Package differ_test asks a real etcd and the server the same things and
// holds the answers against each other.
package differ_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/peers/etcd"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

// side is one of the two servers.
type side struct {
	conn *grpc.ClientConn
	kv   pb.KVClient
	le   pb.LeaseClient
}

func dial(t *testing.T, address string) side {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return side{conn: conn, kv: pb.NewKVClient(conn), le: pb.NewLeaseClient(conn)}
}

func startEtcd(t *testing.T) side {
	s, err := etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), NoFsync: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return dial(t, s.Endpoint())
}

func startOurs(t *testing.T) side {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	store, err := mvcc.Open(engine, mvcc.Config{RecentBytes: 4096})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, hub.Close()) })
	lessor, err := lease.Open(store, lease.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, lessor.Close()) })
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, server.Config{})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	served := make(chan error, 1) // one send, by the goroutine that serves
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, srv.Close())
		g.Stop()
		if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // stopped before it served
			assert.NoError(t, err)
		}
	})
	return dial(t, listener.Addr().String())
}

// ask sends r and says the answer, or the error, as text without what differs
// between any two servers.
func (s side) ask(ctx context.Context, r proto.Message) string {
	var answer proto.Message
	var err error
	switch r := r.(type) {
	case *pb.RangeRequest:
		answer, err = s.kv.Range(ctx, r)
	case *pb.PutRequest:
		answer, err = s.kv.Put(ctx, r)
	case *pb.DeleteRangeRequest:
		answer, err = s.kv.DeleteRange(ctx, r)
	case *pb.TxnRequest:
		answer, err = s.kv.Txn(ctx, r)
	case *pb.CompactionRequest:
		answer, err = s.kv.Compact(ctx, r)
	case *pb.LeaseGrantRequest:
		answer, err = s.le.LeaseGrant(ctx, r)
	case *pb.LeaseRevokeRequest:
		answer, err = s.le.LeaseRevoke(ctx, r)
	case *pb.LeaseTimeToLiveRequest:
		var res *pb.LeaseTimeToLiveResponse
		if res, err = s.le.LeaseTimeToLive(ctx, r); err == nil {
			res.TTL = min(res.TTL, 0)                // a second may pass
			slices.SortFunc(res.Keys, bytes.Compare) // etcd's are in no order
			answer = res
		}
	case *pb.LeaseLeasesRequest:
		var res *pb.LeaseLeasesResponse
		if res, err = s.le.LeaseLeases(ctx, r); err == nil {
			slices.SortFunc(res.Leases, func(a, b *pb.LeaseStatus) int { return cmp.Compare(a.ID, b.ID) })
			answer = res
		}
	default:
		err = fmt.Errorf("no call for %T", r)
	}
	return show(answer, err)
}

// stream is ask for RangeStream; the chunks are put together, because where
// they are cut is the server's choice.
func (s side) stream(ctx context.Context, r *pb.RangeRequest) string {
	chunks, err := s.kv.RangeStream(ctx, r)
	if err != nil {
		return show(nil, err)
	}
	all := new(pb.RangeResponse)
	for {
		chunk, err := chunks.Recv()
		if errors.Is(err, io.EOF) {
			return show(all, nil)
		}
		if err != nil {
			return show(nil, err)
		}
		if all.Header != nil {
			return "a chunk after the last"
		}
		proto.Merge(all, chunk.RangeResponse)
	}
}

func show(answer proto.Message, err error) string {
	if err != nil {
		s := status.Convert(err)
		return fmt.Sprintf("error %v: %s", s.Code(), s.Message())
	}
	anonymous(answer.ProtoReflect())
	text := prototext.MarshalOptions{Multiline: true}.Format(answer)
	return strings.ReplaceAll(text, ":  ", ": ") // prototext varies its spaces on purpose
}

// anonymous takes out of every header who wrote it.
func anonymous(m protoreflect.Message) {
	if h, ok := m.Interface().(*pb.ResponseHeader); ok {
		h.ClusterId, h.MemberId, h.RaftTerm = 0, 0, 0
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				anonymous(v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsList():
			anonymous(v.Message())
		}
		return true
	})
}

// Whatever is asked, in whatever order, both say the same.
func TestKV_AnswersAsEtcd(t *testing.T) {
	theirs, ours := startEtcd(t), startOurs(t)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		asked := func(r proto.Message) {
			want, got := theirs.ask(ctx, proto.Clone(r)), ours.ask(ctx, proto.Clone(r))
			if want != got {
				rt.Fatalf("asked\n%T %s\netcd says\n%s\nwe say\n%s", r, prototext.Format(r), want, got)
			}
		}
		asked(&pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		for _, id := range leases {
			asked(&pb.LeaseRevokeRequest{ID: id})
		}
		asked(&pb.LeaseGrantRequest{ID: leases[0], TTL: 300})
		rev := revision(rt, ours)
		for range rapid.IntRange(1, 30).Draw(rt, "requests") {
			d := drawing{T: rt, base: rev}
			switch kind := rapid.IntRange(0, 44).Draw(rt, "kind"); {
			case kind < 12:
				asked(d.put())
			case kind < 16:
				asked(d.delete())
			case kind < 26:
				asked(d.rangeRequest())
			case kind < 30:
				r := d.rangeRequest()
				if r.SortOrder == pb.RangeRequest_NONE {
					r.SortTarget = pb.RangeRequest_KEY // etcd would sort each chunk
				}
				want, got := theirs.stream(ctx, proto.CloneOf(r)), ours.stream(ctx, proto.CloneOf(r))
				if want != got {
					rt.Fatalf("RangeStream of\n%s\netcd says\n%s\nwe say\n%s", prototext.Format(r), want, got)
				}
			case kind < 39:
				asked(d.txn(2))
			case kind < 41:
				asked(&pb.LeaseGrantRequest{ID: d.lease(), TTL: rapid.SampledFrom([]int64{300, 9e9, 9e9 + 1}).Draw(rt, "ttl")})
			case kind < 42:
				asked(&pb.LeaseRevokeRequest{ID: d.lease()})
			case kind < 43:
				asked(&pb.LeaseTimeToLiveRequest{ID: d.lease(), Keys: rapid.Bool().Draw(rt, "keys")})
			case kind < 44:
				asked(&pb.LeaseLeasesRequest{})
			default:
				asked(&pb.CompactionRequest{Revision: d.revision(), Physical: rapid.Bool().Draw(rt, "physical")})
			}
		}
	})
}

func revision(t *rapid.T, s side) int64 {
	res, err := s.kv.Range(context.Background(), &pb.RangeRequest{Key: []byte("x"), CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// Keys that are equal in what they are sorted by stand in etcd's order, too.
func TestRange_SortsTiesAsEtcd(t *testing.T) {
	theirs, ours := startEtcd(t), startOurs(t)
	ctx := t.Context()
	both := func(r proto.Message) {
		t.Helper()
		require.Equal(t, theirs.ask(ctx, proto.Clone(r)), ours.ask(ctx, proto.Clone(r)), "%v", r)
	}
	for i := range 90 {
		both(&pb.PutRequest{Key: fmt.Appendf(nil, "k%d", i*7%60), Value: fmt.Appendf(nil, "%d", i%3)})
	}
	for target := range int32(5) {
		for order := range int32(3) {
			for _, limit := range []int64{0, 1, 40, 60, 61} {
				both(&pb.RangeRequest{
					Key: []byte("k"), RangeEnd: []byte("l"), Limit: limit,
					SortTarget: pb.RangeRequest_SortTarget(target), SortOrder: pb.RangeRequest_SortOrder(order),
				})
			}
		}
	}
}

// A server without users answers what an etcd without users does, up to making
// one.
func TestAuth_AnswersAsEtcd(t *testing.T) {
	theirs, ours := pb.NewAuthClient(startEtcd(t).conn), pb.NewAuthClient(startOurs(t).conn)
	ctx := t.Context()
	permission := func(key, end string) *authpb.Permission {
		return &authpb.Permission{Key: []byte(key), RangeEnd: []byte(end)}
	}
	for _, test := range []struct {
		name string
		call func(c pb.AuthClient) (proto.Message, error)
	}{
		{"enable", func(c pb.AuthClient) (proto.Message, error) { return c.AuthEnable(ctx, &pb.AuthEnableRequest{}) }},
		{"disable", func(c pb.AuthClient) (proto.Message, error) { return c.AuthDisable(ctx, &pb.AuthDisableRequest{}) }},
		{"status", func(c pb.AuthClient) (proto.Message, error) { return c.AuthStatus(ctx, &pb.AuthStatusRequest{}) }},
		{"authenticate", func(c pb.AuthClient) (proto.Message, error) {
			return c.Authenticate(ctx, &pb.AuthenticateRequest{Name: "root", Password: "x"})
		}},
		{"nameless user", func(c pb.AuthClient) (proto.Message, error) {
			return c.UserAdd(ctx, &pb.AuthUserAddRequest{Password: "x"})
		}},
		{"user", func(c pb.AuthClient) (proto.Message, error) { return c.UserGet(ctx, &pb.AuthUserGetRequest{Name: "a"}) }},
		{"users", func(c pb.AuthClient) (proto.Message, error) { return c.UserList(ctx, &pb.AuthUserListRequest{}) }},
		{"delete user", func(c pb.AuthClient) (proto.Message, error) {
			return c.UserDelete(ctx, &pb.AuthUserDeleteRequest{Name: "a"})
		}},
		{"password", func(c pb.AuthClient) (proto.Message, error) {
			return c.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: "a", Password: "x"})
		}},
		{"grant role", func(c pb.AuthClient) (proto.Message, error) {
			return c.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: "a", Role: "r"})
		}},
		{"revoke role", func(c pb.AuthClient) (proto.Message, error) {
			return c.UserRevokeRole(ctx, &pb.AuthUserRevokeRoleRequest{Name: "a", Role: "r"})
		}},
		{"nameless role", func(c pb.AuthClient) (proto.Message, error) { return c.RoleAdd(ctx, &pb.AuthRoleAddRequest{}) }},
		{"role", func(c pb.AuthClient) (proto.Message, error) { return c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: "r"}) }},
		{"roles", func(c pb.AuthClient) (proto.Message, error) { return c.RoleList(ctx, &pb.AuthRoleListRequest{}) }},
		{"delete role", func(c pb.AuthClient) (proto.Message, error) {
			return c.RoleDelete(ctx, &pb.AuthRoleDeleteRequest{Role: "r"})
		}},
		{"grant nothing", func(c pb.AuthClient) (proto.Message, error) {
			return c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "r"})
		}},
		{"grant no range", func(c pb.AuthClient) (proto.Message, error) {
			return c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: permission("b", "a")})
		}},
		{"grant all", func(c pb.AuthClient) (proto.Message, error) {
			return c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: permission("b", "\x00")})
		}},
		{"revoke permission", func(c pb.AuthClient) (proto.Message, error) {
			return c.RoleRevokePermission(ctx, &pb.AuthRoleRevokePermissionRequest{Role: "r", Key: []byte("a")})
		}},
	} {
		assert.Equal(t, show(test.call(theirs)), show(test.call(ours)), test.name)
	}
	_, err := ours.UserAdd(ctx, &pb.AuthUserAddRequest{Name: "a", Password: "x"})
	assert.ErrorContains(t, err, "watchd keeps no users")
	_, err = ours.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: "a"})
	assert.ErrorContains(t, err, "watchd keeps no users")
}
