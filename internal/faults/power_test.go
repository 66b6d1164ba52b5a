package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
	"github.com/watchkv/watchkv/mvcc"
)

var (
	powerSeeds = flag.Int("faults.powerseeds", 50, "seeds of power cuts on a disk in memory")
	powerFirst = flag.Uint64("faults.powerfirst", 1, "first seed of power cuts on a disk in memory")
)

// powerBatch is the largest batch of the engine of these tests: a revision of
// a few keys is above it and goes in parts.
const powerBatch = 4096

// powerWork keeps records below what powerBatch takes.
var powerWork = workload{Keys: 30, MaxValue: 1500}

// powerOp is the operation of an id: one in six is above powerBatch.
func powerOp(id opID) op {
	if id.Index%6 != 0 {
		return powerWork.op(id)
	}
	o := op{id: id, kind: opUpdate}
	for i := range 16 {
		o.keys = append(o.keys, keyName(powerWork.Keys/2+i))
		o.values = append(o.values, bytes.Repeat([]byte{byte(id.Index), byte(id.Seed)}, 300))
	}
	return o
}

// R1, R2, R3, G7: whenever the power is cut, the next open shows all that was
// acknowledged as durable, in Sync all that was shown, nothing that was not
// written, every revision whole; no number means two things; compactions end;
// in Relaxed what was lost is a gap that is told.
//
// A seed gives the plan of a run, not the order in which goroutines go.
func TestPowerCut_InMemory(t *testing.T) {
	var failed atomic.Bool
	seeds := make(chan uint64) // sent and closed here; one receiver a processor
	var workers sync.WaitGroup
	var stats powerStats
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := range seeds {
				if err := (&powerRun{seed: seed, stats: &stats}).run(t.Context()); err != nil {
					failed.Store(true)
					t.Errorf("again with -faults.powerseeds 1 -faults.powerfirst %d: %v", seed, err)
				}
			}
		})
	}
	start, ran := time.Now(), 0
	for ; ran < *powerSeeds && !failed.Load(); ran++ {
		seeds <- *powerFirst + uint64(ran)
	}
	close(seeds)
	workers.Wait()
	t.Logf("%d seeds, %v, %.0f seeds/s", ran, &stats, float64(ran)/time.Since(start).Seconds())
	if ran >= 1000 { // fewer may miss the rare moments
		stats.requireAll(t)
	}
}

// The suite sees what it is for: on an engine that does not sync, and on a
// disk that does not, it fails.
func TestPowerCut_InMemoryWithoutSync(t *testing.T) {
	const most = 500
	for _, unsynced := range []string{"engine", "disk"} {
		t.Run(unsynced, func(t *testing.T) {
			for seed := uint64(1); seed <= most; seed++ {
				run := &powerRun{seed: seed, stats: new(powerStats), engineNoSync: unsynced == "engine", diskNoSync: unsynced == "disk"}
				if err := run.run(t.Context()); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			require.Fail(t, "no cut was noticed", "%d seeds", most)
		})
	}
}

// powerStats counts what the cuts met, so that cuts that meet nothing are seen.
type powerStats [len(powerMet)]atomic.Int64

const (
	cutOpening = iota
	cutOpen
	cutClosing
	cutClosed
	cutInParts
	cutCompacting
	cutTook
	cutLeftGap
)

var powerMet = [...]string{
	"while opening", "while open", "while closing", "while closed", "in a revision of parts",
	"in a compaction", "took revisions", "left a gap",
}

func (s *powerStats) String() string {
	text := "cuts"
	for i, met := range powerMet {
		text += fmt.Sprintf(", %d %s", s[i].Load(), met)
	}
	return text
}

func (s *powerStats) requireAll(t *testing.T) {
	for i, met := range powerMet {
		require.Positive(t, s[i].Load(), "cuts %s", met)
	}
}

// powerRun is a few lives of one store, each ended by a cut, on one disk.
type powerRun struct {
	seed                     uint64
	engineNoSync, diskNoSync bool
	stats                    *powerStats

	r      *rand.Rand
	ledger *powerLedger
	ops    atomic.Int64 // numbers the operations
	cut    atomic.Bool  // this life's power is cut

	mu     sync.Mutex // leaf; guards what is known of the life under way
	at     int        // cutOpening to cutClosed
	engine *limitedEngine
	store  *mvcc.Store
	base   told // what was told before the store was opened
}

// know replaces what is known.
func (p *powerRun) know(at int, e *limitedEngine, s *mvcc.Store, base told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.engine, p.store, p.base = at, e, s, base
}

const powerLives = 3

func (p *powerRun) run(ctx context.Context) error {
	p.r = rand.New(rand.NewPCG(p.seed, 0))
	p.ledger = newPowerLedger()
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o755); err != nil {
		return err
	}
	for life := range powerLives {
		left, was, err := p.live(ctx, mem)
		if err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if err := p.verify(ctx, left, was); err != nil {
			return fmt.Errorf("after the cut of life %d: %w", life, err)
		}
		mem = left
	}
	return nil
}

// live runs a store until the power is cut and returns what the cut left.
func (p *powerRun) live(ctx context.Context, mem *vfs.MemFS) (left *vfs.MemFS, was told, err error) {
	disk := newMemDisk(mem)
	disk.noSync = p.diskNoSync
	p.cut.Store(false)
	percent := []int{0, 0, 25, 50, 75, 100}[p.r.IntN(6)]
	r := rand.New(rand.NewPCG(p.seed, p.r.Uint64()))
	// An open takes some tens of calls.
	calls := p.r.IntN(50)
	if p.r.IntN(3) > 0 {
		calls += p.r.IntN(300)
	}
	disk.planCut(calls, func() {
		was = p.toldNow() // before: what was told must be in what is left
		left = disk.afterCut(percent, r)
		p.cut.Store(true)
	})
	for again := true; again && err == nil; {
		again, err = p.session(ctx, disk)
	}
	disk.cutNow()
	return left, was, err
}

// toldNow is what the outside knows. It takes no lock that the engine or the
// store may hold as they call the disk.
func (p *powerRun) toldNow() told {
	p.mu.Lock()
	at, s, e, now := p.at, p.store, p.engine, p.base
	p.mu.Unlock()
	p.stats[at].Add(1)
	if e != nil {
		now.durable = max(now.durable, e.durable.Load())
		if e.inParts.Load() {
			p.stats[cutInParts].Add(1)
		}
	}
	if s == nil {
		return now
	}
	now.seen = max(now.seen, s.Rev())
	now.compact = s.CompactRev()
	if s.Config().Durability == mvcc.Sync() {
		now.durable = max(now.durable, now.seen)
	}
	return now
}

// session is the time from an open to a close; again: another may follow.
func (p *powerRun) session(ctx context.Context, disk *memDisk) (again bool, err error) {
	durability := []mvcc.Durability{mvcc.Sync(), mvcc.Sync(), mvcc.Relaxed(time.Hour), mvcc.Relaxed(time.Millisecond)}[p.r.IntN(4)]
	base := p.base
	base.relaxed = base.relaxed || durability != mvcc.Sync()
	p.know(cutOpening, nil, nil, base)
	inner, err := pebble.DriverFS(disk).Open("/data", backend.Options{CacheBytes: 1 << 20})
	if err != nil {
		return false, err
	}
	if p.engineNoSync {
		inner = noSyncEngine{inner}
	}
	e := &limitedEngine{Engine: inner}
	p.know(cutOpening, e, nil, base)
	s, err := mvcc.Open(e, mvcc.Config{Durability: durability, PendingBytes: 8 << 10, RecentBytes: 16 << 10})
	if err != nil {
		return false, errors.Join(err, e.Close())
	}
	p.know(cutOpen, e, s, base)
	for range 1 + p.r.IntN(4) {
		if err == nil && !p.cut.Load() {
			err = p.phase(ctx, s)
		}
	}
	crash := p.r.IntN(3) == 0 // the end of the life, with the store open
	if crash {
		disk.cutNow()
	}
	p.know(cutClosing, e, s, base)
	err = errors.Join(err, s.Close())
	// Closed: all that was shown is owed, whatever the durability.
	p.know(cutClosing, e, nil, told{relaxed: base.relaxed, seen: s.Rev(), durable: s.Rev(), compact: s.CompactRev()})
	err = errors.Join(err, e.Close())
	p.know(cutClosed, nil, nil, p.base)
	return !p.cut.Load() && p.r.IntN(2) == 0, err
}

// phase runs some writers, perhaps beside a compaction, and ends with a bump
// at times.
func (p *powerRun) phase(ctx context.Context, s *mvcc.Store) error {
	var work sync.WaitGroup
	errs := make([]error, 4) // one for each goroutine
	for w := range 1 + p.r.IntN(3) {
		n := 1 + p.r.IntN(12)
		work.Go(func() {
			for range n {
				if errs[w] == nil && !p.cut.Load() {
					_, errs[w] = p.ledger.propose(ctx, s, powerOp(opID{Seed: p.seed, Index: int(p.ops.Add(1))}))
				}
			}
		})
	}
	if compact, rev := s.CompactRev(), s.Rev(); rev > compact && p.r.IntN(2) == 0 {
		at := rev - int64(p.r.IntN(min(int(rev-compact), 20)))
		work.Go(func() {
			p.ledger.try(at)
			errs[3] = s.Compact(ctx, at)
		})
	}
	work.Wait()
	if p.r.IntN(10) == 0 {
		by := 1 + p.r.Int64N(50)
		p.ledger.try(s.Rev() + by)
		errs = append(errs, s.Bump(ctx, by))
	}
	return errors.Join(errs...)
}

// verify opens a copy of what is left, so that the next life finds it as the
// cut left it.
func (p *powerRun) verify(ctx context.Context, left *vfs.MemFS, was told) error {
	copied := left.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
	e, err := pebble.DriverFS(copied).Open("/data", backend.Options{CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	s, err := mvcc.Open(e, mvcc.Config{})
	if err != nil {
		return errors.Join(err, e.Close())
	}
	last, gaps := p.ledger.last, len(p.ledger.gaps)
	err = p.ledger.verify(ctx, e, s, was)
	if err == nil {
		p.know(cutClosed, nil, nil, told{seen: s.Rev(), durable: s.Rev(), compact: s.CompactRev()})
		if len(p.ledger.gaps) > gaps {
			p.stats[cutLeftGap].Add(1)
		}
		if s.Rev() < last {
			p.stats[cutTook].Add(1)
		}
		if s.Stats().Compactions > 0 {
			p.stats[cutCompacting].Add(1) // it went on with an interrupted one
		}
	}
	return errors.Join(err, s.Close(), e.Close())
}

// limitedEngine is an engine with a small largest batch that knows what it
// has made durable.
type limitedEngine struct {
	backend.Engine
	durable atomic.Int64 // revisions up to here are in batches that were synced
	inParts atomic.Bool  // between the first and the last part of a revision
}

func (e *limitedEngine) Stats() backend.Stats {
	st := e.Engine.Stats()
	st.MaxBatchBytes = powerBatch
	return st
}

func (e *limitedEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	if b.Size() > powerBatch {
		return fmt.Errorf("a batch of %d bytes, at most %d: %w", b.Size(), powerBatch, backend.ErrBatchTooLarge)
	}
	rev := int64(0)
	for _, op := range b.Ops() {
		switch {
		case op.Space == backend.SpaceKey && op.Kind == backend.OpAppend:
			rev = max(rev, int64(binary.BigEndian.Uint64(op.Key)))
		case op.Space == backend.SpaceMeta && string(op.Key) == "watchkv_intent":
			e.inParts.Store(true)
			defer e.inParts.Store(op.Kind != backend.OpDelete)
		}
	}
	err := e.Engine.Apply(b, s)
	if err == nil && s == backend.Sync {
		e.durable.Store(max(e.durable.Load(), rev))
	}
	return err
}

// noSyncEngine asks for no sync, whatever it is told. Only pebble heeds it.
type noSyncEngine struct{ backend.Engine }

func (e noSyncEngine) Apply(b *backend.Batch, _ backend.Syncing) error {
	return e.Engine.Apply(b, backend.NoSync)
}
