package mvcc

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

var benchIndexSizes = []int{10_000, 100_000, 1_000_000}

// filledIndex has one version of each key, put in random order.
func filledIndex(keys int) *index {
	x := newIndex()
	var buf [64]byte
	for rev, i := range rand.New(rand.NewPCG(1, 2)).Perm(keys) {
		h := x.history(benchKey(buf[:], i))
		h.put(KeyRev{Main: int64(rev + 2)})
	}
	return x
}

// BenchmarkIndexInsert fills an index with new keys in random order, and says
// what a key takes of the heap and how long a full collection of it takes.
func BenchmarkIndexInsert(b *testing.B) {
	for _, keys := range benchIndexSizes {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			before := benchHeap()
			var x *index
			for b.Loop() {
				x = filledIndex(keys)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
			b.ReportMetric(float64(benchHeap()-before)/float64(keys), "B/key")
			start := time.Now()
			runtime.GC()
			b.ReportMetric(time.Since(start).Seconds()*1000, "gc-ms")
			runtime.KeepAlive(x)
		})
	}
}

func benchHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkIndexUpdate puts known keys in random order.
func BenchmarkIndexUpdate(b *testing.B) {
	for _, keys := range benchIndexSizes {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			x := filledIndex(keys)
			rnd := rand.New(rand.NewPCG(3, 4))
			var buf [64]byte
			rev := int64(keys + 2)
			b.ReportAllocs()
			for b.Loop() {
				h := x.history(benchKey(buf[:], rnd.IntN(keys)))
				h.put(KeyRev{Main: rev})
				rev++
			}
		})
	}
}

// BenchmarkIndexHistory gives 10,000 keys 100 versions each, in turn, and says
// what each version takes of the heap.
func BenchmarkIndexHistory(b *testing.B) {
	const keys, versions = 10_000, 100
	before := benchHeap()
	var x *index
	for b.Loop() {
		x = filledIndex(keys)
		var buf [64]byte
		for rev := keys + 2; rev < keys*versions+2; rev++ {
			x.history(benchKey(buf[:], rev%keys)).put(KeyRev{Main: int64(rev)})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys*versions), "ns/version")
	b.ReportMetric(float64(benchHeap()-before)/(keys*versions), "B/version")
	runtime.KeepAlive(x)
}
