package faults

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/watchkv/watchkv/backend"
)

var powerCuts = flag.Int("faults.powercuts", 1, "power cuts on a loop device for each engine and durability")

// cutter cuts the power of a volume while a child works on it, again and
// again on the same data.
type cutter struct {
	v    *volume
	c    childConfig
	l    *ledger
	r    *rand.Rand
	tool []string // what the child runs under

	acks  int
	round int
}

func newCutter(t *testing.T, engine string, relaxed time.Duration, tool ...string) *cutter {
	t.Helper()
	v := newVolume(t)
	c := childConfig{Engine: engine, Dir: v.dir, Relaxed: relaxed, Writers: 8, CompactEvery: 300, Streams: 3, RecentBytes: 64 << 10}
	return &cutter{v: v, c: c, l: newLedger(c), r: rand.New(rand.NewPCG(*seedFlag, uint64(len(t.Name())))), tool: tool}
}

// cut is one round; the error says what is not right after it.
func (k *cutter) cut(t *testing.T) error {
	t.Helper()
	k.c.Seed = *seedFlag<<20 + uint64(k.round)
	w := startWorker(t, k.c, k.tool...)
	heard := listenTo(w)
	stop := k.v.writeBack(rand.New(rand.NewPCG(k.c.Seed, 0)))
	defer stop()
	k.awaitMoment(t, w)
	at := time.Now()
	k.v.cutPower(t)
	w.kill()
	stop()
	w.wait(t)
	told := heard.until(k.c.Seed, at)
	k.v.restore(t)
	k.round++
	k.acks += len(told.acks)
	t.Logf("round %d: %d acknowledged, %d open, seen %d, compacted at %d", k.round, len(told.acks), len(told.open), told.seen, told.compacted)
	if err := k.l.learn(told); err != nil {
		return err
	}
	if err := k.openInChild(t); err != nil {
		return err
	}
	return k.l.hold(k.c)
}

// hearing is what a child tells, with the time in which it tells it.
//
// A child lives on for a moment after the cut, and may be told then by the
// file system that was shut down that a sync has succeeded: the kernel gives
// up a transaction of the journal and finds nothing left to wait for. A
// computer without power tells nobody anything.
type hearing struct {
	facts []fact
	start time.Time // no earlier than the zero of the child's clock
}

// listenTo hears a child from its start. What it heard may be read when the
// child has ended.
func listenTo(w *child) *hearing {
	h := &hearing{start: time.Now().Add(time.Hour)}
	w.expect(func(f fact) bool {
		// The less a line was held up on its way, the better it shows when
		// the child's clock began.
		if start := time.Now().Add(-f.At); start.Before(h.start) {
			h.start = start
		}
		h.facts = append(h.facts, f)
		return false
	})
	return h
}

// until is the report of what was certainly told before the cut, and of what
// was tried, then or later. Times without a word of an open store, from eight
// writers, are the machine's.
func (h *hearing) until(seed uint64, cut time.Time) *report {
	r := newReport(seed)
	silence := time.Duration(0)
	end := cut.Sub(h.start)
	for _, f := range h.facts {
		switch {
		case f.At < end:
			if r.opened {
				silence = max(silence, f.At-r.last)
			}
			r.add(f)
		case f.Word == "try" || f.Word == "compact" || f.Word == "watch":
			last := r.last
			r.add(f)
			r.last = last
		}
	}
	r.late = max(r.late, silence)
	return r
}

// awaitMoment waits for a random moment of the child's work, by turns while it
// writes, compacts and closes.
func (k *cutter) awaitMoment(t *testing.T, w *child) {
	t.Helper()
	acks := 1 + k.r.IntN(500)
	if k.c.Relaxed > 0 {
		acks *= 10 // they come fast, and some are to be durable
	}
	busy := w.expect(nth("ack", acks))
	compacting := w.expect(word("compact"))
	closing := w.expect(word("closing"))
	short := time.Duration(k.r.IntN(3000)) * time.Microsecond
	switch k.round % 4 {
	case 0, 1:
		w.await(t, busy)
		w.after(time.Duration(k.r.IntN(300)) * time.Millisecond)
	case 2:
		w.await(t, compacting)
		w.after(short)
	case 3:
		w.await(t, busy)
		w.stop()
		w.await(t, closing)
		w.after(2 * short)
	}
}

// openInChild opens the data first where a fault of an engine ends nobody
// else.
func (k *cutter) openInChild(t *testing.T) error {
	t.Helper()
	c := k.c
	c.Ops, c.Streams, c.Seed = -1, 0, ^c.Seed // nobody's operations
	w := startWorker(t, c)
	opened := w.expect(word("opened"))
	_, ok := w.await(t, opened)
	w.stop()
	told := w.wait(t)
	if !ok {
		return fmt.Errorf("the data do not open: %s", w)
	}
	if told.closeErr != "" {
		return errors.New("closing: " + told.closeErr)
	}
	return k.l.learn(told)
}

// R1, R2, R3, G1 to G5, G7: the power of a disk goes while a store works on
// it. After each cut everything is held that kill -9 is held against.
func TestPowerCut_OnDisk(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		bothDurabilities(t, func(t *testing.T, relaxed time.Duration) {
			k := newCutter(t, d.Name, relaxed)
			start := time.Now()
			for range *powerCuts {
				require.NoError(t, k.cut(t))
			}
			t.Logf("%d cuts, %d acknowledged, %d lost, %v a cut", k.round, k.acks, k.l.lost, time.Since(start)/time.Duration(max(k.round, 1)))
			require.NotZero(t, k.acks)
		})
	})
}

// The suite sees what it is for: with every sync a call that does nothing it
// fails on every engine.
func TestPowerCut_OnDiskWithoutSync(t *testing.T) {
	const most = 20
	onDisk(t, func(t *testing.T, d backend.Driver) {
		calls := "fsync,fdatasync,msync,sync_file_range"
		k := newCutter(t, d.Name, 0, needTool(t, "strace"), "-f", "-qq", "-o", "/dev/null",
			"-e", "signal=none", "-e", "trace="+calls, "-e", "inject="+calls+":retval=0")
		k.startWhole(t)
		for range most {
			if err := k.cut(t); err != nil {
				t.Logf("round %d: %v", k.round, err)
				return
			}
		}
		require.Fail(t, "no cut was noticed", "%d cuts", most)
	})
}

// startWhole leaves a store that was closed, and is all on the disk.
func (k *cutter) startWhole(t *testing.T) {
	t.Helper()
	c := k.c
	c.Ops, c.Seed = 50, 1
	told := startWorker(t, c).wait(t)
	require.True(t, told.closed, told.notes)
	require.Empty(t, told.closeErr)
	k.l.verify(t, c, told)
	f, err := unix.Open(k.v.dir, unix.O_RDONLY, 0)
	require.NoError(t, err)
	require.NoError(t, errors.Join(unix.Syncfs(f), unix.Close(f)))
}
