package etcd

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/bench"
)

const (
	fillWriters = 64   // puts under way while a history is written
	fillBatch   = 4096 // puts between two moments at which none is
)

// filled is one put of a history.
type filled struct {
	rev        int64
	key, value []byte
}

// Fill implements bench.Filler: puts, many at once, as clients would. After
// each batch all of them are answered, so their order by revision is known.
// The server answers a put when it is durable; what it keeps in its caches
// stays there, since it is not restarted.
func (t *target) Fill(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(rev int64, key, value []byte)) error {
	batch := make([]filled, 0, fillBatch)
	for i := int64(0); i < n; i += int64(len(batch)) {
		batch = batch[:0]
		for j := i; j < min(n, i+fillBatch); j++ {
			key, value := next(j)
			batch = append(batch, filled{key: slices.Clone(key), value: slices.Clone(value)})
		}
		if err := t.putAll(ctx, batch); err != nil {
			return fmt.Errorf("history, revisions %d to %d of %d: %w", i+1, i+int64(len(batch)), n, err)
		}
		slices.SortFunc(batch, func(a, b filled) int { return int(a.rev - b.rev) })
		for _, f := range batch {
			wrote(f.rev, f.key, f.value)
		}
	}
	return nil
}

// putAll puts a batch and waits for every answer. Puts of one key stay in
// order of the batch no more than others: the server orders them.
func (t *target) putAll(ctx context.Context, batch []filled) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *filled)
	var wg sync.WaitGroup
	for range min(fillWriters, len(batch)) {
		wg.Go(func() {
			for f := range work {
				rev, err := t.Put(context.WithoutCancel(ctx), f.key, f.value)
				if err != nil {
					cancel(err)
				}
				f.rev = rev
			}
		})
	}
	for i := range batch {
		if ctx.Err() != nil {
			break
		}
		work <- &batch[i]
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

var _ bench.Target = (*target)(nil)
