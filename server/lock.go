package server

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
)

// lockService is etcd's Lock service: what its client library does, for
// clients that have none. It uses the server as a client of it.
type lockService struct {
	v3lockpb.UnsafeLockServer
	loopback *loopback
}

// Lock implements v3lockpb.LockServer: it returns when the lock is held.
func (l *lockService) Lock(ctx context.Context, r *v3lockpb.LockRequest) (_ *v3lockpb.LockResponse, err error) {
	ctx, ended := l.loopback.waiting(ctx)
	defer ended(&err)
	client, ctx, done, err := l.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	session, err := session(ctx, client, r.Lease)
	if err != nil {
		return nil, err
	}
	mutex := concurrency.NewMutex(session, string(r.Name))
	if err := mutex.Lock(ctx); err != nil {
		return nil, err
	}
	return &v3lockpb.LockResponse{Header: mutex.Header(), Key: []byte(mutex.Key())}, nil
}

// Unlock implements v3lockpb.LockServer.
func (l *lockService) Unlock(ctx context.Context, r *v3lockpb.UnlockRequest) (*v3lockpb.UnlockResponse, error) {
	client, ctx, done, err := l.loopback.as(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	res, err := client.Delete(ctx, string(r.Key))
	if err != nil {
		return nil, err
	}
	return &v3lockpb.UnlockResponse{Header: res.Header}, nil
}

// session is one over the lease of a caller, who keeps it alive; 0: over a
// lease of its own that lives a minute.
func session(ctx context.Context, client *clientv3.Client, lease int64) (*concurrency.Session, error) {
	s, err := concurrency.NewSession(client, concurrency.WithLease(clientv3.LeaseID(lease)), concurrency.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	s.Orphan()
	return s, nil
}
