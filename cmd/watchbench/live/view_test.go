package live_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

var update = flag.Bool("update", false, "write the golden files anew")

const ms = time.Millisecond

// past is 50 s of latencies with a stall in them.
func past(seconds int) (points []live.Point) {
	for i := range 2 * seconds {
		p99 := 1800*time.Microsecond + time.Duration(400*math.Sin(float64(i)/3))*time.Microsecond
		if i > 60 && i < 72 {
			p99 = 6 * ms
		}
		peak := p99 * 2
		if i == 64 {
			peak = 48 * ms
		}
		points = append(points, live.Point{At: time.Duration(i) * 500 * ms, P50: 318 * time.Microsecond, P99: p99, Max: peak})
	}
	if len(points) > 60 {
		points[0].Label, points[60].Label, points[90].Label = "catchup/whole", "slow", "interference"
	}
	return points
}

var plan = bench.Plan{Seed: 7, Count: 1, Scenarios: []bench.Scenario{
	{Name: bench.Notify, Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, ValueBytes: 256, Warmup: 2 * time.Second, Duration: 10 * time.Second},
	{Name: bench.CatchUp, Shape: bench.Prefix, Watchers: 1000, Streams: 50, History: 100_000, ValueBytes: 256},
	{Name: bench.Slow, Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, ValueBytes: 256, Duration: 12 * time.Second, StalledStreams: 5},
	{Name: bench.Interference, Shape: bench.Prefix, Watchers: 1000, Streams: 50, RatePerS: 2000, History: 100_000, ValueBytes: 256, Duration: 12 * time.Second},
}}

var embedded = live.Run{Target: bench.TargetFacts{Kind: "embedded", Engine: "pebble", Durability: "sync"}, Plan: plan, Cores: 16}

func slow() live.Snapshot {
	return live.Snapshot{Run: embedded, Begun: true, Past: past(50), Tick: bench.Tick{
		Elapsed: 31 * time.Second, Second: true, Scenario: "slow", Planned: 2, Repetition: 1, Stage: "5 of 50 streams stalled",
		Into: 9 * time.Second, Length: 12 * time.Second, Done: -1, Puts: 2000, Events: 1800, Intended: 2000,
		P50: 318 * time.Microsecond, P99: 1830 * time.Microsecond, Max: 8110 * time.Microsecond, Late: 41 * time.Microsecond,
		Synced: 4500, Victims: 500, VictimsSoFar: 514, Live: 1800, VictimBehind: 6210, Checked: 24_100_000,
		CPU: 2.1, MemoryBytes: 212 << 20, OutboxBytes: 1_992_294, DiskBytesPerS: 41e6,
	}}
}

func server() live.Snapshot {
	s := slow()
	s.Run.Target = bench.TargetFacts{Kind: "etcd", Version: "3.7.3", Endpoints: []string{"127.0.0.1:2379"}}
	s.Tick.Synced, s.Tick.Unsynced, s.Tick.Victims, s.Tick.VictimsSoFar = -1, -1, -1, -1
	s.Tick.Live, s.Tick.CatchUp, s.Tick.OutboxBytes = -1, [3]float64{-1, -1, -1}, -1
	s.Tick.SyncedBehind, s.Tick.UnsyncedBehind, s.Tick.VictimBehind = -1, -1, -1
	return s
}

func metered() live.Snapshot {
	s := server()
	s.Tick.Server = &bench.ServerUsage{CPU: 1.3, MemoryBytes: 181 << 20, SlowWatchers: 12}
	return s
}

// late has everything that can go wrong while it goes on.
func late() live.Snapshot {
	s := slow()
	s.Run.Title, s.Run.Plan.Count = "step 5: 50,000 puts/s", 3
	s.Tick.Planned, s.Tick.Scenario, s.Tick.Stage, s.Tick.Repetition = 0, "notify/one-key", "", 2
	s.Tick.Puts, s.Tick.Late, s.Tick.Errors = 1204, 2*ms, 3
	s.Tick.Unsynced, s.Tick.UnsyncedBehind, s.Tick.CatchUp = 12, 88, [3]float64{1200, 0, 11_200_000}
	s.Said = []string{" step   puts/s       p99   held", "    1    2,000   1.84 ms   yes", "    2    8,000   2.20 ms   yes"}
	s.Stopping, s.Broken = true, []string{"bolt/sync G6"}
	return s
}

func catchUp() live.Snapshot {
	s := slow()
	s.Past = past(50)[:40]
	for range 20 {
		s.Past = append(s.Past, live.Point{At: s.Past[len(s.Past)-1].At + 500*ms, P50: -1, P99: -1, Max: -1})
	}
	s.Tick = bench.Tick{
		Elapsed: 20 * time.Second, Scenario: "catchup/whole", Planned: 1, Repetition: 1, Into: 4 * time.Second, Done: 0.62, Events: 11_200_000,
		P50: -1, P99: -1, Max: -1, Late: -1, Unsynced: 1000, UnsyncedBehind: 38_120, CatchUp: [3]float64{900_000, 0, 10_300_000}, Checked: 11_000_000,
		CPU: 1.9, MemoryBytes: 1 << 30, OutboxBytes: 50 << 20, DiskBytesPerS: 0,
	}
	return s
}

func filling() live.Snapshot {
	s := catchUp()
	s.Past = s.Past[:3]
	s.Tick.Stage, s.Tick.Done, s.Tick.Puts = bench.StageFilling, 0.4, 151_000
	s.Tick.Synced, s.Tick.Unsynced, s.Tick.Victims = -1, -1, -1
	return s
}

func withLines(s live.Snapshot) live.Snapshot {
	for i := range 40 {
		tick := s.Tick
		tick.Elapsed = time.Duration(i) * time.Second
		s.Seconds = append(s.Seconds, tick)
	}
	return s
}

func TestViewGolden(t *testing.T) {
	snapshots := []struct {
		name string
		of   live.Snapshot
	}{
		{"opening", live.Snapshot{Run: embedded}}, {"slow", slow()}, {"server", server()}, {"metered", metered()}, {"late", late()}, {"catchup", catchUp()}, {"filling", filling()},
	}
	sizes := [][2]int{{100, 30}, {80, 24}, {60, 20}}
	for _, s := range snapshots {
		for _, size := range sizes {
			for _, style := range []live.Style{{}, {Color: true}, {ASCII: true}} {
				name := fmt.Sprintf("%s-%dx%d", s.name, size[0], size[1])
				if style.Color {
					name += "-color"
				}
				if style.ASCII {
					name += "-ascii"
				}
				t.Run(name, func(t *testing.T) {
					got := live.View(withLines(s.of), size[0], size[1], style)
					golden(t, name, got)
					fits(t, got, size[0], size[1], style)
				})
			}
		}
	}
}

// fits: as many lines as the terminal has, none wider; no escape codes without
// colour, nothing but ASCII where that is all there is.
func fits(t *testing.T, got string, width, height int, style live.Style) {
	t.Helper()
	lines := strings.Split(got, "\n")
	assert.Len(t, lines, height)
	for _, l := range lines {
		assert.LessOrEqual(t, lipgloss.Width(l), width, "%q", l)
	}
	if !style.Color {
		assert.NotContains(t, got, "\x1b")
	}
	if style.ASCII {
		for _, r := range got {
			assert.Less(t, r, rune(utf8.RuneSelf), "%q", r)
		}
	}
}

// Whatever its size, a terminal is neither overrun nor does it end the run.
func TestViewFitsEverySize(t *testing.T) {
	for _, s := range []live.Snapshot{{}, {Run: embedded}, slow(), server(), late(), catchUp(), filling()} {
		s = withLines(s)
		for _, width := range []int{1, 9, 40, 79, 80, 89, 90, 101, 220} {
			for _, height := range []int{1, 2, 3, 23, 24, 31, 70} {
				fits(t, live.View(s, width, height, live.Style{ASCII: true}), width, height, live.Style{ASCII: true})
				if t.Failed() {
					t.Fatalf("at %dx%d", width, height)
				}
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got+"\n"), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got+"\n")
}

func BenchmarkView(b *testing.B) {
	s := slow()
	for b.Loop() {
		live.View(s, 100, 30, live.Style{Color: true})
	}
}
