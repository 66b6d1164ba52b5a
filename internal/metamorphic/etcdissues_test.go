package metamorphic_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Tests named after etcd issues about storage, on every engine: each brings
// about what went wrong there.

// onEngine is a store and a hub over an engine that can be opened again.
type onEngine struct {
	*stand
	driver backend.Driver
	dir    string
	engine backend.Engine
	config mvcc.Config
}

func eachEngine(t *testing.T, config mvcc.Config, test func(t *testing.T, e *onEngine)) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			e := &onEngine{
				stand:  &stand{t: t, history: watchtest.NewHistory(watchtest.HistoryConfig{})},
				driver: d, dir: filepath.Join(t.TempDir(), "data"), config: config,
			}
			e.open()
			test(t, e)
			e.close()
			require.NoError(t, e.engine.Close())
		})
	}
}

func (e *onEngine) open() {
	e.t.Helper()
	var err error
	if e.engine == nil {
		e.engine, err = e.driver.Open(e.dir, backend.Options{})
		require.NoError(e.t, err)
	}
	e.store, err = mvcc.Open(e.engine, e.config)
	require.NoError(e.t, err)
	e.hub, err = watch.NewHub(e.store, watch.Config{})
	require.NoError(e.t, err)
}

// close leaves the engine open.
func (e *onEngine) close() {
	e.t.Helper()
	require.NoError(e.t, e.hub.Close())
	require.NoError(e.t, e.store.Close())
}

// reopen closes everything, the engine too if it keeps its data.
func (e *onEngine) reopen() {
	e.t.Helper()
	e.close()
	if !e.driver.Volatile {
		require.NoError(e.t, e.engine.Close())
		e.engine = nil
	}
	e.open()
}

func (e *onEngine) delete(key string) {
	e.t.Helper()
	res, err := e.store.DeleteRange(context.Background(), []byte(key), nil)
	require.NoError(e.t, err)
	require.NoError(e.t, e.history.Commit(res.Rev, watchtest.Change{Key: []byte(key), Type: mvcc.EventDelete}))
}

func (e *onEngine) compact(rev int64) {
	e.t.Helper()
	e.history.Compacting(rev)
	require.NoError(e.t, e.store.Compact(context.Background(), rev))
}

// got reads one watch until everything up to now is delivered.
func (e *onEngine) got(r watch.Request) (lines []string) {
	e.t.Helper()
	l := e.listen()
	l.watch(r)
	l.check.ProgressAsked(e.store.Rev())
	require.NoError(e.t, l.stream.RequestProgress())
	l.readUntil(func(r *watch.Response) bool {
		for _, ev := range r.Events {
			lines = append(lines, fmt.Sprintf("%v %s@%d", ev.Type, ev.KV.Key, ev.KV.ModRevision))
		}
		return r.WatchID == watch.NoWatch && r.Progress()
	})
	require.NoError(e.t, l.check.Finish(e.store.Rev()))
	require.NoError(e.t, l.stream.Close())
	return lines
}

// etcd's compaction removed the tombstone at the very revision it compacted
// at, though a watch may begin there: the watch got what came after and no
// delete. C10: the event at the compact revision is kept history, also a
// delete, on every way of catching up, over restarts and further compactions.
func TestEtcd18089_DeleteAtTheCompactRevision(t *testing.T) {
	for name, recent := range map[string]int64{"in memory": 0, "in the engine": 1} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, mvcc.Config{RecentBytes: recent}, func(t *testing.T, e *onEngine) {
				for _, v := range []string{"2", "3", "4"} {
					e.put("k1", []byte(v))
				}
				e.delete("k1") // 5
				e.put("k1", []byte("6"))
				e.put("other", nil)
				e.compact(5)
				ask := func(rev int64, want ...string) {
					t.Helper()
					one := watch.Request{Key: []byte("k1"), StartRevision: rev}
					assert.Equal(t, want, e.got(one), "by the index")
					one.PrevKV = true
					assert.Equal(t, want, e.got(one), "with previous values")
					one.End = []byte("k2")
					assert.Equal(t, want, e.got(one), "by the scan")
					one.NoPut = true
					assert.Equal(t, want[:1], e.got(one), "deletes only")
				}
				ask(5, "DELETE k1@5", "PUT k1@6")
				e.reopen()
				ask(5, "DELETE k1@5", "PUT k1@6")
				e.delete("k1") // 8
				e.put("other", nil)
				e.compact(8)
				ask(8, "DELETE k1@8")
				e.reopen()
				ask(8, "DELETE k1@8")
			})
		})
	}
}

// In etcd a defragmentation put a new file in the place of one that a snapshot
// had just been opened as: what was written next went into the file that was
// gone, and a restart lost it. R1: whatever an engine does to its files while
// it is written to (reclaiming room, a backup), and whoever else wants them,
// what was acknowledged is there after a restart.
func TestEtcd20271_WritesBesideReclaim(t *testing.T) {
	eachEngine(t, mvcc.Config{}, func(t *testing.T, e *onEngine) {
		const writers, each = 4, 40
		ctx := context.Background()
		var mu sync.Mutex
		acked := map[int64]string{}
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					key := fmt.Sprintf("k%d-%d", w, i)
					rev, err := e.store.Put(ctx, []byte(key), bytes.Repeat([]byte("x"), 200))
					if assert.NoError(t, err) {
						mu.Lock()
						acked[rev] = key
						mu.Unlock()
					}
				}
			})
		}
		written := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() { e.disturb(written) })
		writing.Wait()
		close(written)
		others.Wait()
		last := e.store.Rev()
		e.reopen()
		require.Equal(t, last, e.store.Rev())
		chunk, err := e.store.History(ctx, mvcc.HistoryQuery{From: 1, To: last})
		require.NoError(t, err)
		require.Len(t, chunk.Events, writers*each)
		for _, ev := range chunk.Events {
			require.Equal(t, acked[ev.KV.ModRevision], string(ev.KV.Key))
		}
	})
}

// disturb moves an engine's files about until done is closed, at least once.
func (e *onEngine) disturb(done <-chan struct{}) {
	ctx := context.Background()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		if r, ok := e.engine.(backend.Reclaimer); ok {
			assert.NoError(e.t, r.Reclaim(ctx))
		}
		var copied bytes.Buffer
		assert.NoError(e.t, e.engine.(backend.Backuper).Backup(ctx, &copied))
		if e.driver.Volatile {
			continue
		}
		_, err := e.driver.Open(e.dir, backend.Options{})
		assert.ErrorIs(e.t, err, backend.ErrLocked)
		_, err = e.driver.Restore(ctx, e.dir, &copied, backend.Options{})
		assert.Error(e.t, err, "a backup does not settle where data are")
	}
}

// A backup of etcd restored below what clients had seen gave revisions out a
// second time, with other content; watches from before went on as if nothing
// had been, and caches stayed wrong. R4, C11: after Bump nobody can resume
// from what the lost history held, everybody is told, and no revision means
// two things.
func TestEtcd16028_RestoredBackupTellsOldWatches(t *testing.T) {
	eachEngine(t, mvcc.Config{}, func(t *testing.T, e *onEngine) {
		ctx := context.Background()
		e.put("a", []byte("old"))
		e.put("b", []byte("old")) // 3
		var copied bytes.Buffer
		require.NoError(t, e.engine.(backend.Backuper).Backup(ctx, &copied))
		for range 20 {
			e.put("a", []byte("lost"))
		}
		seen := e.store.Rev()
		e.close()
		require.NoError(t, e.engine.Close())
		require.NoError(t, os.RemoveAll(e.dir))

		var err error
		e.engine, err = e.driver.Restore(ctx, e.dir, &copied, backend.Options{})
		require.NoError(t, err)
		e.open()
		require.EqualValues(t, 3, e.store.Rev())
		require.NoError(t, e.store.Bump(ctx, 1000))
		for range 2 {
			require.EqualValues(t, 1003, e.store.Rev())
			for _, resume := range []int64{2, 4, seen, seen + 1, 1002} {
				s, err := e.hub.NewStream("")
				require.NoError(t, err)
				_, err = s.Watch(watch.Request{Key: []byte("a"), StartRevision: resume})
				require.NoError(t, err)
				told := readTold(t, s)
				assert.EqualValues(t, 1003, told.CompactRevision, "from %d", resume)
				require.NoError(t, s.Close())
			}
			kv, ok, err := e.store.Get([]byte("a"), 0)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, "old", string(kv.Value))
			e.reopen()
		}
		rev, err := e.store.Put(ctx, []byte("a"), []byte("new"))
		require.NoError(t, err)
		assert.Greater(t, rev, seen)
	})
}

// readTold reads until a watch is cancelled, and no event may come before.
func readTold(t *testing.T, s *watch.Stream) watch.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		rs, err := s.Recv(ctx)
		require.NoError(t, err)
		for _, r := range rs {
			require.Empty(t, r.Events)
			if r.Canceled {
				return r
			}
		}
	}
}
