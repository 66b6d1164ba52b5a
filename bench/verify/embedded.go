package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// embeddedProgress is short, so that periodic progress can be waited for.
const embeddedProgress = 100 * time.Millisecond

// Embedded opens a store of one engine in dir, to be looked at from inside
// this process.
func Embedded(driver backend.Driver, durability mvcc.Durability, dir string) (Subject, error) {
	engine, err := driver.Open(dir, backend.Options{})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", driver.Name, err)
	}
	store, err := mvcc.Open(engine, mvcc.Config{Durability: durability})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), engine.Close())
	}
	hub, err := watch.NewHub(store, watch.Config{ProgressInterval: embeddedProgress})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open hub: %w", err), store.Close(), engine.Close())
	}
	return &embedded{
		engine: engine, store: store, hub: hub,
		facts: Facts{Name: driver.Name + "/" + durability.String(), Private: true},
	}, nil
}

type embedded struct {
	facts  Facts
	engine backend.Engine
	store  *mvcc.Store
	hub    *watch.Hub
}

func (e *embedded) Facts() Facts { return e.facts }

func (e *embedded) Put(ctx context.Context, key, value []byte, lease int64) (int64, error) {
	if lease == 0 {
		return e.store.Put(ctx, key, value)
	}
	return e.store.Update(ctx, func(tx *mvcc.WriteTx) error { return tx.Put(key, value, lease) })
}

func (e *embedded) Delete(ctx context.Context, key, end []byte) (mvcc.DeleteResult, error) {
	return e.store.DeleteRange(ctx, key, end)
}

func (e *embedded) Range(_ context.Context, key, end []byte, o mvcc.RangeOptions) (mvcc.RangeResult, error) {
	return e.store.Range(key, end, o)
}

func (e *embedded) Txn(ctx context.Context, t mvcc.Txn) (mvcc.TxnResult, error) {
	return e.store.Txn(ctx, t)
}

func (e *embedded) Compact(ctx context.Context, rev int64) error { return e.store.Compact(ctx, rev) }

func (e *embedded) HubStats() watch.Stats   { return e.hub.Stats() }
func (e *embedded) HubConfig() watch.Config { return e.hub.Config() }

func (e *embedded) NewStream(context.Context) (Stream, error) {
	s, err := e.hub.NewStream("verify")
	if err != nil {
		return nil, err
	}
	return &embeddedStream{s}, nil
}

func (e *embedded) Close() error {
	return errors.Join(e.hub.Close(), e.store.Close(), e.engine.Close())
}

type embeddedStream struct{ *watch.Stream }

// Create passes a refusal over: a response says so too.
func (s *embeddedStream) Create(r Request) error {
	if _, err := s.Watch(r.Request); errors.Is(err, watch.ErrStreamClosed) || errors.Is(err, watch.ErrHubClosed) {
		return err
	}
	return nil
}

// Cancel of what is not there is no error on the wire either.
func (s *embeddedStream) Cancel(id int64) error {
	if err := s.Stream.Cancel(id); !errors.Is(err, watch.ErrNoWatch) {
		return err
	}
	return nil
}

func (s *embeddedStream) Recv(ctx context.Context) ([]Response, error) {
	got, err := s.Stream.Recv(ctx)
	out := make([]Response, len(got))
	for i := range got {
		out[i].Response = got[i]
	}
	return out, err
}
