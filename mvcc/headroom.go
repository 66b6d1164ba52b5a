package mvcc

import (
	"context"
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

	mu    sync.Mutex // one measurement at a time; after applyMu, before tail.mu
	short bool       // puts are refused until there is an edge of room
}

// measurement is the room of a moment, and what follows from it.
type measurement struct {
	at time.Time

	free, floor int64 // bytes left, and to be left by puts; -1: unknown, none
	used, quota int64 // bytes of data, and their bound; 0: none

	// What the store may have staged since it was made, as tail.total, with
	// the next put or delete included.
	puts, deletes int64
	compact       bool // history may be deleted
	byQuota       bool // the quota is nearer than the floor
}

const (
	// headroomAge: older, and whoever begins to stage or applies measures.
	// Others may fill the volume meanwhile.
	headroomAge = 50 * time.Millisecond
	// shortAge is that of those who would be refused: how soon freed space is
	// noticed.
	shortAge = 10 * time.Millisecond
	// noRoomPause is how long those who cannot be refused any more wait until
	// they look again.
	noRoomPause = 100 * time.Millisecond
	// applyRoom is beyond the bytes of a batch what an Apply finds, or waits.
	applyRoom = 64 << 10
	// edge: 1/edge of the floor or quota has to be free beyond it for puts to
	// go on, so that a store at the bound does not go back and forth.
	edge = 16
)

// The marks, in shares of the floor. By default the floor is twice what the
// engine may need for itself, so nothing the store does on purpose touches
// that: what is below compactShare is for what was acknowledged before, for
// the marks and the end, and for the engine's own work.
func deleteShare(floor int64) int64  { return floor - floor/4 }
func compactShare(floor int64) int64 { return floor / 2 }

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
	m.settle(applied, h.short)
	if short := m.puts <= applied; short != h.short {
		h.short = short
		m.settle(applied, short)
		s.logHeadroom(m, short)
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
			m.floor = 2 * space.Floor
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

// settle sets what follows; applied is what of tail.total the figures hold
// already.
func (m *measurement) settle(applied int64, short bool) {
	m.puts, m.deletes, m.compact = math.MaxInt64, math.MaxInt64, true
	if m.free >= 0 {
		m.puts = applied + m.free - m.floor
		m.deletes = applied + m.free - deleteShare(m.floor)
		m.compact = m.free >= compactShare(m.floor)
	}
	if m.quota > 0 {
		m.byQuota = applied+m.quota-m.used < m.puts
		m.puts = min(m.puts, applied+m.quota-m.used)
	}
	if short && (m.free >= 0 && m.free < m.floor+m.floor/edge || m.quota > 0 && m.used > m.quota-m.quota/edge) {
		m.puts = -1
	}
}

func (s *Store) logHeadroom(m *measurement, short bool) {
	if short {
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

func (m *measurement) err() error { return fmt.Errorf("%w: %s", ErrNoSpace, m.reason()) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// refused notes that a put found too little room.
func (s *Store) refused() {
	h := &s.headroom
	h.mu.Lock()
	defer h.mu.Unlock()
	m := *h.last.Load()
	if h.short {
		return
	}
	h.short = true
	m.puts = -1
	s.logHeadroom(&m, true)
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
	if s.tail.total >= m.puts {
		return time.Since(m.at) > shortAge
	}
	return s.applied.Load() == s.next-1 && time.Since(m.at) > headroomAge
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
	if t.s.tail.total+t.weight+weight > limit {
		return m.err()
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
		return fmt.Errorf("%w; compaction begins with %.1f MiB", m.err(), mebibytes(compactShare(m.floor)))
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
			return m.err()
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
	if m.puts < 0 || m.free >= 0 && m.free < m.floor {
		st.NoSpace = m.reason()
	}
}
