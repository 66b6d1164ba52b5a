package watchtest_test

import (
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

const benchRevisions = 100_000

// benchHistory is puts of 10,000 keys of 64 bytes with values of 256 bytes.
func benchHistory(b *testing.B, lengthOnly bool) (*watchtest.History, []mvcc.Event) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{LengthOnly: lengthOnly})
	value := make([]byte, 256)
	var evs []mvcc.Event
	for rev := int64(2); rev < benchRevisions+2; rev++ {
		i := rev % 10_000
		key := []byte(fmt.Sprintf("%064d", i))
		if err := h.Put(rev, key, value); err != nil {
			b.Fatal(err)
		}
		create, version := i, (rev-i)/10_000+1
		if i < 2 {
			create, version = i+10_000, (rev-i)/10_000
		}
		evs = append(evs, mvcc.Event{KV: mvcc.KeyValue{Key: key, Value: value, CreateRevision: create, ModRevision: rev, Version: version}})
	}
	return h, evs
}

// What the checker costs for each delivered event.
func BenchmarkWatch_Deliver(b *testing.B) {
	for _, c := range []struct {
		name       string
		batch      int
		lengthOnly bool
	}{{"batch=1", 1, false}, {"batch=100", 100, false}, {"batch=100/length", 100, true}} {
		b.Run(c.name, func(b *testing.B) {
			h, evs := benchHistory(b, c.lengthOnly)
			req := watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: 2}
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; {
				check := watchtest.NewWatch(req, watchtest.Options{History: h})
				r := created(benchRevisions + 1)
				if err := check.Deliver(&r); err != nil {
					b.Fatal(err)
				}
				for i := 0; i+c.batch <= len(evs) && done < b.N; i += c.batch {
					r := events(evs[i : i+c.batch]...)
					if err := check.Deliver(&r); err != nil {
						b.Fatal(err)
					}
					done += c.batch
				}
			}
		})
	}
}

// What it costs a writer to tell the history, with 10,000 keys watched.
func BenchmarkHistory_Put(b *testing.B) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{Window: 1 << 20})
	keys := make([][]byte, 10_000)
	for i := range keys {
		keys[i] = []byte(fmt.Sprintf("%064d", i))
		watchtest.NewWatch(watch.Request{Key: keys[i]}, watchtest.Options{History: h})
	}
	value := make([]byte, 256)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := h.Put(int64(i+2), keys[i%len(keys)], value); err != nil {
			b.Fatal(err)
		}
	}
}
