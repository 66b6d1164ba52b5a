package etcd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/bench"
)

// Kind is a connection to a server. Each Open is a fresh set of keys under the
// run's prefix. Safe for concurrent use.
type Kind struct {
	config Config
	client *clientv3.Client
	tokens *tokens // nil without a user
	status []Status
	absent []string // endpoints that do not answer
	prefix string   // of the run, with the slash at its end

	newest    atomic.Int64 // newest revision that a write was answered with
	allowance atomic.Int64
	spent     atomic.Int64
	opened    atomic.Int64 // number of the last target
	wrote     atomic.Bool  // something may lie under the prefix
	away      atomic.Bool  // the server did not answer

	once    sync.Once
	closing error
}

// runDigits is the random part of a run's prefix, in bytes.
const runDigits = 4

// Connect connects to the server and asks every endpoint for its status, no
// more. Endpoints that do not answer are left out if another one does;
// Kind.Status shows which did. Errors are for people: *ConnectError.
func Connect(ctx context.Context, c Config) (*Kind, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	reachable, err := reach(ctx, &c)
	if err != nil {
		return nil, err
	}
	named := c.Endpoints
	c.Endpoints = reachable
	client, err := clientv3.New(clientv3.Config{
		Endpoints: urls(&c), TLS: c.TLS, Username: c.User, Password: c.Password,
		DialTimeout: c.DialTimeout, DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAlive,
		Logger: zap.NewNop(), Context: context.WithoutCancel(ctx),
	})
	if err != nil {
		return nil, connectError(&c, c.DialTimeout, err)
	}
	k := &Kind{config: c, client: client, prefix: c.Prefix}
	random := make([]byte, runDigits)
	_, _ = rand.Read(random) // never fails, by its contract
	k.prefix += hex.EncodeToString(random) + "/"
	if c.User != "" {
		k.tokens = &tokens{client: client, user: c.User, password: c.Password}
	}
	if err := k.ask(ctx); err != nil {
		return nil, errors.Join(err, ignoreClosed(client.Close()))
	}
	k.absent = slices.DeleteFunc(slices.Clone(named), func(e string) bool { return slices.Contains(k.config.Endpoints, e) })
	return k, nil
}

// ask asks every endpoint for its status, and leaves out those that are
// silent, unless all are: a process that is stopped still takes connections.
func (k *Kind) ask(ctx context.Context) error {
	c := &k.config
	var answered []string
	var first error
	for i, url := range urls(c) {
		ctx, cancel := context.WithTimeout(ctx, c.CommandTimeout)
		s, err := statusOf(ctx, k.client, url, c.Endpoints[i])
		cancel()
		switch {
		case err == nil:
			answered = append(answered, c.Endpoints[i])
			k.status = append(k.status, s)
			k.newest.Store(max(k.newest.Load(), s.Revision))
			continue
		case first == nil:
			first = connectError(c, c.CommandTimeout, err)
		}
		if !silent(err) {
			return connectError(c, c.CommandTimeout, err)
		}
	}
	if len(answered) == 0 {
		return first
	}
	c.Endpoints = answered
	k.client.SetEndpoints(urls(c)...)
	return nil
}

// keepAlive is how long a connection may be silent before it is looked after,
// and how long the answer may take.
const keepAlive = 10 * time.Second

func urls(c *Config) (all []string) {
	scheme := "http://"
	if c.TLS != nil {
		scheme = "https://"
	}
	for _, endpoint := range c.Endpoints {
		all = append(all, scheme+endpoint)
	}
	return all
}

// ignoreClosed drops the error of a client that its context ended.
func ignoreClosed(err error) error {
	if errors.Is(err, context.Canceled) || status(err) == grpcCanceled {
		return nil
	}
	return err
}

// Status is what the endpoints said when they were connected to.
func (k *Kind) Status() []Status { return k.status }

// Absent are the endpoints that do not answer and were left out.
func (k *Kind) Absent() []string { return k.absent }

// Prefix is what all keys of this run begin with.
func (k *Kind) Prefix() string { return k.prefix }

// Facts implements bench.Kind.
func (k *Kind) Facts() bench.TargetFacts {
	f := bench.TargetFacts{
		Kind: "etcd", Version: k.status[0].Version, EtcdRules: true,
		Endpoints: strings.Split(k.config.Name(), ","), Connections: MaxConnections, Prefix: k.prefix,
		Shared: true,
	}
	for _, s := range k.status {
		f.DBBytes = max(f.DBBytes, s.DBBytes)
	}
	return f
}

// Allow sets how many bytes this run may write, by the estimate of Cost.
func (k *Kind) Allow(bytes int64) { k.allowance.Store(bytes) }

// Allowance is what Allow set; 0 before.
func (k *Kind) Allowance() int64 { return k.allowance.Load() }

// Spent is how many bytes were written so far, by the estimate of Cost.
func (k *Kind) Spent() int64 { return k.spent.Load() }

// spend takes the cost of a write from the allowance.
func (k *Kind) spend(key, value int) error {
	k.wrote.Store(true)
	if spent := k.spent.Add(Cost(key, value)); spent > k.allowance.Load() {
		return bench.ErrSpent
	}
	return nil
}

// noteRev remembers the newest revision.
func (k *Kind) noteRev(rev int64) {
	for {
		old := k.newest.Load()
		if rev <= old || k.newest.CompareAndSwap(old, rev) {
			return
		}
	}
}

// Open implements bench.Kind: keys of their own under the run's prefix, and
// connections of their own. dir is not used.
func (k *Kind) Open(string) (bench.Target, error) {
	t := &target{kind: k, prefix: fmt.Sprintf("%s%d/", k.prefix, k.opened.Add(1))}
	if k.config.AllowCompaction {
		return compactable{t}, nil
	}
	return t, nil
}

// dial opens a raw connection to one of the endpoints, which take turns. It is
// made when it is first used.
func (k *Kind) dial(number int) (*grpc.ClientConn, error) {
	return dial(&k.config, k.config.Endpoints[number%len(k.config.Endpoints)], k.tokens)
}

// cleanTimeout bounds cleaning up, for each thousand keys.
func (k *Kind) cleanTimeout() time.Duration { return max(2*time.Second, k.config.CommandTimeout) }

// Close deletes what is left of the run's keys and ends the connections. Its
// error says which keys stay. It may be called again, and does nothing then.
func (k *Kind) Close() error {
	k.once.Do(func() {
		if k.wrote.Load() {
			if err := k.clean(k.prefix); err != nil {
				k.closing = &LeftError{Prefix: k.prefix, Err: err}
			}
		}
		k.closing = errors.Join(k.closing, ignoreClosed(k.client.Close()))
	})
	return k.closing
}

// Left says, for people, which keys stay if Close is never called; empty if
// nothing was written.
func (k *Kind) Left() string {
	if !k.wrote.Load() {
		return ""
	}
	return fmt.Sprintf("keys stay under %s; remove them: etcdctl del --prefix %s", k.prefix, k.prefix)
}

// LeftError says that keys could not be deleted.
type LeftError struct {
	Prefix string
	Err    error
}

func (e *LeftError) Error() string {
	return fmt.Sprintf("keys stay under %s (%v); remove them: etcdctl del --prefix %s", e.Prefix, e.Err, e.Prefix)
}

func (e *LeftError) Unwrap() error { return e.Err }
