package faults

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

var (
	killsFlag = flag.Int("faults.kills", 2, "kill -9 rounds for each engine and durability")
	seedFlag  = flag.Uint64("faults.seed", 1, "what random moments and operations follow from")
)

// onDisk runs a test on every engine that keeps something.
func onDisk(t *testing.T, test func(t *testing.T, d backend.Driver)) {
	for _, d := range engines.All() {
		if !d.Volatile {
			t.Run(d.Name, func(t *testing.T) { test(t, d) })
		}
	}
}

// bothDurabilities runs a test in Sync and in Relaxed.
func bothDurabilities(t *testing.T, test func(t *testing.T, relaxed time.Duration)) {
	t.Run("sync", func(t *testing.T) { test(t, 0) })
	t.Run("relaxed", func(t *testing.T) { test(t, 50*time.Millisecond) })
}

// R1, R2, R3, G1 to G5, G7: a process is killed at random moments of a
// write-watch-compact loop, again and again on the same data.
func TestKill(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		bothDurabilities(t, func(t *testing.T, relaxed time.Duration) {
			c := childConfig{Engine: d.Name, Dir: t.TempDir(), Relaxed: relaxed, Writers: 8, CompactEvery: 300, Streams: 3, RecentBytes: 64 << 10}
			l := newLedger(c)
			r := rand.New(rand.NewPCG(*seedFlag, uint64(len(t.Name()))))
			acks := 0
			for round := range *killsFlag {
				c.Seed = *seedFlag<<20 + uint64(round)
				rep := killOnce(t, c, r, round)
				acks += len(rep.acks)
				t.Logf("round %d: %d acknowledged, %d open, compacted at %d, %d refused, notes %q", round, len(rep.acks), len(rep.open), rep.compacted, len(rep.refused), rep.notes)
				l.verify(t, c, rep)
			}
			require.NotZero(t, acks)
			t.Logf("%d acknowledged, %d of them lost", acks, l.lost)
		})
	})
}

// killOnce kills a child that works, at a moment that depends on the round.
func killOnce(t *testing.T, c childConfig, r *rand.Rand, round int) *report {
	w := startWorker(t, c)
	busy := w.expect(nth("ack", 1+r.IntN(500)))
	compacting := w.expect(nth("compact", 1+r.IntN(3)))
	closing := w.expect(word("closing"))
	short := time.Duration(r.IntN(3000)) * time.Microsecond
	switch round % 3 {
	case 0: // while it writes
		w.await(t, busy)
		w.after(time.Duration(r.IntN(300)) * time.Millisecond)
	case 1: // while it compacts
		w.await(t, compacting)
		w.after(short)
	case 2: // while it closes
		w.await(t, busy)
		w.stop()
		w.await(t, closing)
		w.after(short * 2)
	}
	w.kill()
	return w.killed(t)
}
