package differ_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// What an etcd of one member refuses is refused with its words. Adding a
// member is not tried: it would be done, and the etcd would wait for it for
// ever.
func TestCluster_RefusesAsEtcd(t *testing.T) {
	sides := []side{startEtcd(t), startOurs(t)}
	for _, test := range []struct {
		name string
		call func(ctx context.Context, c pb.ClusterClient, self uint64) (proto.Message, error)
	}{
		{"add without a URL", func(ctx context.Context, c pb.ClusterClient, _ uint64) (proto.Message, error) {
			return c.MemberAdd(ctx, &pb.MemberAddRequest{})
		}},
		{"add with a bad URL", func(ctx context.Context, c pb.ClusterClient, _ uint64) (proto.Message, error) {
			return c.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: []string{"ftp://a:1"}})
		}},
		{"remove the last", func(ctx context.Context, c pb.ClusterClient, self uint64) (proto.Message, error) {
			return c.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: self})
		}},
		{"remove another", func(ctx context.Context, c pb.ClusterClient, _ uint64) (proto.Message, error) {
			return c.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: 7})
		}},
		{"update another", func(ctx context.Context, c pb.ClusterClient, _ uint64) (proto.Message, error) {
			return c.MemberUpdate(ctx, &pb.MemberUpdateRequest{ID: 7, PeerURLs: []string{"http://a:1"}})
		}},
		{"promote itself", func(ctx context.Context, c pb.ClusterClient, self uint64) (proto.Message, error) {
			return c.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: self})
		}},
		{"promote another", func(ctx context.Context, c pb.ClusterClient, _ uint64) (proto.Message, error) {
			return c.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: 7})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var answers []string
			for _, s := range sides {
				c := pb.NewClusterClient(s.conn)
				list, err := c.MemberList(t.Context(), &pb.MemberListRequest{Linearizable: true})
				require.NoError(t, err)
				require.Len(t, list.Members, 1)
				require.Zero(t, list.Header.Revision)
				answers = append(answers, show(test.call(t.Context(), c, list.Members[0].ID)))
			}
			require.Equal(t, answers[0], answers[1])
		})
	}
}
