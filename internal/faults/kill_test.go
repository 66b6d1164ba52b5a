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

// killer kills children that work on one directory.
type killer struct {
	childConfig
	random  *rand.Rand
	opening time.Duration // what the last open took that came to its end
}

// R1, R2, R3, G1 to G5, G7: a process is killed at random moments of a
// write-watch-compact loop, again and again on the same data: while it
// compacts and then while it opens what that left, while it writes, while it
// closes.
func TestKill(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		bothDurabilities(t, func(t *testing.T, relaxed time.Duration) {
			k := &killer{
				childConfig: childConfig{
					Engine: d.Name, Dir: t.TempDir(), Relaxed: relaxed, Seed: *seedFlag << 20,
					Writers: 8, CompactEvery: 300, Streams: 3, RecentBytes: 64 << 10,
				},
				random: rand.New(rand.NewPCG(*seedFlag, uint64(len(t.Name())))),
			}
			l := newLedger(k.childConfig)
			acks := 0
			for round := range *killsFlag {
				reports := k.round(t, round)
				worked := reports[0]
				acks += len(worked.acks)
				lost := l.lost
				l.verify(t, k.childConfig, reports...)
				t.Logf("round %d: %d children, %d acknowledged, %d of them lost, %d open, %d refused, %d compactions asked for, notes %q",
					round, len(reports), len(worked.acks), l.lost-lost, len(worked.open), len(worked.refused), len(worked.asked), worked.notes)
			}
			require.NotZero(t, acks)
			t.Logf("%d acknowledged, %d lost, %d interrupted compactions", acks, l.lost, l.interrupted)
		})
	})
}

// round kills a child that works, at a moment that depends on the round, and
// in some rounds two more that only got to open what it left.
func (k *killer) round(t *testing.T, round int) []*report {
	switch round % 3 {
	case 0:
		return []*report{k.whileItCompacts(t), k.whileItOpens(t), k.whileItOpens(t)}
	case 1:
		return []*report{k.whileItWrites(t)}
	}
	return []*report{k.whileItCloses(t)}
}

func (k *killer) start(t *testing.T) *child {
	k.Seed++
	return startWorker(t, k.childConfig)
}

// end kills, and learns how long an open takes.
func (k *killer) end(t *testing.T, c *child) *report {
	c.kill()
	r := c.killed(t)
	if r.opened {
		k.opening = r.openedIn
	}
	return r
}

func (k *killer) whileItCompacts(t *testing.T) *report {
	c := k.start(t)
	compacting := c.expect(nth("compact", 1+k.random.IntN(3)))
	c.await(t, compacting)
	c.after(k.upTo(5 * time.Millisecond))
	return k.end(t, c)
}

func (k *killer) whileItWrites(t *testing.T) *report {
	c := k.start(t)
	busy := c.expect(nth("ack", 1+k.random.IntN(500)))
	c.await(t, busy)
	c.after(k.upTo(300 * time.Millisecond))
	return k.end(t, c)
}

func (k *killer) whileItCloses(t *testing.T) *report {
	c := k.start(t)
	busy, closing := c.expect(nth("ack", 1+k.random.IntN(500))), c.expect(word("closing"))
	c.await(t, busy)
	c.stop()
	c.await(t, closing)
	c.after(k.upTo(10 * time.Millisecond))
	return k.end(t, c)
}

func (k *killer) whileItOpens(t *testing.T) *report {
	k.Ops = -1 // it may get further than that
	defer func() { k.Ops = 0 }()
	c := k.start(t)
	opening := c.expect(word("opening"))
	c.await(t, opening)
	c.after(k.upTo(k.opening + k.opening/4))
	return k.end(t, c)
}

// upTo is a random time below d.
func (k *killer) upTo(d time.Duration) time.Duration {
	return time.Duration(k.random.Int64N(int64(d) + 1))
}
