package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

const (
	keyCount = 200
	// herald is how far ahead of what a writer was answered the store may
	// be: automatic compaction is announced to the checker with it.
	herald = 100
	// bigPut is the size of one put in a revision larger than a batch.
	bigPut = 256 << 10
	// usualBig is the size of such a revision where batches have no bound
	// that a test can reach.
	usualBig = 2 << 20
)

// errMind is of a transaction that changes its mind.
var errMind = errors.New("the transaction changed its mind")

func key(n int) []byte { return fmt.Appendf(nil, "k/%03d", n) }

// value says whose it is, so that readers can tell.
func value(r *rand.Rand, key []byte, size int) []byte {
	v := fmt.Appendf(nil, "%s|%d|", key, r.Uint64())
	if size > len(v) {
		v = append(v, make([]byte, size-len(v))...)
	}
	return v
}

func sizeOf(r *rand.Rand) int {
	switch n := r.IntN(2000); {
	case n == 0:
		return 1 << 20
	case n < 20:
		return 64 << 10
	}
	return r.IntN(400)
}

// write writes until ctx ends; every acknowledged revision is told to the
// checker.
func (w *world) write(ctx context.Context, r *rand.Rand, compacts bool) {
	for ctx.Err() == nil && !w.t.Failed() {
		var changes []watchtest.Change
		var rev int64
		var err error
		switch n := r.IntN(1000); {
		case n < 600:
			rev, err = w.put(r, &changes)
		case n < 940:
			rev, err = w.update(r, &changes)
		case n < 970:
			rev, err = w.declare(r, &changes)
		case n < 980:
			w.nothing(ctx, r)
			continue
		case n == 980:
			rev, err = w.big(r, &changes)
		case compacts && n < 985:
			w.compact(r)
			continue
		default:
			rev, err = w.deleteRange(r, &changes)
		}
		if !assert.NoError(w.t, err) {
			return
		}
		if len(changes) == 0 {
			continue
		}
		w.history.Compacting(rev + herald - keepRevisions)
		if !assert.NoError(w.t, w.history.Commit(rev, changes...)) {
			return
		}
		w.wrote(changes)
	}
}

// wrote accounts for the bytes on disk.
func (w *world) wrote(changes []watchtest.Change) {
	n := int64(0)
	for i := range changes {
		n += int64(len(changes[i].Key)+len(changes[i].Value)) + 64
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written += n
	w.largest = min(w.written, keepRevisions*averageRevision)
}

// averageRevision is more than the mix of operations makes on average.
const averageRevision = 40 << 10

func (w *world) put(r *rand.Rand, changes *[]watchtest.Change) (int64, error) {
	k := key(r.IntN(keyCount))
	v := value(r, k, sizeOf(r))
	*changes = append(*changes, watchtest.Change{Key: k, Value: v})
	return w.store.Put(context.Background(), k, v)
}

// update is a transaction of a few puts and deletes.
func (w *world) update(r *rand.Rand, changes *[]watchtest.Change) (int64, error) {
	return w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
		for range 1 + r.IntN(6) {
			k := key(r.IntN(keyCount))
			c := watchtest.Change{Key: k, Value: value(r, k, r.IntN(300))}
			var err error
			if r.IntN(3) == 0 {
				var n int64
				c = watchtest.Change{Type: mvcc.EventDelete, Key: k}
				if n, err = tx.DeleteRange(k, nil); n == 0 && err == nil {
					continue
				}
			} else {
				err = tx.Put(k, c.Value, 0)
			}
			if errors.Is(err, mvcc.ErrDuplicateKey) {
				continue
			}
			if err != nil {
				return err
			}
			*changes = append(*changes, c)
		}
		return nil
	})
}

// declare is a declarative transaction: create the key, or delete it.
func (w *world) declare(r *rand.Rand, changes *[]watchtest.Change) (int64, error) {
	k := key(r.IntN(keyCount))
	v := value(r, k, 100)
	res, err := w.store.Txn(context.Background(), mvcc.Txn{
		If:   []mvcc.Compare{{Key: k, Target: mvcc.TargetVersion, Relation: mvcc.Equal}},
		Then: []mvcc.Op{{Type: mvcc.OpPut, Key: k, Value: v}},
		Else: []mvcc.Op{{Type: mvcc.OpDeleteRange, Key: k}},
	})
	c := watchtest.Change{Key: k, Value: v}
	if !res.Succeeded {
		c = watchtest.Change{Type: mvcc.EventDelete, Key: k}
	}
	*changes = append(*changes, c)
	return res.Rev, err
}

// deleteRange deletes a prefix of up to ten keys, or all big ones.
func (w *world) deleteRange(r *rand.Rand, changes *[]watchtest.Change) (int64, error) {
	n := r.IntN(keyCount / 10)
	lo, hi := fmt.Appendf(nil, "k/%02d", n), fmt.Appendf(nil, "k/%02d:", n)
	if r.IntN(4) == 0 {
		lo, hi = []byte("big/"), []byte("big0")
	}
	return w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
		res, err := tx.Range(lo, hi, mvcc.RangeOptions{KeysOnly: true})
		if err != nil {
			return err
		}
		for i := range res.KVs {
			*changes = append(*changes, watchtest.Change{Type: mvcc.EventDelete, Key: res.KVs[i].Key})
		}
		_, err = tx.DeleteRange(lo, hi)
		return err
	})
}

// big is one revision larger than the engine's batch, where that has a bound
// within reach.
func (w *world) big(r *rand.Rand, changes *[]watchtest.Change) (int64, error) {
	size := int64(usualBig)
	if bound := w.engine.Stats().MaxBatchBytes; bound > 0 && bound < 64<<20 && r.IntN(4) == 0 {
		size = bound + bigPut
	}
	return w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
		for i := range size / bigPut {
			k := fmt.Appendf(nil, "big/%03d", i)
			v := value(r, k, bigPut)
			*changes = append(*changes, watchtest.Change{Key: k, Value: v})
			if err := tx.Put(k, v, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// nothing is a write of which nothing may happen: an error, a panic, a
// context that has ended.
func (w *world) nothing(ctx context.Context, r *rand.Rand) {
	k := key(r.IntN(keyCount))
	switch r.IntN(3) {
	case 0:
		_, err := w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
			return errors.Join(tx.Put(k, []byte("never"), 0), errMind)
		})
		assert.ErrorIs(w.t, err, errMind)
	case 1:
		assert.PanicsWithError(w.t, errMind.Error(), func() {
			_, _ = w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
				_ = tx.Put(k, []byte("never"), 0)
				panic(errMind)
			})
		})
	case 2:
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := w.store.Put(ended, k, []byte("never"))
		assert.Error(w.t, err)
		assert.NotErrorIs(w.t, err, mvcc.ErrUncertain)
	}
}

// compact compacts by hand, at times nearer to the present than the
// automatic one does.
func (w *world) compact(r *rand.Rand) {
	rev := w.store.Rev() - r.Int64N(keepRevisions)
	if rev < 1 {
		return
	}
	w.history.Compacting(rev)
	if err := w.store.Compact(context.Background(), rev); !errors.Is(err, mvcc.ErrCompacted) {
		assert.NoError(w.t, err)
	}
}

// read reads ranges at revisions of the past and the present, hashes, and
// looks at everything there is to look at.
func (w *world) read(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil && !w.t.Failed() {
		rev := int64(0)
		if r.IntN(2) == 0 {
			rev = w.store.Rev() - r.Int64N(keepRevisions/2)
		}
		a, b := r.IntN(keyCount), r.IntN(keyCount)
		w.readRange(key(min(a, b)), key(max(a, b)+1), rev)
		switch r.IntN(200) {
		case 0:
			if _, err := w.store.HashKV(ctx, 0); ctx.Err() == nil {
				assert.NoError(w.t, err)
			}
		case 1:
			w.hub.Watches()
		case 2:
			w.hub.Stats()
			w.store.Stats()
		}
	}
}

// readRange checks what an answer shows by itself.
func (w *world) readRange(lo, hi []byte, rev int64) {
	res, err := w.store.Range(lo, hi, mvcc.RangeOptions{Rev: rev})
	if errors.Is(err, mvcc.ErrCompacted) && rev != 0 {
		return
	}
	if !assert.NoError(w.t, err) {
		return
	}
	if rev <= 0 {
		rev = res.Rev
	}
	assert.EqualValues(w.t, len(res.KVs), res.Count)
	for i := range res.KVs {
		kv := &res.KVs[i]
		ok := kv.ModRevision <= rev && kv.CreateRevision <= kv.ModRevision && kv.Version > 0 &&
			bytes.HasPrefix(kv.Value, append(kv.Key[:len(kv.Key):len(kv.Key)], '|')) &&
			bytes.Compare(kv.Key, lo) >= 0 && bytes.Compare(kv.Key, hi) < 0 &&
			(i == 0 || bytes.Compare(res.KVs[i-1].Key, kv.Key) < 0)
		if !ok {
			assert.Fail(w.t, "wrong answer", "range %q %q at %d: %q, create %d, mod %d, version %d, value %.40q",
				lo, hi, rev, kv.Key, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Value)
			return
		}
	}
}
