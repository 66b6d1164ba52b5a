package faults

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// childConfig tells a child of role "work" what to do. The end of its standard
// input tells it to close the store and leave; so does being done.
type childConfig struct {
	Role   string // set by startWorker
	Engine string
	Dir    string // the engine's data are below it
	// Opener is how the engine is opened, by its name in openers; empty: as
	// its driver does.
	Opener  string
	Relaxed time.Duration // the interval; 0 is Sync
	Seed    uint64
	Load    workload
	Writers int
	// Ops ends each writer after so many operations; 0: no end. Negative:
	// none at all, the store is opened and held.
	Ops int
	// CompactEvery asks for a compaction every so many acknowledgements; 0:
	// never.
	CompactEvery int
	Streams      int   // each with two watches that come and go
	RecentBytes  int64 // mvcc.Config.RecentBytes
}

// storeConfig is the configuration of the child's store, and of whoever opens
// its data after it.
func (c childConfig) storeConfig() mvcc.Config {
	cfg := mvcc.Config{RecentBytes: c.RecentBytes}
	if c.Relaxed > 0 {
		cfg.Durability = mvcc.Relaxed(c.Relaxed)
	}
	return cfg
}

// dataPath is where the engine's data are.
func (c childConfig) dataPath() string { return filepath.Join(c.Dir, "data") }

// openers are other ways to open an engine in a child, by name.
var openers = map[string]func(c childConfig) (backend.Engine, error){}

func addOpener(name string, open func(c childConfig) (backend.Engine, error)) struct{} {
	openers[name] = open
	return struct{}{}
}

func (c childConfig) openEngine() (backend.Engine, error) {
	if open, ok := openers[c.Opener]; ok {
		return open(c)
	}
	d, ok := engines.Lookup(c.Engine)
	if !ok || c.Opener != "" {
		return nil, fmt.Errorf("no engine %q, or no opener %q", c.Engine, c.Opener)
	}
	return d.Open(c.dataPath(), backend.Options{})
}

// toldEngine reports each batch before and after the engine has it.
type toldEngine struct {
	backend.Engine
	out *reporter
	n   int64 // one caller of Apply at a time
}

func (e *toldEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	e.n++
	rev := int64(0)
	for _, op := range b.Ops() {
		if op.Space == backend.SpaceKey && op.Kind != backend.OpDelete {
			rev = max(rev, int64(binary.BigEndian.Uint64(op.Key)))
		}
	}
	e.out.say("apply %d %d %d", e.n, b.Len(), rev)
	err := e.Engine.Apply(b, s)
	if err != nil {
		e.out.say("applied %d %q", e.n, err.Error())
		return err
	}
	e.out.say("applied %d", e.n)
	return nil
}

// worker is a child at work: it writes, watches, reads and compacts.
type worker struct {
	childConfig
	out   *reporter
	store *mvcc.Store
	hub   *watch.Hub

	acked atomic.Int64
	// more holds a token when there is something to compact. Sent by writers,
	// taken by the compactor, never closed; one place: a second says nothing.
	more chan struct{}

	mu      sync.Mutex // leaf: guards the two below
	through int64      // every revision up to it was acknowledged and reported
	early   map[int64]bool
}

func runWorker(raw []byte) error {
	w := &worker{out: newReporter(), more: make(chan struct{}, 1), early: map[int64]bool{}}
	if err := json.Unmarshal(raw, &w.childConfig); err != nil {
		return err
	}
	w.Load = w.Load.withDefaults()
	w.out.say("opening")
	engine, err := w.openEngine()
	if err != nil {
		w.out.say("note %q", "open: "+err.Error())
		return err
	}
	if w.store, err = mvcc.Open(&toldEngine{Engine: engine, out: w.out}, w.storeConfig()); err != nil {
		w.out.say("note %q", "open: "+err.Error())
		return errors.Join(err, engine.Close())
	}
	w.through = w.store.Rev()
	w.out.say("opened %d %d", w.store.Rev(), w.store.CompactRev())
	if w.hub, err = watch.NewHub(w.store, watch.Config{OutboxResponses: 16, Shards: 2}); err != nil {
		return err
	}
	w.work()
	w.out.say("closing")
	err = errors.Join(w.hub.Close(), w.store.Close(), engine.Close())
	if err != nil {
		w.out.say("closed %q", err.Error())
		return nil
	}
	w.out.say("closed")
	return nil
}

// work returns when the writers are done or the standard input ends.
func (w *worker) work() {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stopped)
		cancel()
	}()
	var writers, others sync.WaitGroup
	if w.Ops >= 0 {
		for i := range w.Streams {
			others.Go(func() { w.watch(ctx, i) })
		}
		others.Go(func() { w.read(ctx) })
		others.Go(func() { w.measureLateness(ctx) })
		others.Go(func() { w.compact(ctx) })
		for i := range w.Writers {
			writers.Go(func() { w.write(ctx, i) })
		}
	}
	if w.Ops <= 0 {
		<-stopped
	}
	writers.Wait()
	cancel()
	others.Wait()
}

func (w *worker) write(ctx context.Context, writer int) {
	for i := 0; (w.Ops == 0 || i < w.Ops) && ctx.Err() == nil; i++ {
		o := w.Load.op(opID{w.Seed, writer, i})
		w.out.say("try %d %d", writer, i)
		rev, err := o.run(context.Background(), w.store)
		switch {
		case errors.Is(err, mvcc.ErrFailed) || errors.Is(err, mvcc.ErrUncertain):
			w.out.say("fail %d %d %q", writer, i, err.Error())
			return
		case err != nil:
			w.out.say("refuse %d %d %q", writer, i, err.Error())
			if errors.Is(err, mvcc.ErrClosed) {
				return
			}
			w.pause(ctx, 10*time.Millisecond)
		default:
			w.out.say("ack %d %d %d", writer, i, rev)
			w.note(rev)
		}
	}
}

// pause waits, unless ctx ends.
func (w *worker) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// note counts an acknowledged revision that was reported.
func (w *worker) note(rev int64) {
	if rev == 0 {
		return
	}
	w.mu.Lock()
	w.early[rev] = true
	for w.early[w.through+1] {
		w.through++
		delete(w.early, w.through)
	}
	w.mu.Unlock()
	if n := w.acked.Add(1); w.CompactEvery > 0 && n%int64(w.CompactEvery) == 0 {
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
}

func (w *worker) reported() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.through
}

// compact forgets at revisions below which everything was reported: the one
// who listens could not know otherwise what is gone.
func (w *worker) compact(ctx context.Context) {
	r := rand.New(rand.NewPCG(w.Seed, 1<<62))
	for {
		select {
		case <-w.more:
		case <-ctx.Done():
			return
		}
		rev := w.reported() - r.Int64N(20)
		if rev <= w.store.CompactRev() {
			continue
		}
		one, cancel := context.WithCancel(ctx)
		if r.IntN(4) == 0 {
			time.AfterFunc(time.Duration(r.IntN(2000))*time.Microsecond, cancel)
		}
		w.out.say("compact %d", rev)
		err := w.store.Compact(one, rev)
		cancel()
		switch {
		case err == nil:
			w.out.say("compacted %d", rev)
		case w.store.CompactRev() >= rev:
			w.out.say("scheduled %d", rev)
		default:
			w.out.say("note %q", "compact: "+err.Error())
		}
	}
}

// read tells which revisions readers are shown.
func (w *worker) read(ctx context.Context) {
	for ctx.Err() == nil {
		res, err := w.store.Range([]byte("k"), []byte("l"), mvcc.RangeOptions{CountOnly: true})
		if err != nil {
			w.out.say("note %q", "read: "+err.Error())
			return
		}
		w.out.say("read %d", res.Rev)
		w.pause(ctx, time.Millisecond)
	}
}

// measureLateness tells how late this machine wakes a timer, so that nobody
// mistakes a busy machine for a late flush.
func (w *worker) measureLateness(ctx context.Context) {
	for worst := time.Duration(0); ctx.Err() == nil; {
		const nap = 5 * time.Millisecond
		start := time.Now()
		w.pause(ctx, nap)
		if late := time.Since(start) - nap; late > worst {
			worst = late
			w.out.say("late %d", worst)
		}
	}
}

// watch is one consumer: it has two watches at a time and replaces one of them
// every so many responses.
func (w *worker) watch(ctx context.Context, number int) {
	r := rand.New(rand.NewPCG(w.Seed, 1<<61|uint64(number)))
	stream, err := w.hub.NewStream(fmt.Sprint(number))
	if err != nil {
		w.out.say("note %q", "stream: "+err.Error())
		return
	}
	defer stream.Close()
	ids := []int64{w.begin(stream, r, number, 1), w.begin(stream, r, number, 2)}
	for n := 1; ; n++ {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return
		}
		for i := range responses {
			w.received(number, &responses[i])
		}
		if n%100 == 0 {
			_ = stream.Cancel(ids[0]) // it may have been told of compaction
			ids = append(ids[1:], w.begin(stream, r, number, ids[1]+1))
		}
	}
}

// begin makes a watch from somewhere between the compact revision and a little
// above the current one.
func (w *worker) begin(stream *watch.Stream, r *rand.Rand, number int, id int64) int64 {
	key, end := "k/", "k0"
	if r.IntN(2) == 0 {
		from := r.IntN(w.Load.Keys)
		key, end = keyName(from), keyName(from+1+r.IntN(w.Load.Keys-from))
	}
	start := int64(0)
	if compact, rev := max(w.store.CompactRev(), 1), w.store.Rev(); r.IntN(4) > 0 {
		start = compact + r.Int64N(max(rev-compact, 0)+3)
	}
	w.out.say("watch %q %d %q %q", watchName(number, id), start, key, end)
	_, err := stream.Watch(watch.Request{ID: id, Key: []byte(key), End: []byte(end), StartRevision: start})
	if err != nil {
		w.out.say("note %q", "watch: "+err.Error())
	}
	return id
}

func watchName(stream int, id int64) string { return fmt.Sprintf("%d.%d", stream, id) }

func (w *worker) received(number int, r *watch.Response) {
	name := watchName(number, r.WatchID)
	if r.Created {
		w.out.say("from %q %d", name, r.Revision)
	}
	if r.Canceled && r.CompactRevision > 0 {
		w.out.say("told %q %d", name, r.CompactRevision)
	}
	for _, s := range sightings(r.Events) {
		w.out.say("saw %q %d %d %d", name, s.rev, s.n, s.digest)
	}
}

// sightings folds events by their revision.
func sightings(events []mvcc.Event) []sighting {
	var out []sighting
	for first := 0; first < len(events); {
		rev := events[first].KV.ModRevision
		var effects []effect
		for first < len(events) && events[first].KV.ModRevision == rev {
			effects = append(effects, effectOf(&events[first]))
			first++
		}
		out = append(out, sighting{rev, len(effects), digest(effects)})
	}
	return out
}
