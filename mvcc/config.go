package mvcc

import (
	"fmt"
	"log/slog"
	"time"
)

// Durability says when a write is acknowledged. The zero value is Sync.
type Durability struct {
	interval time.Duration
}

// Sync acknowledges a write after it is on stable storage; readers and
// watchers never see a revision that a crash could take back.
func Sync() Durability { return Durability{} }

// Relaxed acknowledges and shows a write at once and makes it durable within
// interval. A crash loses at most one interval, and those who saw what was
// lost are told.
func Relaxed(interval time.Duration) Durability { return Durability{interval: interval} }

// Interval is the most a crash can lose; 0 in Sync.
func (d Durability) Interval() time.Duration { return d.interval }

// String is "sync" or "relaxed:100ms".
func (d Durability) String() string {
	if d.interval == 0 {
		return "sync"
	}
	return fmt.Sprintf("relaxed:%v", d.interval)
}

// Config configures a Store. The zero value works.
type Config struct {
	// Durability; the zero value is Sync.
	Durability Durability
	// RecentBytes bounds the recent log: the newest events kept in memory for
	// dispatch and for watchers that are a little behind. 0 means 32 MiB. The
	// newest revision is always kept, whatever its size.
	RecentBytes int64
	// PendingBytes bounds what Relaxed keeps that is visible and not yet
	// durable; at the bound a put waits. 0 means 64 MiB. Not used in Sync.
	PendingBytes int64
	// MaxRecordBytes is the largest key plus value; 0 means 8 MiB.
	MaxRecordBytes int
	// MinFreeBytes is the room that puts leave on the volume: with less they
	// answer ErrNoSpace, because engines hang, exit or lose data on a full
	// disk. Deletes go on down to five sixths of it, compaction down to two
	// thirds; what was acknowledged before is written in any case, and reads
	// and watches go on. 0 means one and a half times what the engine may need
	// for itself, its backend.FreeSpace.Floor: so two thirds are the engine's,
	// for memtables and its compactions. Negative turns this off. Not used if
	// the engine keeps no files or the system does not tell the room. What is
	// staged and not written yet counts three times. Puts go on within 10 ms
	// of a sixteenth more than MinFreeBytes being free.
	MinFreeBytes int64
	// QuotaBytes bounds what the data take, history included, as the engine
	// counts it in backend.Stats.InUseBytes (DiskBytes if it cannot count);
	// at the bound puts answer ErrNoSpace. Free pages inside the engine's
	// files are not in it, so compaction makes room without giving anything
	// back to the system; files may be larger. Kept to within the batch being
	// written. 0 means none. Deletes and compaction go on whatever the quota;
	// puts go on once a sixteenth of it is unused.
	QuotaBytes int64
	// AutoCompact forgets old history by itself; the zero value keeps all.
	AutoCompact AutoCompact
	// ReadOnly opens the store for reading and watching only; writes answer
	// ErrReadOnly. Needed for an engine that was opened read-only.
	ReadOnly bool
	// Logger receives what an operator should know; nil means silence.
	Logger *slog.Logger
}

// AutoCompact is the retention of history. Both bounds may be set; history
// that either wants to keep is kept. The zero value never compacts.
type AutoCompact struct {
	// Revisions keeps at least this many revisions. 0: not by revisions.
	Revisions int64
	// Age keeps at least what was written in this time. 0: not by age.
	Age time.Duration
	// Interval between compactions; 0 means a tenth of Age, at most 5 min, or
	// 1 min without an Age.
	Interval time.Duration
}

const (
	defaultRecentBytes    = 32 << 20
	defaultPendingBytes   = 64 << 20
	defaultMaxRecordBytes = 8 << 20
)

func (c Config) withDefaults() Config {
	if c.RecentBytes == 0 {
		c.RecentBytes = defaultRecentBytes
	}
	if c.PendingBytes == 0 {
		c.PendingBytes = defaultPendingBytes
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = defaultMaxRecordBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"Durability", int64(c.Durability.interval)},
		{"RecentBytes", c.RecentBytes},
		{"PendingBytes", c.PendingBytes},
		{"QuotaBytes", c.QuotaBytes},
		{"MaxRecordBytes", int64(c.MaxRecordBytes)},
		{"AutoCompact.Revisions", c.AutoCompact.Revisions},
		{"AutoCompact.Age", int64(c.AutoCompact.Age)},
		{"AutoCompact.Interval", int64(c.AutoCompact.Interval)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("mvcc: Config.%s is %d, it cannot be negative", bound.name, bound.value)
		}
	}
	if c.AutoCompact.Interval > 0 && c.AutoCompact.Revisions == 0 && c.AutoCompact.Age == 0 {
		return fmt.Errorf("mvcc: Config.AutoCompact has an interval but neither Revisions nor Age")
	}
	return nil
}
