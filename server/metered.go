package server

import (
	"go.etcd.io/etcd/api/v3/version"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
)

// newMetrics makes the server's figures: as configured, with the sources and
// ids it has.
func (s *Server) newMetrics() *metrics.Metrics {
	c := s.cfg.Metrics
	store, hub := s.parts.Store, s.parts.Hub
	c.Sources.Store = store.Stats
	c.Sources.Hub = hub.Stats
	c.Sources.Watches = hub.Watches
	c.Sources.Streams = s.streamStats
	if lessor := s.parts.Lessor; lessor != nil {
		c.Sources.LeasesNow = func() int { return lessor.Stats().Leases }
		c.Sources.LeasesRevoked = func() int64 { return lessor.Stats().Revoked }
		c.Sources.LeasesExpired = func() int64 { return lessor.Stats().Expired }
	}
	c.Sources.Alarms = s.activeAlarms
	c.Sources.QuotaBytes = func() int64 { return quotaBytes(store) }
	id := &c.Identity
	id.MemberID, id.Version, id.ClusterVersion = s.memberID, version.Version, version.Cluster(version.Version)
	if id.Engine == "" {
		id.Engine = s.parts.Engine.Stats().Version
	}
	if id.Durability == "" {
		id.Durability = store.Config().Durability.String()
	}
	return metrics.New(c)
}

// streamStats are the figures of the watch streams in the words of the page.
func (s *Server) streamStats() metrics.StreamStats {
	w := s.WatchStats()
	return metrics.StreamStats{
		ReceiveFailures: w.ReceiveFailures, SendFailures: w.SendFailures,
		Sent: metrics.Durations(w.Sent), SentPerEvent: metrics.Durations(w.SentPerEvent),
		SentControl: metrics.Durations(w.SentControl), SentProgress: metrics.Durations(w.SentProgress),
	}
}

// quotaBytes that the data may take; 0 if any.
func quotaBytes(store *mvcc.Store) int64 { return store.Config().QuotaBytes }

// Metrics are the server's figures, and the pages that show them.
func (s *Server) Metrics() *metrics.Metrics { return s.metrics }
