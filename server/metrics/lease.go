package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

type leases struct {
	granted, renewed prometheus.Counter
	ttl              prometheus.Histogram
}

func (l *leases) define(b *book) {
	l.granted = b.counter("etcd_debugging_lease_granted_total", "The total number of granted leases.")
	l.renewed = b.counter("etcd_debugging_lease_renewed_total", "The number of renewed leases seen by the leader.")
	l.ttl = b.histogram("etcd_debugging_lease_ttl_total", "Bucketed histogram of lease TTLs.", prometheus.ExponentialBuckets(1, 2, 24))
}

// Lease is the service, counted.
func (m *Metrics) Lease(service pb.LeaseServer) pb.LeaseServer { return &countedLease{service, m} }

type countedLease struct {
	pb.LeaseServer
	m *Metrics
}

// LeaseGrant implements etcdserverpb.LeaseServer.
func (c *countedLease) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	resp, err := c.LeaseServer.LeaseGrant(ctx, r)
	if err == nil {
		c.m.leases.granted.Inc()
		c.m.leases.ttl.Observe(float64(resp.TTL))
	}
	return resp, err
}

// LeaseKeepAlive implements etcdserverpb.LeaseServer: an answer with a time to
// live is a renewal.
func (c *countedLease) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	return c.LeaseServer.LeaseKeepAlive(&countedKeepAlive{stream, c.m})
}

type countedKeepAlive struct {
	pb.Lease_LeaseKeepAliveServer
	m *Metrics
}

// Send implements etcdserverpb.Lease_LeaseKeepAliveServer.
func (s *countedKeepAlive) Send(r *pb.LeaseKeepAliveResponse) error {
	if r.TTL > 0 {
		s.m.leases.renewed.Inc()
	}
	return s.Lease_LeaseKeepAliveServer.Send(r)
}
