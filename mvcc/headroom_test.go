package mvcc

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
)

const mib = 1 << 20

// volumeEngine says how much room its volume has.
type volumeEngine struct {
	slowEngine
	free, floor atomic.Int64
}

func (e *volumeEngine) FreeSpace() (backend.FreeSpace, error) {
	return backend.FreeSpace{Bytes: e.free.Load(), Floor: e.floor.Load()}, nil
}

// newVolume is an engine in memory that needs 120 MiB for itself, so puts
// leave 180, deletes 150.
func newVolume(t *testing.T, freeMiB int64) *volumeEngine {
	t.Helper()
	inner, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	e := &volumeEngine{slowEngine: slowEngine{Engine: inner}}
	e.floor.Store(120 * mib)
	e.free.Store(freeMiB * mib)
	return e
}

// setFree changes the room and lets every measurement grow old. Only inside a
// synctest bubble, where a sleep takes no time.
func (e *volumeEngine) setFree(mibs int64) {
	e.free.Store(mibs * mib)
	time.Sleep(2 * headroomAge)
}

// tryPut puts a megabyte.
func tryPut(s *Store, key string) error {
	_, err := s.Put(ctx, []byte(key), make([]byte, mib))
	return err
}

func tryDelete(s *Store, key string) error {
	_, err := s.DeleteRange(ctx, []byte(key), nil)
	return err
}

// R7: below the floor puts are refused, whatever brings them; deletes, reads
// and compaction go on down to marks of their own.
func TestHeadroom_Marks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		s := openOn(t, e, Config{})
		for _, key := range []string{"a", "b", "c", "d"} {
			require.NoError(t, tryPut(s, key))
		}
		rev := s.Rev()

		e.setFree(179)
		require.ErrorIs(t, tryPut(s, "e"), ErrNoSpace)
		_, err := s.Txn(ctx, Txn{Then: []Op{{Type: OpDeleteRange, Key: []byte("a")}, {Type: OpPut, Key: []byte("e")}}})
		require.ErrorIs(t, err, ErrNoSpace)
		_, err = s.Update(ctx, func(tx *WriteTx) error {
			if _, err := tx.DeleteRange([]byte("a"), nil); err != nil {
				return err
			}
			return tx.Put([]byte("e"), nil, 0)
		})
		require.ErrorIs(t, err, ErrNoSpace)
		require.Equal(t, rev, s.Rev(), "nothing of what was refused happened")
		kv, ok, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, kv.Value, mib)
		require.NoError(t, tryDelete(s, "a"))
		require.NoError(t, s.Compact(ctx, s.Rev()))

		e.setFree(149)
		require.ErrorIs(t, tryPut(s, "e"), ErrNoSpace)
		require.ErrorIs(t, tryDelete(s, "b"), ErrNoSpace)
		e.setFree(151)
		require.NoError(t, tryDelete(s, "b"))
		e.setFree(121)
		require.NoError(t, s.Compact(ctx, s.Rev()))
		e.setFree(154)
		require.NoError(t, tryDelete(s, "c"))
		e.setFree(119)
		require.ErrorIs(t, s.Compact(ctx, s.Rev()), ErrNoSpace)
		require.ErrorIs(t, s.Bump(ctx, 1), ErrNoSpace)
		require.Less(t, s.CompactRev(), s.Rev())

		e.setFree(1000)
		require.NoError(t, s.Compact(ctx, s.Rev()))
		require.NoError(t, tryPut(s, "e"))
		require.NoError(t, s.Close())
	})
}

// R7: freeing space ends it by itself, with an edge against going back and
// forth; the log has one line for the beginning and one for the end, the
// stats say it meanwhile, and the error has the numbers.
func TestHeadroom_BeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		var log bytes.Buffer
		s := openOn(t, e, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, tryPut(s, "a"))
		st := s.Stats()
		assert.EqualValues(t, 1000*mib, st.FreeBytes)
		assert.EqualValues(t, 180*mib, st.FloorBytes)
		assert.Empty(t, st.NoSpace)
		assert.Empty(t, log.String())

		e.setFree(150)
		for range 10 {
			err := tryPut(s, "a")
			require.ErrorIs(t, err, ErrNoSpace)
			assert.Contains(t, err.Error(), "mvcc: database space exceeded: 150.0 MiB are left")
			assert.Contains(t, err.Error(), "180.0 MiB")
			assert.Contains(t, err.Error(), "Config.MinFreeBytes")
		}
		assert.Contains(t, s.Stats().NoSpace, "150.0 MiB")
		e.setFree(190)
		require.ErrorIs(t, tryPut(s, "a"), ErrNoSpace, "within the edge")
		assert.NotEmpty(t, s.Stats().NoSpace)
		assert.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())

		e.setFree(200)
		require.NoError(t, tryPut(s, "a"))
		assert.Empty(t, s.Stats().NoSpace)
		assert.Equal(t, 2, strings.Count(log.String(), "level=WARN"), log.String())
		require.NoError(t, s.Close())
	})
}

// R7: nobody has to write for the stats to tell.
func TestHeadroom_StatsMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		s := openOn(t, e, Config{})
		assert.Empty(t, s.Stats().NoSpace)
		e.setFree(10)
		assert.NotEmpty(t, s.Stats().NoSpace)
		e.setFree(1000)
		assert.Empty(t, s.Stats().NoSpace)
		require.NoError(t, s.Close())
	})
}

// R7: what is staged and not applied yet counts: one measurement is good for
// as much as there is room, not more. The bubble's clock stands still, so there
// is one.
func TestHeadroom_CountsWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 204)
		s := openOn(t, e, Config{Durability: Relaxed(time.Hour)})
		n := 0
		for ; n < 100 && tryPut(s, "a") == nil; n++ {
		}
		assert.Equal(t, 7, n, "puts of 1 MiB and their weight in 24 MiB of room")
		require.ErrorIs(t, tryPut(s, "a"), ErrNoSpace)
		require.NoError(t, s.Close())
		reopened := openOn(t, e, Config{})
		assert.EqualValues(t, 1+n, reopened.Rev(), "all that was acknowledged is applied")
		require.NoError(t, reopened.Close())
	})
}

// R7: a transaction is refused whole once its writes together find no room.
func TestHeadroom_OneLargeTransaction(t *testing.T) {
	e := newVolume(t, 204)
	s := openOn(t, e, Config{})
	puts := 0
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		for i := range 100 {
			if err := tx.Put([]byte{byte(i)}, make([]byte, mib), 0); err != nil {
				return err
			}
			puts++
		}
		return nil
	})
	require.ErrorIs(t, err, ErrNoSpace)
	assert.Equal(t, 7, puts)
	assert.EqualValues(t, 1, s.Rev())
	require.Zero(t, s.Stats().Keys)
}

// R7: those who were staged before the floor was reached are committed.
func TestHeadroom_StagedGroupIsCommitted(t *testing.T) {
	e := newVolume(t, 1000)
	s := openOn(t, e, Config{})
	release := e.hold()
	results := make(chan error, 3)
	go func() { results <- tryPut(s, "a") }()
	awaitStaged(s, 2)
	for i := range 2 {
		go func() { results <- tryPut(s, "b") }()
		awaitStaged(s, int64(3+i))
	}
	e.free.Store(130 * mib)
	release()
	for range 3 {
		require.NoError(t, <-results)
	}
	await(func() bool { return tryPut(s, "c") != nil })
	require.ErrorIs(t, tryPut(s, "c"), ErrNoSpace)
}

// R7: when somebody else takes even what was kept, a batch waits for room
// instead of meeting a full disk, and goes on by itself.
func TestHeadroom_BatchWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		s := openOn(t, e, Config{Durability: Relaxed(time.Second)})
		require.NoError(t, tryPut(s, "a"))
		applied := s.Stats().Applies
		e.free.Store(0)
		time.Sleep(10 * time.Second)
		st := s.Stats()
		assert.Equal(t, applied, st.Applies)
		assert.Greater(t, st.ApplyingFor, 8*time.Second, "the stall shows while it lasts")
		assert.EqualValues(t, 1, st.Applied)
		require.ErrorIs(t, tryPut(s, "a"), ErrNoSpace)
		kv, ok, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, kv.Value, mib)

		e.free.Store(1000 * mib)
		time.Sleep(time.Second)
		assert.EqualValues(t, 2, s.Stats().Applied)
		require.NoError(t, tryPut(s, "a"))
		require.NoError(t, s.Close())
	})
}

// R7: Close is not kept up by a full volume; it says what is not durable.
func TestHeadroom_CloseWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		s := openOn(t, e, Config{Durability: Relaxed(time.Second)})
		require.NoError(t, tryPut(s, "a"))
		e.setFree(0)
		time.Sleep(2 * time.Second)
		err := s.Close()
		require.ErrorIs(t, err, ErrNoSpace)
		assert.Contains(t, err.Error(), "revision 2 is not durable")
		assert.Zero(t, s.Stats().ApplyingFor)
	})
}

// R7: a store on a volume that is full already opens for reading, and says
// so; if it has to write to open, that is an error.
func TestHeadroom_OpenWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		s := openOn(t, e, Config{})
		require.NoError(t, tryPut(s, "a"))
		require.NoError(t, s.Close())

		e.setFree(0)
		var log bytes.Buffer
		s = openOn(t, e, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		assert.Contains(t, log.String(), "0.0 MiB are left")
		_, ok, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.ErrorIs(t, tryPut(s, "a"), ErrNoSpace)
		require.NoError(t, s.Close())

		_, err = Open(e, Config{Durability: Relaxed(time.Second)})
		require.ErrorIs(t, err, ErrNoSpace, "the ceiling has to be written")
		s = openOn(t, e, Config{Durability: Relaxed(time.Second), ReadOnly: true})
		_, ok, err = s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, s.Close())
	})
}

// R7: a compaction under way waits below its mark and ends when there is room.
func TestHeadroom_CompactionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newVolume(t, 1000)
		tune := defaultTuning
		tune.deleteBatch = 1
		s := openTuned(t, e, Config{}, tune)
		for range 20 {
			put(t, s, "a", "v")
		}
		release := e.hold() // the mark of the compaction, then its first batch
		done := make(chan error, 1)
		go func() { done <- s.Compact(ctx, s.Rev()) }()
		synctest.Wait()
		e.setFree(50)
		release()
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, done)
		assert.Less(t, s.Stats().CompactedRecords, int64(19))
		e.setFree(1000)
		require.NoError(t, <-done)
		assert.EqualValues(t, 19, s.Stats().CompactedRecords)
		require.NoError(t, s.Close())
	})
}

// R7: the floor can be set by hand and turned off.
func TestHeadroom_Configured(t *testing.T) {
	e := newVolume(t, 100)
	s := openOn(t, e, Config{MinFreeBytes: 64 * mib})
	require.NoError(t, tryPut(s, "a"))
	assert.EqualValues(t, 64*mib, s.Stats().FloorBytes)
	require.NoError(t, s.Close())

	e.free.Store(0)
	s = openOn(t, e, Config{MinFreeBytes: -1, Durability: Relaxed(time.Hour)})
	require.NoError(t, tryPut(s, "a"))
	assert.EqualValues(t, -1, s.Stats().FreeBytes)
	require.NoError(t, s.Close())

	e.free.Store(-1) // the system does not know
	s = openOn(t, e, Config{})
	require.NoError(t, tryPut(s, "a"))
	assert.EqualValues(t, -1, s.Stats().FreeBytes)
	assert.Empty(t, s.Stats().NoSpace)

	_, err := Open(e, Config{QuotaBytes: -1})
	require.ErrorContains(t, err, "QuotaBytes")
}

// R7: the quota bounds the data, in both modes; deletes and compaction make
// room again.
func TestHeadroom_Quota(t *testing.T) {
	for _, durability := range []Durability{Sync(), Relaxed(time.Hour)} {
		t.Run(durability.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, err := mem.Open("", backend.Options{})
				require.NoError(t, err)
				s := openOn(t, inner, Config{QuotaBytes: 20 * mib, Durability: durability})
				n := 0
				for ; n < 100 && tryPut(s, "a") == nil; n++ {
				}
				assert.Equal(t, 19, n)
				err = tryPut(s, "a")
				require.ErrorIs(t, err, ErrNoSpace)
				assert.Contains(t, err.Error(), "quota of 20.0 MiB (Config.QuotaBytes)")
				require.NoError(t, tryDelete(s, "a"))
				require.NoError(t, s.Compact(ctx, s.Rev()))
				time.Sleep(shortAge + 1)
				require.NoError(t, tryPut(s, "a"))
				require.NoError(t, s.Close())
			})
		})
	}
}

// A put with a floor and a quota over it allocates what it does without.
func TestHeadroom_AllocationBudget(t *testing.T) {
	e := newVolume(t, 1<<20)
	s := openOn(t, e, Config{QuotaBytes: 1 << 40, Durability: Relaxed(time.Hour)})
	put(t, s, "key", "value")
	key, value := []byte("key"), []byte("value")
	got := testing.AllocsPerRun(1000, func() {
		if _, err := s.Put(ctx, key, value); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, got, 2.0, "allocations of a put: record and event")
}
