package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Embedded is the Kind of a store in this process, over one engine.
type Embedded struct {
	Driver     backend.Driver
	Durability mvcc.Durability
	CacheBytes int64 // of the engine; 0 is its default
	// Version of the engine's library, if known before it is opened.
	Version string
	// ReadOnly opens data that exists without changing it.
	ReadOnly bool
}

// Facts implements Kind.
func (k Embedded) Facts() TargetFacts {
	return TargetFacts{
		Kind: "embedded", Engine: k.Driver.Name, Version: k.Version, Durability: k.Durability.String(),
		OutboxResponses: outboxResponses, OutboxBytes: outboxBytes, RecentBytes: recentBytes,
		CacheBytes: k.CacheBytes, Volatile: k.Driver.Volatile,
	}
}

// The outbox of a stream and the recent log: the defaults of hub and store,
// spelled out because they are part of every result.
const (
	outboxResponses = 128
	outboxBytes     = 1 << 20
	recentBytes     = 32 << 20
)

// Probe opens the engine in an empty dir and closes it again, to learn its
// version and the size of its cache.
func (k Embedded) Probe(dir string) (Embedded, error) {
	engine, err := k.Driver.Open(dir, backend.Options{CacheBytes: k.CacheBytes})
	if err != nil {
		return k, fmt.Errorf("open %s: %w", k.Driver.Name, err)
	}
	stats := engine.Stats()
	k.Version, k.CacheBytes = stats.Version, stats.CacheBytes
	return k, engine.Close()
}

// Open implements Kind.
func (k Embedded) Open(dir string) (Target, error) {
	engine, err := k.Driver.Open(dir, backend.Options{CacheBytes: k.CacheBytes, ReadOnly: k.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k.Driver.Name, err)
	}
	t := &embedded{engine: engine, cfg: mvcc.Config{Durability: k.Durability, RecentBytes: recentBytes, ReadOnly: k.ReadOnly}}
	if err := t.open(t.cfg); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return t, nil
}

// embedded is an open store with its hub. store and hub change only in Fill,
// which has no company.
type embedded struct {
	engine backend.Engine
	cfg    mvcc.Config
	store  *mvcc.Store
	hub    *watch.Hub
}

var (
	_ Inspector = (*embedded)(nil)
	_ Filler    = (*embedded)(nil)
	_ Compactor = (*embedded)(nil)
	_ Deleter   = (*embedded)(nil)
	_ Reader    = (*embedded)(nil)
	_ Canceler  = (*watch.Stream)(nil)
)

func (t *embedded) open(cfg mvcc.Config) error {
	store, err := mvcc.Open(t.engine, cfg)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	hub, err := watch.NewHub(store, watch.Config{OutboxResponses: outboxResponses, OutboxBytes: outboxBytes})
	if err != nil {
		return errors.Join(fmt.Errorf("open hub: %w", err), store.Close())
	}
	t.store, t.hub = store, hub
	return nil
}

func (t *embedded) shut() error {
	return errors.Join(t.hub.Close(), t.store.Close())
}

// Close implements Target.
func (t *embedded) Close() error { return errors.Join(t.shut(), t.engine.Close()) }

// Put implements Target.
func (t *embedded) Put(ctx context.Context, key, value []byte) (int64, error) {
	return t.store.Put(ctx, key, value)
}

// Compact implements Compactor. It waits for the records to be deleted, too.
func (t *embedded) Compact(ctx context.Context, rev int64) error { return t.store.Compact(ctx, rev) }

// Delete implements Deleter.
func (t *embedded) Delete(ctx context.Context, key []byte) (int64, error) {
	res, err := t.store.DeleteRange(ctx, key, nil)
	if err != nil || res.Deleted == 0 {
		return 0, err
	}
	return res.Rev, nil
}

// Read implements Reader.
func (t *embedded) Read(_ context.Context, key, end []byte, limit int64) (keys, bytes int64, err error) {
	res, err := t.store.Range(key, end, mvcc.RangeOptions{Limit: limit})
	for i := range res.KVs {
		bytes += int64(len(res.KVs[i].Key) + len(res.KVs[i].Value))
	}
	return int64(len(res.KVs)), bytes, err
}

// Rev implements Target.
func (t *embedded) Rev(context.Context) (int64, error) { return t.store.Rev(), nil }

// NewStream implements Target.
func (t *embedded) NewStream(name string) (Stream, error) { return t.hub.NewStream(name) }

// HubStats implements Inspector.
func (t *embedded) HubStats() watch.Stats { return t.hub.Stats() }

// StoreStats implements Inspector.
func (t *embedded) StoreStats() mvcc.Stats { return t.store.Stats() }

// fillInterval makes large batches of the history; nobody waits for one.
const fillInterval = 50 * time.Millisecond

// Fill implements Filler. It writes without waiting for the disk and opens
// the store again, so that the history is durable and not in the recent log:
// watchers that ask for it come back after a restart.
func (t *embedded) Fill(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(rev int64, key, value []byte)) error {
	if err := t.shut(); err != nil {
		return err
	}
	cfg := t.cfg
	cfg.Durability = mvcc.Relaxed(fillInterval)
	if err := t.open(cfg); err != nil {
		return err
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		key, value := next(i)
		rev, err := t.store.Put(context.WithoutCancel(ctx), key, value)
		if err != nil {
			return fmt.Errorf("history, revision %d of %d: %w", i+1, n, err)
		}
		wrote(rev, key, value)
	}
	if err := t.shut(); err != nil {
		return err
	}
	return t.open(t.cfg)
}
