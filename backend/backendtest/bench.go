package backendtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// benchEntries is what the read benchmarks read from, and chunk what a
// catch-up takes from one view.
const (
	benchEntries = 100_000
	chunk        = 1000
)

// Bench measures what every engine is asked for most: durable batches, a
// chunked scan with a new view each, random reads. Entries look like
// revisions: 17-byte ascending keys, values of 337 bytes of which half repeat.
func Bench(b *testing.B, d backend.Driver) {
	for _, n := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("apply-%d", n), func(b *testing.B) { benchApply(b, d, n) })
	}
	b.Run("scan", func(b *testing.B) { benchScan(b, d) })
	b.Run("get", func(b *testing.B) { benchGet(b, d) })
	b.Run("view", func(b *testing.B) { benchView(b, d) })
}

// source makes entries in order.
type source struct {
	next  uint64
	rand  *rand.ChaCha8
	words [128]byte
}

func newSource() *source {
	s := &source{rand: rand.NewChaCha8([32]byte{1})}
	s.rand.Read(s.words[:])
	return s
}

func benchKey(rev uint64) []byte {
	key := make([]byte, 17)
	binary.BigEndian.PutUint64(key, rev)
	key[8] = '_'
	return key
}

func (s *source) batch(batch *backend.Batch, n int) {
	batch.Reset()
	for range n {
		value := make([]byte, 337)
		s.rand.Read(value[:169])
		copy(value[169:], s.words[:])
		batch.Append(backend.SpaceKey, benchKey(s.next), value)
		s.next++
	}
}

func openBench(b *testing.B, d backend.Driver) backend.Engine {
	b.Helper()
	e, err := d.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close()) })
	return e
}

func load(b *testing.B, e backend.Engine) {
	b.Helper()
	s := newSource()
	var batch backend.Batch
	for range benchEntries / chunk {
		s.batch(&batch, chunk)
		require.NoError(b, e.Apply(&batch, backend.Sync))
	}
}

func benchApply(b *testing.B, d backend.Driver, n int) {
	e := openBench(b, d)
	s := newSource()
	var batch backend.Batch
	for b.Loop() {
		b.StopTimer()
		s.batch(&batch, n)
		b.StartTimer()
		require.NoError(b, e.Apply(&batch, backend.Sync))
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// benchScan reads everything once for each iteration.
func benchScan(b *testing.B, d backend.Driver) {
	e := openBench(b, d)
	load(b, e)
	b.ReportAllocs()
	for b.Loop() {
		lo := make([]byte, 0, 32)
		seen := 0
		for done := false; !done; {
			v, err := e.View()
			require.NoError(b, err)
			inChunk := 0
			err = v.Scan(backend.SpaceKey, lo, nil, func(key, value []byte) bool {
				inChunk++
				if inChunk == chunk {
					lo = append(append(lo[:0], key...), 0)
				}
				return inChunk < chunk
			})
			require.NoError(b, err)
			require.NoError(b, v.Close())
			seen += inChunk
			done = inChunk < chunk
		}
		require.Equal(b, benchEntries, seen)
	}
	b.ReportMetric(benchEntries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func benchGet(b *testing.B, d backend.Driver) {
	e := openBench(b, d)
	load(b, e)
	v, err := e.View()
	require.NoError(b, err)
	pick := rand.New(rand.NewPCG(1, 2))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var ok bool
		dst, ok, err = v.Get(backend.SpaceKey, dst[:0], benchKey(pick.Uint64N(benchEntries)))
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
	require.NoError(b, v.Close())
}

// benchView opens and closes a view.
func benchView(b *testing.B, d backend.Driver) {
	e := openBench(b, d)
	load(b, e)
	b.ReportAllocs()
	for b.Loop() {
		v, err := e.View()
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
