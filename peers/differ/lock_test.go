package differ_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	epb "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	lpb "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/protobuf/proto"
)

// step is one call in a fixed order, made of both.
type step struct {
	name string
	call func(ctx context.Context, s side) (proto.Message, error)
}

func sameSteps(t *testing.T, steps []step) {
	theirs, ours := startEtcd(t), startOurs(t)
	for _, step := range steps {
		want, got := show(step.call(t.Context(), theirs)), show(step.call(t.Context(), ours))
		require.Equal(t, want, got, step.name)
	}
}

func grant(id, ttl int64) step {
	return step{"grant", func(ctx context.Context, s side) (proto.Message, error) {
		return s.le.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl})
	}}
}

func TestLease_GrantsAsEtcd(t *testing.T) {
	sameSteps(t, []step{
		grant(1, -1), grant(2, 0), grant(3, 1), grant(4, 2), grant(5, 3), grant(6, 9_000_000_000), grant(7, 9_000_000_001),
		grant(6, 60), grant(-8, 60),
		{"renew", func(ctx context.Context, s side) (proto.Message, error) {
			stream, err := s.le.LeaseKeepAlive(ctx)
			if err != nil {
				return nil, err
			}
			all := new(pb.LeaseLeasesResponse)
			for _, id := range []int64{6, 99} {
				if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
					return nil, err
				}
				res, err := stream.Recv()
				if err != nil {
					return nil, err
				}
				all.Header = res.Header
				all.Leases = append(all.Leases, &pb.LeaseStatus{ID: res.ID}, &pb.LeaseStatus{ID: res.TTL})
			}
			return all, stream.CloseSend()
		}},
	})
}

func TestLock_AnswersAsEtcd(t *testing.T) {
	lock := func(name string, id int64) step {
		return step{"lock " + name, func(ctx context.Context, s side) (proto.Message, error) {
			return lpb.NewLockClient(s.conn).Lock(ctx, &lpb.LockRequest{Name: []byte(name), Lease: id})
		}}
	}
	unlock := func(key string) step {
		return step{"unlock " + key, func(ctx context.Context, s side) (proto.Message, error) {
			return lpb.NewLockClient(s.conn).Unlock(ctx, &lpb.UnlockRequest{Key: []byte(key)})
		}}
	}
	sameSteps(t, []step{
		grant(10, 300), grant(11, 300),
		lock("a", 10),
		lock("a", 10), // held by the same lease
		lock("b", 11),
		lock("c", 99), // no such lease
		lock("", 10),
		unlock("a/a"),
		lock("a", 11),
		unlock("a/b"),
		unlock("no such"),
		unlock(""),
		{"what is left", func(ctx context.Context, s side) (proto.Message, error) {
			return s.kv.Range(ctx, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		}},
	})
}

// A lock that is held makes the next one wait until it is free, or until its
// caller gives up, who then leaves nothing behind.
func TestLock_WaitsItsTurn(t *testing.T) {
	for name, s := range map[string]side{"etcd": startEtcd(t), "ours": startOurs(t)} {
		t.Run(name, func(t *testing.T) {
			locks, ctx := lpb.NewLockClient(s.conn), t.Context()
			first, err := locks.Lock(ctx, &lpb.LockRequest{Name: []byte("a")})
			require.NoError(t, err)
			impatient, giveUp := context.WithCancel(ctx)
			gaveUp := make(chan error, 1)
			go func() {
				_, err := locks.Lock(impatient, &lpb.LockRequest{Name: []byte("a")})
				gaveUp <- err
			}()
			second := make(chan string, 1)
			awaitKeys(t, s, 2)
			go func() {
				res, err := locks.Lock(ctx, &lpb.LockRequest{Name: []byte("a")})
				assert.NoError(t, err)
				second <- string(res.GetKey())
			}()
			awaitKeys(t, s, 3)
			giveUp()
			require.Error(t, <-gaveUp)
			awaitKeys(t, s, 2)
			select {
			case key := <-second:
				t.Fatalf("%s is locked twice", key)
			default:
			}
			_, err = locks.Unlock(ctx, &lpb.UnlockRequest{Key: first.Key})
			require.NoError(t, err)
			require.NotEqual(t, string(first.Key), <-second)
		})
	}
}

// awaitKeys waits until n keys are below "a/".
func awaitKeys(t *testing.T, s side, n int64) {
	t.Helper()
	for {
		res, err := s.kv.Range(t.Context(), &pb.RangeRequest{Key: []byte("a/"), RangeEnd: []byte("a0"), CountOnly: true})
		require.NoError(t, err)
		if res.Count == n {
			return
		}
	}
}

func TestElection_AnswersAsEtcd(t *testing.T) {
	elections := func(s side) epb.ElectionClient { return epb.NewElectionClient(s.conn) }
	leader := step{"leader", func(ctx context.Context, s side) (proto.Message, error) {
		return elections(s).Leader(ctx, &epb.LeaderRequest{Name: []byte("e")})
	}}
	key := func(key string, rev int64) *epb.LeaderKey {
		return &epb.LeaderKey{Name: []byte("e"), Key: []byte(key), Rev: rev, Lease: 10}
	}
	proclaim := func(k *epb.LeaderKey, value string) step {
		return step{"proclaim " + value, func(ctx context.Context, s side) (proto.Message, error) {
			return elections(s).Proclaim(ctx, &epb.ProclaimRequest{Leader: k, Value: []byte(value)})
		}}
	}
	resign := func(k *epb.LeaderKey) step {
		return step{"resign", func(ctx context.Context, s side) (proto.Message, error) {
			return elections(s).Resign(ctx, &epb.ResignRequest{Leader: k})
		}}
	}
	campaign := func(id int64, value string) step {
		return step{"campaign " + value, func(ctx context.Context, s side) (proto.Message, error) {
			return elections(s).Campaign(ctx, &epb.CampaignRequest{Name: []byte("e"), Lease: id, Value: []byte(value)})
		}}
	}
	sameSteps(t, []step{
		leader, // nobody
		grant(10, 300),
		campaign(99, "without a lease"),
		campaign(10, "one"), // revision 2
		leader,
		proclaim(key("e/a", 2), "two"),
		proclaim(key("e/b", 9), "somebody else"),
		proclaim(nil, "nobody"),
		leader,
		{"observe", func(ctx context.Context, s side) (proto.Message, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := elections(s).Observe(ctx, &epb.LeaderRequest{Name: []byte("e")})
			if err != nil {
				return nil, err
			}
			return stream.Recv()
		}},
		resign(nil),
		resign(key("e/a", 2)),
		resign(key("e/a", 2)),
		leader,
		campaign(10, "again"),
	})
}
