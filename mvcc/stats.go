package mvcc

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// Stats are figures of a store. They are read without stopping it, so they
// need not be of one moment.
type Stats struct {
	Rev        int64 // visible
	Applied    int64 // last revision that is durable in the engine
	CompactRev int64
	Keys       int   // keys in the index, deleted ones with history included
	LiveKeys   int   // of these, keys that have a value now
	Revisions  int64 // versions in the index

	RecentBytes     int64 // weight of the recent log, bookkeeping included
	RecentRevisions int64
	PendingBytes    int64 // visible and not durable yet; 0 in Sync

	Groups int64 // group commits; none in Relaxed
	Puts   int64 // events staged
	Txns   int64 // transactions that made a revision

	Applies      int64 // batches given to the engine
	ApplyTime    time.Duration
	ApplyLongest time.Duration
	// ApplyDurations are those of the single batches, and CompactDurations
	// those of compactions, from their beginning to the last delete.
	ApplyDurations, CompactDurations Durations
	// ApplyingFor is how long the batch that the engine has now is there
	// already, or waits for room on the volume; 0 if it has none. A stall of
	// the disk shows here while it lasts.
	ApplyingFor time.Duration
	// ExportingFor is how long the Export that runs does so already; 0 if none
	// does. A compaction waits for it.
	ExportingFor time.Duration

	Compactions      int64
	CompactedRecords int64
	LastCompaction   time.Time // when it ended; zero if none has since Open

	// FreeBytes is the room left for the engine, on the volume and inside its
	// files, up to a tenth of a second old; -1 if unknown. FloorBytes is what
	// puts leave of it, 0 if nothing.
	FreeBytes, FloorBytes int64
	// NoSpace says why puts are refused with ErrNoSpace; empty while they are
	// not.
	NoSpace string

	// Failed is the text of the error that ended writing; empty while all is
	// well.
	Failed string

	// ScanNanosPerEntry and GetNanosPerRead are moving averages measured on
	// this engine while it runs: what an entry of History and a point read
	// cost. Before anything was measured they hold an estimate.
	ScanNanosPerEntry float64
	GetNanosPerRead   float64

	// Engine are the engine's own figures, up to a tenth of a second old.
	Engine backend.Stats
}

// engineStatsAge is how long the engine's figures are kept: catching up asks
// for the costs far more often than engines like to count their files.
const engineStatsAge = 100 * time.Millisecond

// engineStats are the engine's figures of a moment.
type engineStats struct {
	at    time.Time
	stats backend.Stats
}

func (s *Store) engineStats() backend.Stats {
	if kept := s.lastEngineStats.Load(); kept != nil && time.Since(kept.at) < engineStatsAge {
		return kept.stats
	}
	fresh := &engineStats{stats: s.engine.Stats(), at: time.Now()}
	s.lastEngineStats.Store(fresh)
	return fresh.stats
}

// counters only grow.
type counters struct {
	groups, puts, txns            atomic.Int64
	applies, applyNanos, applyMax atomic.Int64
	compactions, compacted        atomic.Int64
	compactedAt                   atomic.Int64 // Unix nanoseconds; 0: never
	applyTook, compactTook        durations

	opened    time.Time    // set before all else
	applying  atomic.Int64 // nanoseconds from opened to the Apply under way; 0: none
	exporting atomic.Int64 // likewise to the Export under way
}

// applyBegins and applyEnds enclose what waits for the engine. Needs applyMu.
func (c *counters) applyBegins() { c.applying.Store(max(int64(time.Since(c.opened)), 1)) }
func (c *counters) applyEnds()   { c.applying.Store(0) }

func (c *counters) since(began int64) time.Duration {
	if began == 0 {
		return 0
	}
	return max(time.Since(c.opened)-time.Duration(began), 1)
}

// applied counts one batch. Callers hold applyMu, so the maximum is exact.
func (c *counters) applied(d time.Duration) {
	c.applies.Add(1)
	c.applyTook.add(d, applyBase)
	c.applyNanos.Add(int64(d))
	c.applyMax.Store(max(c.applyMax.Load(), int64(d)))
}

// The least of what is told apart.
const (
	applyBase   = time.Millisecond
	compactBase = 100 * time.Millisecond
)

// costs are what reading this engine costs, learnt while reading.
type costs struct{ scan, get cost }

// Before anything was measured: the middle of what the engines showed.
const (
	scanNanosGuess = 250
	getNanosGuess  = 5000
)

func (c *costs) init() {
	c.scan.set(scanNanosGuess)
	c.get.set(getNanosGuess)
}

// cost is a moving average in nanoseconds for one item. Readers that add at
// the same time may lose one sample to each other.
type cost struct {
	bits     atomic.Uint64
	measured atomic.Bool // by at least costFirst items: no guess any more
}

// costSample is how many items outweigh what was known before.
const costSample = 1000

// costFirst is how many items read at once say more than the guess did.
const costFirst = 32

func (c *cost) add(d time.Duration, items int) {
	if items <= 0 || d <= 0 {
		return
	}
	weight := min(float64(items)/costSample, 0.5)
	sample := float64(d) / float64(items)
	if items >= costFirst && c.measured.CompareAndSwap(false, true) {
		weight = 1
	}
	c.set(c.nanos()*(1-weight) + sample*weight)
}

func (c *cost) set(nanos float64) { c.bits.Store(math.Float64bits(nanos)) }
func (c *cost) nanos() float64    { return math.Float64frombits(c.bits.Load()) }

// Stats reads the store's figures; cheap.
func (s *Store) Stats() Stats {
	st := Stats{
		Rev:               s.visible.Load(),
		Applied:           s.applied.Load(),
		CompactRev:        s.compactRev.Load(),
		Groups:            s.counters.groups.Load(),
		Puts:              s.counters.puts.Load(),
		Txns:              s.counters.txns.Load(),
		Applies:           s.counters.applies.Load(),
		ApplyTime:         time.Duration(s.counters.applyNanos.Load()),
		ApplyLongest:      time.Duration(s.counters.applyMax.Load()),
		ApplyingFor:       s.counters.since(s.counters.applying.Load()),
		ExportingFor:      s.counters.since(s.counters.exporting.Load()),
		Compactions:       s.counters.compactions.Load(),
		CompactedRecords:  s.counters.compacted.Load(),
		ScanNanosPerEntry: s.costs.scan.nanos(),
		GetNanosPerRead:   s.costs.get.nanos(),
		Engine:            s.engineStats(),
	}
	s.headroomStats(&st)
	if f := s.failure.Load(); f != nil {
		st.Failed = f.err().Error()
	}
	st.ApplyDurations = s.counters.applyTook.read(applyBase)
	st.CompactDurations = s.counters.compactTook.read(compactBase)
	if at := s.counters.compactedAt.Load(); at != 0 {
		st.LastCompaction = time.Unix(0, at)
	}
	st.Keys, st.Revisions = s.indexSize()
	st.LiveKeys = s.liveKeys()
	st.RecentBytes, st.RecentRevisions, st.PendingBytes = s.tail.sizes()
	st.PendingBytes += s.beside.waiting.Load()
	if !s.relaxed() {
		st.PendingBytes = 0
	}
	return st
}

func (s *Store) indexSize() (keys int, revisions int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.len(), s.index.revisions
}

func (s *Store) liveKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.live
}

func (t *tail) sizes() (bytes, revisions, pending int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total - t.evicted, int64(t.n), t.total - t.applyWt
}
