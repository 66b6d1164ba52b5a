package faults

import (
	"bytes"
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
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// fullConfig tells a child of role "full" what to do on a volume that runs
// full. It opens the data, goes through its steps, one word each, and notes
// each with what is there then; whatever is not as promised ends it with an
// error.
type fullConfig struct {
	Role    string
	Engine  string
	Dir     string
	Relaxed time.Duration
	MinFree int64
	Writers int
	From    []int // the keys each writer has put before
	Deleted int   // of each writer, from the first on
	Steps   []string
}

// fullRole is what goes with a fullConfig in a child.
type fullRole struct {
	fullConfig
	out    *reporter
	engine backend.Engine
	store  *mvcc.Store
	hub    *watch.Hub
}

var _ = addRole("full", runFull)

// valueLen of the values: large enough to fill volumes soon.
const valueLen = 16 << 10

// ballastName is the file beside the data that takes the rest of the volume.
const ballastName = "ballast"

// noise is what values are cut from: no engine makes it smaller.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<20+valueLen)
	r := rand.New(rand.NewPCG(7, 7))
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
})

func fullKey(writer, i int) string { return fmt.Sprintf("k%02d/%08d", writer, i) }

// fullValue is the value of a key: its own name, then noise.
func fullValue(key string) []byte {
	from := 0
	for _, c := range []byte(key) {
		from = (from*31 + int(c)) % (1 << 20)
	}
	return append([]byte(key), noise()[from:from+valueLen]...)
}

func runFull(raw []byte) error {
	f := &fullRole{out: newReporter()}
	if err := json.Unmarshal(raw, &f.fullConfig); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	steps := map[string]func() error{
		"fill": f.fill, "refused": f.refused, "read": f.read, "replay": f.replay, "delete": f.delete, "compact": f.compact,
		"reclaim": f.reclaim, "free": f.free, "resume": f.resume, "press": f.press, "some": f.some, "top": f.top, "hold": hold,
	}
	for i, name := range f.Steps {
		step, ok := steps[name]
		if !ok {
			return fmt.Errorf("no step %q", name)
		}
		if err := step(); err != nil {
			return fmt.Errorf("step %s: %w (failed %q, no space %q)", name, err, f.store.Stats().Failed, f.store.Stats().NoSpace)
		}
		if failed := f.store.Stats().Failed; failed != "" {
			return fmt.Errorf("step %s: the store failed: %s", name, failed)
		}
		f.tell(name, i+1)
	}
	return errors.Join(f.hub.Close(), f.store.Close(), f.engine.Close())
}

// tell reports the n-th step and what is there after it.
func (f *fullRole) tell(step string, n int) {
	st := f.store.Stats()
	f.out.say("note %q", fmt.Sprintf("%s: revision %d, free %d KiB of floor %d KiB, disk %d KiB, in use %d KiB",
		step, st.Rev, st.FreeBytes>>10, st.FloorBytes>>10, st.Engine.DiskBytes>>10, st.Engine.InUseBytes>>10))
	counts, _ := json.Marshal(f.From)
	f.out.say("note %q %d %d %s", "full", n, f.Deleted, counts)
}

func (f *fullRole) open() error {
	d, ok := engines.Lookup(f.Engine)
	if !ok {
		return fmt.Errorf("no engine %q", f.Engine)
	}
	cfg := mvcc.Config{MinFreeBytes: f.MinFree}
	if f.Relaxed > 0 {
		cfg.Durability = mvcc.Relaxed(f.Relaxed)
	}
	var err error
	if f.engine, err = d.Open(filepath.Join(f.Dir, "data"), backend.Options{}); err != nil {
		return err
	}
	if f.store, err = mvcc.Open(f.engine, cfg); err != nil {
		return errors.Join(err, f.engine.Close())
	}
	if len(f.From) == 0 {
		f.From = make([]int, f.Writers)
	}
	f.hub, err = watch.NewHub(f.store, watch.Config{})
	f.tell("open", 0)
	return err
}

// fill writes at full speed until every writer was refused.
func (f *fullRole) fill() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	errs := make([]error, f.Writers)
	var writers sync.WaitGroup
	for w := range f.Writers {
		writers.Go(func() {
			for errs[w] == nil {
				key := fullKey(w, f.From[w])
				if _, errs[w] = f.store.Put(ctx, []byte(key), fullValue(key)); errs[w] == nil {
					f.From[w]++
				}
			}
		})
	}
	writers.Wait()
	for _, err := range errs {
		if !errors.Is(err, mvcc.ErrNoSpace) {
			return fmt.Errorf("a writer ended with %w", err)
		}
	}
	f.out.say("note %q", errs[0].Error())
	// In Relaxed what was acknowledged still has to be written.
	return f.settled()
}

// some puts less than the volume has room for.
func (f *fullRole) some() error {
	for w := range f.From {
		for range 100 {
			key := fullKey(w, f.From[w])
			if _, err := f.store.Put(context.Background(), []byte(key), fullValue(key)); err != nil {
				return err
			}
			f.From[w]++
		}
	}
	return f.settled()
}

// settled waits until what Relaxed acknowledged is durable.
func (f *fullRole) settled() error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for start := time.Now(); f.store.Stats().Applied < f.store.Rev(); <-look.C {
		if time.Since(start) > patience {
			return fmt.Errorf("revision %d is not durable, %d is", f.store.Rev(), f.store.Stats().Applied)
		}
	}
	return nil
}

// refused: puts are refused, at once, and the stats say so. One or two may
// still find the room that a flush has just left.
func (f *fullRole) refused() error {
	if err := f.fill(); err != nil {
		return err
	}
	if f.store.Stats().NoSpace == "" {
		return f.fill()
	}
	return nil
}

// read: every key that was acknowledged and not deleted is there, and no
// other.
func (f *fullRole) read() error {
	rest := map[string]bool{}
	for w, n := range f.From {
		for i := min(f.Deleted, n); i < n; i++ {
			rest[fullKey(w, i)] = true
		}
	}
	for from := []byte("k"); ; {
		res, err := f.store.Range(from, []byte("l"), mvcc.RangeOptions{Limit: 500})
		if err != nil {
			return err
		}
		for _, kv := range res.KVs {
			if !rest[string(kv.Key)] {
				return fmt.Errorf("key %s was never acknowledged, or is deleted", kv.Key)
			}
			if !bytes.Equal(kv.Value, fullValue(string(kv.Key))) {
				return fmt.Errorf("key %s has another value", kv.Key)
			}
			delete(rest, string(kv.Key))
		}
		if len(res.KVs) == 0 {
			break
		}
		from = append(res.KVs[len(res.KVs)-1].Key, 0)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d acknowledged keys are gone", len(rest))
	}
	return nil
}

// replay: a watch from the compact revision gets the whole of history.
func (f *fullRole) replay() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := f.hub.NewStream("replay")
	if err != nil {
		return err
	}
	defer stream.Close()
	start, end := max(f.store.CompactRev(), 2), f.store.Rev()
	if _, err := stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: start}); err != nil {
		return err
	}
	for last := int64(0); ; {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return fmt.Errorf("after revision %d: %w", last, err)
		}
		for _, r := range responses {
			if r.Canceled {
				return fmt.Errorf("canceled: %+v", r)
			}
			for _, e := range r.Events {
				// A hole is only what a kill in Relaxed leaves.
				if rev := e.KV.ModRevision; rev < last || f.Relaxed == 0 && last > 0 && rev > last+1 {
					return fmt.Errorf("revision %d follows %d", rev, last)
				}
				last = e.KV.ModRevision
				if e.Type == mvcc.EventPut && !bytes.Equal(e.KV.Value, fullValue(string(e.KV.Key))) {
					return fmt.Errorf("the event of key %s at revision %d has another value", e.KV.Key, last)
				}
			}
			if r.CaughtUp && f.Relaxed == 0 && last < end {
				return fmt.Errorf("caught up at revision %d of %d", last, end)
			}
			if r.CaughtUp {
				return nil
			}
		}
	}
}

// delete deletes half of what each writer put.
func (f *fullRole) delete() error {
	to := 0
	for _, n := range f.From {
		to = max(to, n/2)
	}
	for w := range f.From {
		_, err := f.store.DeleteRange(context.Background(), []byte(fullKey(w, 0)), []byte(fullKey(w, to)))
		if err != nil {
			return err
		}
	}
	f.Deleted = to
	for w, n := range f.From { // who had written less goes on behind it
		f.From[w] = max(n, to)
	}
	return nil
}

func (f *fullRole) compact() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return f.store.Compact(ctx, f.store.Rev())
}

// reclaim gives what was compacted back. An engine may find too little room
// for that, but must say so and go on.
func (f *fullRole) reclaim() error {
	r, ok := f.engine.(backend.Reclaimer)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Reclaim(ctx); err != nil {
		f.out.say("note %q", "reclaim: "+err.Error())
		if ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// free removes the file that somebody else has on the volume.
func (f *fullRole) free() error { return os.Remove(filepath.Join(f.Dir, ballastName)) }

// press has somebody else fill the volume while all writers write, until there
// is less than puts leave.
func (f *fullRole) press() error {
	done := make(chan error, 1)
	go func() { done <- f.fill() }()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		// Not all at once: what is measured is some milliseconds old.
		if err := growBallast(f.Dir, f.store.Stats().FloorBytes*31/32, 4<<20); err != nil {
			return err
		}
		<-look.C
	}
}

// top has somebody else take what is above the floor, and some; the engine's
// own work moves both meanwhile.
func (f *fullRole) top() error {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for start := time.Now(); time.Since(start) < time.Second; <-look.C {
		st := f.store.Stats()
		if err := changeBallast(f.Dir, st.FreeBytes-st.FloorBytes*31/32); err != nil {
			return err
		}
	}
	return nil
}

// changeBallast makes the ballast larger by so many bytes, as far as there is
// room, or smaller if they are negative.
func changeBallast(dir string, by int64) error {
	if by > 0 {
		return growBallast(dir, 0, by)
	}
	path := filepath.Join(dir, ballastName)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, max(info.Size()+by, 0))
}

// growBallast adds up to step bytes to the ballast while more than leave bytes
// are free.
func growBallast(dir string, leave, step int64) error {
	free, err := backend.VolumeFree(dir)
	if err != nil || free <= leave || step == 0 {
		return err
	}
	return setBallast(dir, min(step, free-leave))
}

// room waits until puts are taken again.
func (f *fullRole) room() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		_, err := f.store.Put(ctx, []byte("again"), fullValue("again"))
		switch {
		case err == nil:
			_, err = f.store.DeleteRange(ctx, []byte("again"), nil)
			return err
		case !errors.Is(err, mvcc.ErrNoSpace):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("still refused: %w", err)
		}
		<-look.C
	}
}

// resume puts some more, once there is room.
func (f *fullRole) resume() error {
	if err := f.room(); err != nil {
		return err
	}
	return f.some()
}

// hold waits to be killed.
func hold() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
