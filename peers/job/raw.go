package job

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"

	"github.com/watchkv/watchkv/peers/etcdmvcc"
)

// Raw measurements: what a machine or an engine does with nothing of a store
// above it, the limit of a figure.
const (
	RawScan        = "scan"         // an engine reads a prepared history from its first entry to its last
	RawGroupCommit = "group commit" // an engine makes batches of 64 records durable, one after another
	RawApply       = "apply"        // an engine takes batches of 1,000 records, not made durable
	RawReading     = "reading"      // events in memory are read, as the consumers read them
	RawStructs     = "structs"      // what a million watchers weigh as plain structs with their key
	RawConversion  = "conversion"   // what it costs to copy an event of etcd's into one of ours
)

const (
	rawTime       = 2 * time.Second // unless the job says otherwise
	commitRecords = 64
	applyRecords  = 1000
	recordBytes   = 64 + 256 + 20 // key, value, and what the record adds
)

func (j Job) raw() (map[string]float64, error) {
	switch j.Raw {
	case RawScan:
		return j.rawScan()
	case RawGroupCommit:
		return j.rawWrite(commitRecords, backend.Sync)
	case RawApply:
		return j.rawWrite(applyRecords, backend.NoSync)
	case RawReading:
		return j.rawReading(), nil
	case RawStructs:
		return rawStructs(), nil
	case RawConversion:
		return map[string]float64{"event_ns": etcdmvcc.ConvertCost()}, nil
	}
	return nil, fmt.Errorf("raw measurement %q: unknown", j.Raw)
}

func (j Job) rawTime() time.Duration { return cmp.Or(j.RawFor, rawTime) }

func (j Job) open() (backend.Engine, error) {
	d, err := j.Side.driver()
	if err != nil {
		return nil, err
	}
	return d.Open(filepath.Join(j.Dir, folder), backend.Options{})
}

// rawScan scans the keys of a prepared plan, or of a history of the plan's
// length where the engine keeps nothing.
func (j Job) rawScan() (_ map[string]float64, err error) {
	engine, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	if j.Side.Volatile() {
		if err := write(engine, int(j.Plan.Scenarios[0].History), applyRecords, backend.NoSync, 0); err != nil {
			return nil, err
		}
	}
	best := 0.0
	for range 2 { // the first may find the files cold
		view, err := engine.View()
		if err != nil {
			return nil, err
		}
		entries, bytes, at := 0, 0, time.Now()
		err = view.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
			entries, bytes = entries+1, bytes+len(key)+len(value)
			return true
		})
		best = max(best, float64(entries)/time.Since(at).Seconds())
		if err = errors.Join(err, view.Close()); err != nil {
			return nil, err
		}
	}
	return map[string]float64{"entries_per_s": best}, nil
}

func (j Job) rawWrite(records int, s backend.Syncing) (_ map[string]float64, err error) {
	engine, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	n, at := 0, time.Now()
	for time.Since(at) < j.rawTime() {
		if err := write(engine, records, records, s, n); err != nil {
			return nil, err
		}
		n += records
	}
	return map[string]float64{"records_per_s": float64(n) / time.Since(at).Seconds()}, nil
}

// noise is what records are windows of: like the values of the load, engines
// cannot compress it away.
var noise = func() []byte {
	b := make([]byte, 1<<16)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails, by its contract
	return b
}()

// write applies n records in batches; from is the number of the first.
func write(engine backend.Engine, n, batched int, s backend.Syncing, from int) error {
	var batch backend.Batch
	for i := from; i < from+n; i++ {
		start := i * 7919 % (len(noise) - recordBytes)
		value := noise[start : start+recordBytes]
		key := make([]byte, 17) // a revision as stored
		binary.BigEndian.PutUint64(key, uint64(i+2))
		key[8] = '_'
		batch.Append(backend.SpaceKey, key, value)
		if batch.Len() == batched || i == from+n-1 {
			if err := engine.Apply(&batch, s); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	return nil
}

// bareWatcher is the least that a watcher of one key is: whose it is, its id,
// where it stands, its key.
type bareWatcher struct {
	_    *int // whose it is
	id   int64
	_    int64 // where it stands
	span mvcc.Span
}

func rawStructs() map[string]float64 {
	const n = 1_000_000
	heap := func() int64 {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	before := heap()
	watchers := make([]bareWatcher, n)
	for i := range watchers {
		watchers[i] = bareWatcher{id: int64(i), span: mvcc.Span{Lo: make([]byte, 64)}}
	}
	weight := heap() - before
	runtime.KeepAlive(watchers)
	return map[string]float64{"bytes": float64(weight) / n}
}

// rawReading hands one slice of events to many watches on as many goroutines
// as there are processors, and each reads key, revision and value length of
// every event for every watch: delivering by reference, nothing else.
func (j Job) rawReading() map[string]float64 {
	events := make([]mvcc.Event, 1000)
	for i := range events {
		events[i].KV = mvcc.KeyValue{Key: make([]byte, 64), Value: make([]byte, 256), ModRevision: int64(i)}
	}
	workers := runtime.GOMAXPROCS(0)
	counts := make([]int64, workers*8) // a cache line each
	var wg sync.WaitGroup
	at := time.Now()
	for w := range workers {
		wg.Go(func() {
			var n, sum int64
			for time.Since(at) < j.rawTime() {
				for i := range events {
					kv := &events[i].KV
					sum += int64(len(kv.Key)) + kv.ModRevision + int64(len(kv.Value))
					n++
				}
			}
			counts[w*8] = n
			runtime.KeepAlive(sum)
		})
	}
	wg.Wait()
	took := time.Since(at).Seconds()
	var all int64
	for _, n := range counts {
		all += n
	}
	return map[string]float64{"events_per_s": float64(all) / took}
}
