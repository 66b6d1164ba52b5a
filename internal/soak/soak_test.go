package soak

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
)

var (
	duration = flag.Duration("soak.duration", 3*time.Second, "how long TestSoak works, all engines and durabilities together")
	patience = flag.Duration("soak.patience", 2*time.Minute, "how long nothing may come before TestSoak calls it a hang")
	seed     = flag.Uint64("soak.seed", 0, "seed of TestSoak's operations; 0 draws one")
)

const (
	// longestLife is how long a store is open before it is closed and opened
	// again, shortestLife what even a short soak gives it.
	longestLife, shortestLife = 10 * time.Second, 150 * time.Millisecond
	// rounds is how often a soak comes to each engine at least, if it lasts:
	// what grows shows in the differences between them.
	rounds = 3
)

// variant is an engine in one durability.
type variant struct {
	driver     backend.Driver
	durability mvcc.Durability
}

// TestSoak is the soak: G1 to G9, C1 to C15, X1 to X5, E1 to E6, P1 P2, F1 to
// F3, S5, N1 to N7, V1 to V7, R2 R3 R4 on every engine, under load, with
// reopens. Each world gets its share of the time in several rounds.
func TestSoak(t *testing.T) {
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-soak.seed %d", from)
	var variants []variant
	for _, d := range engines.All() {
		variants = append(variants, variant{d, mvcc.Sync()}, variant{d, mvcc.Relaxed(20 * time.Millisecond)})
	}
	limits := startLimits()
	share := *duration / time.Duration(len(variants))
	for i, v := range variants {
		t.Run(v.driver.Name+"/"+v.durability.String(), func(t *testing.T) {
			w := newWorld(t, v, filepath.Join(t.TempDir(), "data"), from+uint64(i)<<32)
			soak(w, share, limits)
		})
		if t.Failed() {
			return // what is left behind would be blamed on the next
		}
		require.NoError(t, limits.nothingLeft())
	}
}

// soak gives a world life after life until its time is over.
func soak(w *world, share time.Duration, limits *limits) {
	life := max(shortestLife, min(longestLife, share/rounds))
	said := time.Now()
	for spent := time.Duration(0); spent < share || w.lives < 2; {
		began := time.Now()
		w.live(life)
		spent += time.Since(began)
		if w.t.Failed() {
			return
		}
		heap, err := limits.betweenLives(w)
		require.NoError(w.t, err)
		if time.Since(said) > longestLife || spent >= share {
			said = time.Now()
			w.t.Logf("%v: %s, heap %d KiB above the start", spent.Round(time.Second), w.summary(), heap>>10)
		}
	}
	w.end()
}
