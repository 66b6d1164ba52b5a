package mvcc

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// LiveKeys is what a range over all keys counts, whatever was written, taken
// back, compacted or read from disk.
func TestStats_LiveKeys(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{})
	random := rand.New(rand.NewPCG(7, 7))
	for i := range 400 {
		key := fmt.Sprintf("k%02d", random.IntN(40))
		switch random.IntN(10) {
		case 0, 1, 2, 3:
			put(t, s, key, "v")
		case 4, 5, 6:
			_, err := s.DeleteRange(ctx, []byte(key), nil)
			require.NoError(t, err)
		case 7:
			_, err := s.Update(ctx, func(tx *WriteTx) error {
				require.NoError(t, tx.Put([]byte("k2x"), []byte("no"), 0))
				_, err := tx.DeleteRange([]byte("k3"), []byte("k4"))
				require.NoError(t, err)
				return errDisk
			})
			require.ErrorIs(t, err, errDisk)
		case 8:
			if s.Rev() > s.Stats().CompactRev {
				require.NoError(t, s.Compact(ctx, s.Rev()))
			}
		case 9:
			if i%5 == 0 {
				require.NoError(t, s.Close())
				s = openOn(t, engine, Config{})
			}
		}
		res, err := s.Range(everyKey, everyKey, RangeOptions{CountOnly: true})
		require.NoError(t, err)
		require.EqualValues(t, res.Count, s.Stats().LiveKeys, "step %d", i)
	}
}

func TestStats_LastCompaction(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	require.Zero(t, s.Stats().LastCompaction)
	before := time.Now()
	require.NoError(t, s.Compact(ctx, s.Rev()))
	at := s.Stats().LastCompaction
	require.False(t, at.Before(before) || at.After(time.Now()), "%v", at)
}

func TestStats_Durations(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	require.NoError(t, s.Compact(ctx, s.Rev()))
	st := s.Stats()
	require.Equal(t, st.Applies, st.ApplyDurations.Count)
	require.Equal(t, st.ApplyTime, st.ApplyDurations.Sum)
	require.EqualValues(t, 1, st.CompactDurations.Count)

	var d durations
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 2 * time.Millisecond, 4 * time.Millisecond, 8192 * time.Millisecond, time.Hour} {
		d.add(took, time.Millisecond)
	}
	got := d.read(time.Millisecond)
	require.Equal(t, Durations{
		Count: 7, Sum: time.Hour + 8200*time.Millisecond + 1, Base: time.Millisecond,
		Within: [14]int64{0: 2, 1: 2, 2: 1, 13: 1},
	}, got)
}
