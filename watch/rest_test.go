package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

func TestFormOf(t *testing.T) {
	for f := range form(1 << 4) {
		o := f.options()
		back, ok := formOf(&o)
		assert.True(t, ok)
		assert.Equal(t, f, back)
	}
	for _, o := range []options{{policy: Latest}, {policy: Cancel, maxLagBytes: 1}, {policy: Cancel, maxLagRevisions: 1}} {
		_, ok := formOf(&o)
		assert.False(t, ok, "%+v", o)
	}
}

// G3 X1 X5: watches go to rest and wake at any moment, while events come and
// others are cancelled and made again under the same id, and none loses or
// doubles an event. Each writer counts up the value of its key.
func TestRest_BesideEverything(t *testing.T) {
	const keys, puts = 20, 400
	store := memStore(t, mvcc.Config{})
	hub, err := NewHub(store, Config{Shards: 1})
	require.NoError(t, err)
	s, err := hub.NewStream("")
	require.NoError(t, err)
	request := func(k int) Request {
		r := Request{ID: int64(k + 1), Key: fmt.Appendf(nil, "k%02d", k)}
		if k%2 == 0 {
			r.End = append(r.Key[:3:3], 0, 1) // neither a key nor a prefix
		}
		return r
	}
	for k := range keys {
		_, err := s.Watch(request(k))
		require.NoError(t, err)
	}

	var writing, others sync.WaitGroup
	ctx, written := context.WithCancel(context.Background())
	for k := range keys {
		writing.Go(func() {
			for n := range uint64(puts) {
				_, err := store.Put(ctx, request(k).Key, binary.BigEndian.AppendUint64(nil, n))
				assert.NoError(t, err)
			}
		})
	}
	others.Go(func() {
		for ctx.Err() == nil {
			hub.shards[0].restIdle()
		}
	})
	others.Go(func() {
		for ctx.Err() == nil {
			k := rand.IntN(keys / 4) // the others live on
			assert.NoError(t, s.Cancel(int64(k+1)))
			_, err := s.Watch(request(k))
			assert.NoError(t, err)
		}
	})
	received := make(chan struct{})
	go func() {
		defer close(received)
		recvCounted(t, ctx, s, keys/4, puts)
	}()
	writing.Wait()
	written()
	others.Wait()
	<-received
	require.NoError(t, s.Close())
	assert.Zero(t, hub.shards[0].groups.count)
	assert.Zero(t, hub.shards[0].groups.heads.len())
	require.NoError(t, hub.Close())
}

// recvCounted receives until the watches from churned on have had puts events
// each and writing is over; the ones before must have no hole within a life.
func recvCounted(t *testing.T, writing context.Context, s *Stream, churned, puts int) {
	next := map[int64]uint64{} // by watch; absent before its first event
	open := map[int64]bool{}
	whole := func() bool {
		for id := churned + 1; open[int64(id)]; id++ {
			if next[int64(id)] < uint64(puts) {
				return false
			}
		}
		return len(open) > 0
	}
	for {
		if whole() {
			<-writing.Done()
			return
		}
		rs, err := s.Recv(context.Background())
		if !assert.NoError(t, err) {
			return
		}
		for i := range rs {
			r := &rs[i]
			if r.Created {
				assert.False(t, open[r.WatchID])
				open[r.WatchID] = true
				if r.WatchID > int64(churned) {
					next[r.WatchID] = 0 // before the first put
				}
				continue
			}
			if !assert.True(t, open[r.WatchID], "%+v", r) {
				return
			}
			if r.Canceled {
				open[r.WatchID] = false
				delete(next, r.WatchID)
			}
			for _, e := range r.Events {
				n := binary.BigEndian.Uint64(e.KV.Value)
				if want, ok := next[r.WatchID]; ok {
					assert.Equal(t, want, n, "watch %d", r.WatchID)
				}
				next[r.WatchID] = n + 1
			}
		}
	}
}

// What a watch at rest takes, its key of 16 bytes included: the figures in
// doc.go.
func TestRest_Memory(t *testing.T) {
	const watches, streams = 100_000, 20
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		shape string
		most  uint64
	}{{"key", 80}, {"range", 110}} {
		store := memStore(t, mvcc.Config{})
		h := newHub(store, Config{})
		before := heapInUse()
		for range streams {
			s, err := h.NewStream("")
			require.NoError(t, err)
			for i := range watches / streams {
				r := Request{Key: fmt.Appendf(nil, "key/%04d%08d", s.number, i)}
				if c.shape == "range" {
					r.End = append(r.Key[:16:16], 'z')
				}
				_, err = s.Watch(r)
				require.NoError(t, err)
			}
			for err == nil {
				_, err = s.Recv(ctx)
			}
			require.True(t, errors.Is(err, context.Canceled))
		}
		assert.Less(t, (heapInUse()-before)/watches, c.most, c.shape)
		assert.Equal(t, watches, h.Stats().Synced)
		require.NoError(t, h.Close())
		assert.Less(t, heapInUse(), before+watches, "given back")
	}
}
