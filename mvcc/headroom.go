package mvcc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// headroom knows how much may still be staged before the volume has less than
// the floor left, or the data take more than the quota. It measures when
// somebody who stages or applies finds the last measurement too old; between
// two measurements the store counts what it stages itself. So it needs no
// goroutine, and a put pays for a load and a compare.
type headroom struct {
	on bool // there is a floor or a quota, and the store takes writes

	// last is what writers go by; nil while off.
	last atomic.Pointer[measurement]

	mu sync.Mutex // one measurement at a time; after applyMu, before tail.mu
}

// measurement is the room of a moment, and what follows from it.
type measurement struct {
	at time.Time

	free, floor int64 // bytes left, and to be left by puts; -1: unknown, none
	used, quota int64 // bytes of data, and their bound; 0: none

	// What the store may have staged since it was made, as tail.total, with
	// the next put or delete included.
	puts, deletes int64
	applied       int64 // what of tail.total was applied before
	compact       bool  // history may be deleted
	byQuota       bool  // the quota is nearer than the floor
	short         bool  // a put was refused, and there is no edge of room yet
	wanted        int64 // while short: weight of the largest put refused
}

const (
	// headroomAge: older, and whoever begins to stage or applies measures.
	// Others may fill the volume meanwhile.
	headroomAge = 50 * time.Millisecond
	// shortAge is that of those who would be refused: how soon freed space is
	// noticed.
	shortAge = 10 * time.Millisecond
	// freshAge: not even what was applied meanwhile makes it be done again.
	freshAge = time.Millisecond
	// noRoomPause is how long those who cannot be refused any more wait until
	// they look again.
	noRoomPause = 100 * time.Millisecond
	// applyRoom is beyond the bytes of a batch what an Apply finds, or waits.
	applyRoom = 64 << 10
	// near is how close to a bound whoever stages measures anew, and in
	// Relaxed waits for what is pending instead of being refused for it.
	near = 1 << 20
	// edge: 1/edge of the floor or quota has to be free beyond it for puts to
	// go on, so that a store at the bound does not go back and forth.
	edge = 16
)

// pendingShare: a byte that is staged takes up to so many of the room: once
// in the engine's log and once in its tables, or in pages that are not full;
// and an engine whose floor grows with its memtables keeps one more for it.
const pendingShare = 3

// The marks. Beyond what the engine may need for itself, half as much is for
// deletes and for the deletes of compactions; nothing the store does on
// purpose goes below the engine's part, but what was acknowledged before, the
// marks of compactions and the end.
func putFloor(engineFloor int64) int64 { return engineFloor + engineFloor/2 }
func deleteMark(floor int64) int64     { return floor - floor/6 }
func compactMark(floor int64) int64    { return floor - floor/3 }

// initHeadroom finds out whether there is anything to watch.
func (s *Store) initHeadroom() {
	_, knows := s.engine.(backend.FreeSpacer)
	s.headroom.on = s.readOnly == "" && (knows && s.cfg.MinFreeBytes >= 0 || s.cfg.QuotaBytes > 0)
}

// measure returns a measurement no older than age.
func (s *Store) measure(age time.Duration) *measurement {
	h := &s.headroom
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.last.Load(); m != nil && time.Since(m.at) < age {
		return m
	}
	// First: what is applied from here on counts twice, not never.
	applied := s.tail.appliedWeight()
	m := s.look()
	m.applied = applied
	before := h.last.Load()
	if before != nil && before.short {
		m.short, m.wanted = true, before.wanted
	}
	m.settle()
	if short := m.puts <= s.tail.totalWeight()+m.wanted; short != m.short {
		m.short = short
		m.settle()
		s.logHeadroom(m)
	}
	h.last.Store(m)
	return m
}

// look asks the engine.
func (s *Store) look() *measurement {
	m := &measurement{at: time.Now(), free: -1, quota: s.cfg.QuotaBytes}
	if engine, ok := s.engine.(backend.FreeSpacer); ok && s.cfg.MinFreeBytes >= 0 {
		space, err := engine.FreeSpace()
		if err == nil {
			m.free = space.Bytes
			m.floor = putFloor(space.Floor)
		}
		if s.cfg.MinFreeBytes > 0 {
			m.floor = s.cfg.MinFreeBytes
		}
	}
	if m.quota > 0 {
		stats := s.engine.Stats()
		m.used = stats.InUseBytes
		if m.used < 0 {
			m.used = max(stats.DiskBytes, 0)
		}
	}
	return m
}

// settle sets what follows.
func (m *measurement) settle() {
	applied := m.applied
	m.puts, m.deletes, m.compact = math.MaxInt64, math.MaxInt64, true
	if m.free >= 0 {
		m.puts = applied + (m.free-m.floor)/pendingShare
		m.deletes = applied + (m.free-deleteMark(m.floor))/pendingShare
		m.compact = m.free >= compactMark(m.floor)
	}
	if m.quota > 0 {
		m.byQuota = applied+m.quota-m.used < m.puts
		m.puts = min(m.puts, applied+m.quota-m.used)
	}
	if m.short && m.free >= 0 {
		m.puts = min(m.puts, applied+(m.free-m.floor-m.floor/edge)/pendingShare)
	}
	if m.short && m.quota > 0 {
		m.puts = min(m.puts, applied+m.quota-m.quota/edge-m.used)
	}
}

func (s *Store) logHeadroom(m *measurement) {
	if m.short {
		s.cfg.Logger.Warn("no space: puts are refused, deletes and compaction go on", "reason", m.reason())
		return
	}
	s.cfg.Logger.Warn("there is space again: puts are taken", "free bytes", m.free, "bytes in use", m.used)
}

// reason is in words what is short and what to do.
func (m *measurement) reason() string {
	if m.byQuota {
		return fmt.Sprintf("the data take %.1f MiB of the quota of %.1f MiB (Config.QuotaBytes); delete and compact", mebibytes(m.used), mebibytes(m.quota))
	}
	return fmt.Sprintf("%.1f MiB are left on the volume, puts leave %.1f MiB (Config.MinFreeBytes); free space there, or delete and compact", mebibytes(m.free), mebibytes(m.floor))
}

// noSpaceError is ErrNoSpace with its reason.
type noSpaceError struct {
	reason string
	weight int64 // of what was refused
}

func (e *noSpaceError) Error() string { return ErrNoSpace.Error() + ": " + e.reason }
func (e *noSpaceError) Unwrap() error { return ErrNoSpace }

func (m *measurement) err(weight int64) error { return &noSpaceError{m.reason(), weight} }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// refused notes if err is ErrNoSpace: that is over when such a write, of one
// record at most, finds room.
func (s *Store) refused(err error) {
	var full *noSpaceError
	if !errors.As(err, &full) {
		return
	}
	wanted := min(full.weight, int64(s.limits.record))
	h := &s.headroom
	h.mu.Lock()
	defer h.mu.Unlock()
	m := *h.last.Load()
	if m.short && m.wanted >= wanted {
		return
	}
	began := !m.short
	m.short, m.wanted = true, max(m.wanted, wanted)
	if began {
		s.logHeadroom(&m)
	}
	h.last.Store(&m)
}

// mustMeasureLocked reports whether the writer has to measure before it
// stages: nothing was applied for a while, or it would be refused by a
// measurement that may no longer be true. Needs writer.
func (s *Store) mustMeasureLocked() bool {
	if !s.headroom.on {
		return false
	}
	m := s.headroom.last.Load()
	if m == nil {
		return true
	}
	if m.short || s.tail.total >= m.puts-near {
		return time.Since(m.at) > shortAge || m.applied != s.tail.appliedWeight() && time.Since(m.at) > freshAge
	}
	return s.applied.Load() == s.next-1 && time.Since(m.at) > headroomAge
}

// pendingFillsLocked reports whether it is what is pending that leaves no
// room: then a writer waits until it is written. Needs writer.
func (s *Store) pendingFillsLocked(pending int64) bool {
	m := s.headroom.last.Load()
	return m != nil && pending > 0 && s.tail.total >= m.puts-near && s.tail.total-pending < m.puts
}

// roomFor answers ErrNoSpace if an event of the weight finds no room behind
// what is staged and what the transaction did so far.
func (t *txn) roomFor(e EventType, weight int64) error {
	m := t.s.headroom.last.Load()
	if m == nil {
		return nil
	}
	limit := m.puts
	if e == EventDelete {
		limit = m.deletes
	}
	if t.s.tail.total+t.s.beside.waiting.Load()+t.weight+weight > limit {
		return m.err(t.weight + weight)
	}
	return nil
}

// roomToCompact answers ErrNoSpace if there is too little room to delete
// history.
func (s *Store) roomToCompact() error {
	if !s.headroom.on {
		return nil
	}
	if m := s.measure(shortAge); !m.compact {
		return fmt.Errorf("%w; compaction begins with %.1f MiB", m.err(0), mebibytes(compactMark(m.floor)))
	}
	return nil
}

// awaitRoomToCompact waits until history may be deleted; false if ctx ended.
func (s *Store) awaitRoomToCompact(ctx context.Context) bool {
	for s.roomToCompact() != nil {
		if !pause(ctx, noRoomPause) {
			return false
		}
	}
	return ctx.Err() == nil
}

// awaitRoomLocked waits until a batch of that many bytes can be on the volume
// at all: what others wrote there may have taken what was kept for it. It
// answers ErrNoSpace once Close began, and before Open is done. Needs applyMu.
func (s *Store) awaitRoomLocked(bytes int64) error {
	if !s.headroom.on {
		return nil
	}
	for m := s.measure(headroomAge); m.free >= 0 && m.free < bytes+applyRoom; m = s.measure(shortAge) {
		if s.background.ctx == nil || !pause(s.background.ctx, noRoomPause) {
			return m.err(0)
		}
	}
	return nil
}

// pause returns after d, false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// headroomStats are what Stats tells of it.
func (s *Store) headroomStats(st *Stats) {
	st.FreeBytes = -1
	if !s.headroom.on {
		return
	}
	m := s.headroom.last.Load()
	if !s.closed.Load() {
		m = s.measure(headroomAge)
	}
	st.FreeBytes, st.FloorBytes = m.free, m.floor
	if m.short {
		st.NoSpace = m.reason()
	}
}
