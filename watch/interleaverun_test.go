package watch

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var mostBoundaries = flag.Int("interleave.boundaries", 15, "how many moments of each scenario something happens at; 0: every one")

// everyBoundary plays each scenario once for every boundary it passes, or as
// many as are wanted, with act done there, and then holds what came against
// what was written.
func everyBoundary(t *testing.T, act, verify func(w *theater)) {
	everyBoundaryOf(t, func(*theater) {}, act, verify)
}

// everyBoundaryOf is everyBoundary after some preparation of each play.
func everyBoundaryOf(t *testing.T, prepare, act, verify func(w *theater)) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			quiet := newTheater(t, sc)
			quiet.play(0, nil)
			lives := quiet.lives()
			require.Len(t, lives, 1)
			quiet.check(lives[0], 2, true)
			passed, stride := quiet.source.passed, 1
			quiet.end()
			require.Greater(t, passed, 40)
			if *mostBoundaries > 0 {
				stride = max(1, passed / *mostBoundaries)
			}
			for at := 1; at <= passed && !t.Failed(); at += stride {
				atBoundary(t, sc, at, prepare, act, verify)
			}
		})
	}
}

func atBoundary(t *testing.T, sc scenario, at int, prepare, act, verify func(w *theater)) {
	w := newTheater(t, sc)
	prepare(w)
	w.source.passed = 0
	defer func() {
		if !t.Failed() {
			return
		}
		t.Logf("at boundary %d, %s", at, w.source.lastHit)
		for i := range w.got {
			var b strings.Builder
			printResponse(&b, &w.got[i], true)
			t.Log(strings.TrimSpace(b.String()))
		}
		t.Logf("%+v", w.hub.Watches())
	}()
	w.play(at, func() { act(w) })
	require.NotEmpty(t, w.source.lastHit)
	verify(w)
	w.end()
}
