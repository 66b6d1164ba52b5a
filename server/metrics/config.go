package metrics

import (
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Config says what is counted and of whom. The zero value works.
type Config struct {
	// Extensive adds grpc_server_handling_seconds, the histogram of how long
	// each method takes, as etcd's --metrics=extensive.
	Extensive bool
	// SlowApply is how long a request may take before
	// etcd_server_slow_apply_total counts it; 0 means 100 ms, as etcd's.
	SlowApply time.Duration

	Identity Identity
	Sources  Sources
}

// Identity is who the server is.
type Identity struct {
	// Program and its version, such as "watchd 0.2.0"; for people.
	Program string
	// Engine and Durability, such as "pebble" and "sync"; for people.
	Engine, Durability string
	// Version of etcd whose API this is, such as "3.7.3", and of the cluster,
	// "3.7".
	Version, ClusterVersion string
	MemberID                uint64
}

// Sources are asked whenever a page is. Each may be called from many
// goroutines; nil is all zeroes.
type Sources struct {
	Store   func() mvcc.Stats
	Hub     func() watch.Stats
	Watches func() []watch.WatchInfo
	Streams func() StreamStats
	// Alarms that are raised.
	Alarms func() []*pb.AlarmMember
	// QuotaBytes that the data may take.
	QuotaBytes func() int64
	// LeasesExpired and LeasesRevoked, by time or by request, since the server
	// began, and LeasesNow.
	LeasesExpired func() int64
	LeasesRevoked func() int64
	LeasesNow     func() int
}

const defaultSlowApply = 100 * time.Millisecond

func (c Config) withDefaults() Config {
	if c.SlowApply == 0 {
		c.SlowApply = defaultSlowApply
	}
	s := &c.Sources
	s.Store = orZero(s.Store)
	s.Hub = orZero(s.Hub)
	s.Watches = orZero(s.Watches)
	s.Streams = orZero(s.Streams)
	s.Alarms = orZero(s.Alarms)
	s.QuotaBytes = orZero(s.QuotaBytes)
	s.LeasesExpired = orZero(s.LeasesExpired)
	s.LeasesRevoked = orZero(s.LeasesRevoked)
	s.LeasesNow = orZero(s.LeasesNow)
	return c
}

func orZero[T any](f func() T) func() T {
	if f != nil {
		return f
	}
	return func() (zero T) { return zero }
}

// hexID is an id as etcd writes it.
func hexID(id uint64) string { return strconv.FormatUint(id, 16) }
