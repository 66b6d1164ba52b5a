package mvcc

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

// G9, R1, R3: many writers, readers and compactions at once on every engine;
// after a restart everything acknowledged is there, in one order.
func TestStore_ConcurrentOnEveryEngine(t *testing.T) {
	for _, d := range engines.All() {
		eachDurability(t, func(t *testing.T, cfg Config) {
			t.Run(d.Name, func(t *testing.T) {
				cfg.RecentBytes = 4000
				dir := t.TempDir()
				engine := openEngine(t, d, dir)
				s := openTuned(t, engine, cfg, tuning{ceilingStep: 100, partBytes: 4096, deleteBatch: 20, compactChunk: 50})
				acked := concurrently(t, s)
				compact := s.CompactRev()
				from := max(compact, 2)
				check := func() {
					t.Helper()
					require.Equal(t, compact, s.CompactRev())
					chunk, err := s.History(ctx, HistoryQuery{From: from, To: s.Rev()})
					require.NoError(t, err)
					for i, e := range chunk.Events {
						require.Equal(t, from+int64(i), e.KV.ModRevision)
						require.Equal(t, acked[e.KV.ModRevision], string(e.KV.Key)+"="+string(e.KV.Value))
					}
					require.EqualValues(t, s.Rev()-from+1, len(chunk.Events))
				}
				flushed(t, s)
				check()
				require.NoError(t, s.Close())
				if !d.Volatile {
					require.NoError(t, engine.Close())
					engine = openEngine(t, d, dir)
				}
				s = openOn(t, engine, cfg)
				require.EqualValues(t, len(acked)+1, s.Rev())
				check()
			})
		})
	}
}

// concurrently writes, reads and compacts, and returns what was acknowledged
// at each revision.
func concurrently(t *testing.T, s *Store) map[int64]string {
	const writers, each = 16, 8
	var mu sync.Mutex
	acked := map[int64]string{}
	var writing, others sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				key, value := fmt.Sprint("k", w), fmt.Sprint(i)
				rev, err := s.Put(ctx, []byte(key), []byte(value))
				mu.Lock()
				if _, twice := acked[rev]; twice || err != nil {
					t.Errorf("put at %d twice, or %v", rev, err)
				}
				acked[rev] = key + "=" + value
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	loop := func(step func() error) {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := step(); err != nil && !errors.Is(err, ErrCompacted) {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func() error {
		rev := s.Rev()
		res, err := s.Range(everyKey, everyKey, RangeOptions{Rev: rev})
		var versions int64
		for _, kv := range res.KVs {
			versions += kv.Version
		}
		if err == nil && versions != rev-1 {
			return fmt.Errorf("at %d there are %d versions", rev, versions)
		}
		return err
	})
	loop(func() error {
		if rev := s.Rev() - 20; rev > s.CompactRev() {
			return s.Compact(ctx, rev)
		}
		return s.Wait(ctx, s.Rev())
	})
	writing.Wait()
	close(done)
	others.Wait()
	return acked
}

// What one revision needs above an engine's largest batch is written in parts
// on the real engines too, those that have a bound.
func TestStore_HugeRevisionOnEveryEngine(t *testing.T) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			dir := t.TempDir()
			engine := openEngine(t, d, dir)
			const keys = 300
			var value []byte
			if bytes := engine.Stats().MaxBatchBytes; bytes > 0 && bytes < 64<<20 {
				value = make([]byte, bytes/(keys/2)) // two batches full
			}
			s := openOn(t, engine, Config{Durability: Relaxed(time.Hour)})
			rev, err := s.Update(ctx, func(tx *WriteTx) error {
				for i := range keys {
					if err := tx.Put(fmt.Appendf(nil, "%08d", i), value, 0); err != nil {
						return err
					}
				}
				return nil
			})
			require.NoError(t, err)
			res, err := s.DeleteRange(ctx, []byte("0"), []byte{0})
			require.NoError(t, err)
			require.Equal(t, DeleteResult{Deleted: keys, Rev: rev + 1}, res)
			require.NoError(t, s.Close())
			if !d.Volatile {
				require.NoError(t, engine.Close())
				engine, err = d.Open(dir, backend.Options{})
				require.NoError(t, err)
				defer func() { require.NoError(t, engine.Close()) }()
			}
			s = openOn(t, engine, Config{})
			defer s.Close()
			require.Equal(t, rev+1, s.Rev())
			old, err := s.Range(everyKey, everyKey, RangeOptions{Rev: rev, CountOnly: true})
			require.NoError(t, err)
			require.EqualValues(t, keys, old.Count)
			now, err := s.Range(everyKey, everyKey, RangeOptions{CountOnly: true})
			require.NoError(t, err)
			require.Zero(t, now.Count)
		})
	}
}
