package server

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// electionService is etcd's Election service, as lockService is its Lock.
type electionService struct {
	v3electionpb.UnsafeElectionServer
	loopback *loopback
}

// noLease tells concurrency that a session is only to look.
const noLease = -1

// errNoLeaderKey has etcd's text; its code there is that of any error.
var errNoLeaderKey = status.Error(codes.Unknown, `"leader" field must be provided`)

// Campaign implements v3electionpb.ElectionServer: it returns when the caller
// leads.
func (e *electionService) Campaign(ctx context.Context, r *v3electionpb.CampaignRequest) (_ *v3electionpb.CampaignResponse, err error) {
	ctx, ended := e.loopback.waiting(ctx)
	defer ended(&err)
	client, ctx, done, err := e.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	session, err := session(ctx, client, r.Lease)
	if err != nil {
		return nil, err
	}
	election := concurrency.NewElection(session, string(r.Name))
	if err := election.Campaign(ctx, string(r.Value)); err != nil {
		return nil, err
	}
	return &v3electionpb.CampaignResponse{
		Header: election.Header(),
		Leader: &v3electionpb.LeaderKey{
			Name: r.Name, Key: []byte(election.Key()), Rev: election.Rev(), Lease: int64(session.Lease()),
		},
	}, nil
}

// Proclaim implements v3electionpb.ElectionServer.
func (e *electionService) Proclaim(ctx context.Context, r *v3electionpb.ProclaimRequest) (*v3electionpb.ProclaimResponse, error) {
	client, ctx, done, err := e.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	election, err := resumed(ctx, client, r.Leader)
	if err != nil {
		return nil, err
	}
	if err := election.Proclaim(ctx, string(r.Value)); err != nil {
		return nil, err
	}
	return &v3electionpb.ProclaimResponse{Header: election.Header()}, nil
}

// Resign implements v3electionpb.ElectionServer.
func (e *electionService) Resign(ctx context.Context, r *v3electionpb.ResignRequest) (*v3electionpb.ResignResponse, error) {
	client, ctx, done, err := e.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	election, err := resumed(ctx, client, r.Leader)
	if err != nil {
		return nil, err
	}
	if err := election.Resign(ctx); err != nil {
		return nil, err
	}
	return &v3electionpb.ResignResponse{Header: election.Header()}, nil
}

// resumed is the election that k leads.
func resumed(ctx context.Context, client *clientv3.Client, k *v3electionpb.LeaderKey) (*concurrency.Election, error) {
	if k == nil {
		return nil, errNoLeaderKey
	}
	session, err := session(ctx, client, k.Lease)
	if err != nil {
		return nil, err
	}
	return concurrency.ResumeElection(session, string(k.Name), string(k.Key), k.Rev), nil
}

// Leader implements v3electionpb.ElectionServer.
func (e *electionService) Leader(ctx context.Context, r *v3electionpb.LeaderRequest) (*v3electionpb.LeaderResponse, error) {
	client, ctx, done, err := e.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	session, err := session(ctx, client, noLease)
	if err != nil {
		return nil, err
	}
	res, err := concurrency.NewElection(session, string(r.Name)).Leader(ctx)
	if err != nil {
		return nil, err
	}
	return &v3electionpb.LeaderResponse{Header: res.Header, Kv: res.Kvs[0]}, nil
}

// Observe implements v3electionpb.ElectionServer: every leader and what it
// proclaims, until the client's context or the server ends.
func (e *electionService) Observe(r *v3electionpb.LeaderRequest, out v3electionpb.Election_ObserveServer) (err error) {
	ctx, ended := e.loopback.waiting(out.Context())
	defer ended(&err)
	client, ctx, done, err := e.loopback.as(ctx)
	if err != nil {
		return err
	}
	defer done()
	session, err := session(ctx, client, noLease)
	if err != nil {
		return err
	}
	for res := range concurrency.NewElection(session, string(r.Name)).Observe(ctx) {
		if err := out.Send(&v3electionpb.LeaderResponse{Header: res.Header, Kv: res.Kvs[0]}); err != nil {
			return err
		}
	}
	return toGRPC(ctx.Err())
}
