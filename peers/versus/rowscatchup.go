package versus

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

func replaying(history int64, watchers int, shape bench.Shape) bench.Scenario {
	return bench.Scenario{
		Name: bench.CatchUp, Shape: shape, Watchers: watchers, Streams: min(50, watchers),
		Keys: someKeys, ValueBytes: valueBytes, History: history,
	}
}

func (t *builder) revisions(n int64) string { return figure.Count(n) + " revisions" }

// catchUp is P1 and P2: whole-keyspace watchers.
func (t *builder) catchUp() {
	z := t.sizes
	brief := min(100_000, z.long)
	t.measurements["p1-brief"] = &measurement{
		scenario: replaying(brief, 1, bench.Prefix), engines: everywhere, prepared: true, unchecked: 1,
		limits: []string{job.RawScan},
	}
	t.measurements["p1-long"] = &measurement{
		scenario: replaying(z.long, 1, bench.Prefix), engines: everywhere, prepared: true,
		limits: []string{job.RawScan},
	}
	scan := limit{job: job.RawScan, name: "entries_per_s"}
	for _, c := range []struct {
		of          string
		history     int64
		must, reach goal
	}{
		{"p1-brief", brief, goal{ratio: 100}, goal{ratio: 300}},
		{"p1-long", z.long, goal{at: 500_000}, goal{at: 1_500_000}},
	} {
		l := line{
			row: "P1", what: "catch-up, 1 watcher, " + t.revisions(c.history), of: c.of,
			figure: metric("catchup.events_per_s"), show: rate, must: c.must, reach: c.reach, limit: scan,
		}
		t.add(l, paired)
		l.reach = goal{}
		t.add(l, everywhere[1:]...)
	}
	t.measurements["p2"] = &measurement{
		scenario: replaying(brief, 1000, bench.Prefix), engines: []string{paired}, prepared: true,
		unchecked: 2, unread: true, limits: []string{job.RawReading},
	}
	t.add(line{
		row: "P2", what: "catch-up, 1,000 watchers, " + t.revisions(brief), of: "p2",
		figure: metric("catchup.events_per_s"), show: rate, must: goal{ratio: 100}, limit: limit{job: job.RawReading, name: "events_per_s"},
	}, paired)
	t.add(line{
		row: "P2", what: "  by batch: handed over, not read", of: "p2", mode: unread,
		figure: metric("catchup.events_per_s"), show: rate, reach: goal{ratio: 1000},
	}, paired)
	t.add(line{
		row: "P2", what: "  most heap, no checker", of: "p2", mode: unchecked,
		figure: metric("memory.heap_max_bytes"), show: size, less: true, must: goal{ratio: 1},
	}, paired)
}

// cohorts is P3: many watchers of a key each.
func (t *builder) cohorts() {
	for _, n := range []int{1000, 5000} {
		key := fmt.Sprintf("p3-%d", n)
		t.measurements[key] = &measurement{
			scenario: replaying(t.sizes.long, n, bench.OneKey), engines: everywhere, prepared: true,
			unchecked: 2, everyone: true, limits: []string{job.RawScan},
		}
		for _, e := range everywhere {
			must := 5.0
			if e == "bolt" || e == "mem" {
				must = 10
			}
			t.add(line{
				row: "P3", what: fmt.Sprintf("catch-up, %s of a key, %s", figure.Count(int64(n)), t.revisions(t.sizes.long)), of: key,
				figure: metric("catchup.synced_ns"), show: nanos, less: true, must: goal{ratio: must}, reach: goal{ratio: 25},
				limit: limit{job: job.RawScan, name: "entries_per_s", over: float64(t.sizes.long)},
			}, e)
			heap := line{
				row: "P3", what: "  most heap, no checker", of: key, mode: unchecked,
				figure: metric("memory.heap_max_bytes"), show: size, less: true, must: goal{ratio: 2},
			}
			if e == "mem" { // its data are heap, those of the peer are not
				heap.what, heap.figure = "  most heap above the open store, no checker", metric("memory.heap_grown_bytes")
			}
			t.add(heap, e)
		}
	}
}

// interference is P10: others replay beside puts and synced watchers.
func (t *builder) interference() {
	z := t.sizes
	for _, c := range []struct {
		key, what string
		shape     bench.Shape
	}{{"p10-whole", "whole keyspace", bench.Prefix}, {"p10-key", "one key each", bench.OneKey}} {
		sc := replaying(z.long, 1000, c.shape)
		sc.Name, sc.RatePerS, sc.Writers, sc.Bystanders = bench.Interference, 1000, 64, 100
		sc.Warmup, sc.Quiet, sc.Duration = min(time.Second, z.quiet), z.quiet, z.quiet+z.replay
		t.measurements[c.key] = &measurement{scenario: sc, engines: []string{paired}, prepared: true, copied: true}
		const ms = float64(time.Millisecond)
		worse := func(what, of string, must goal) {
			t.add(line{
				row: "P10", what: what, of: c.key, figure: worst("put."+of+"_ns", "notify."+of+"_ns"),
				show: nanos, less: true, must: must,
			}, paired)
		}
		worse("1,000 replay "+c.what+": put, notify p99", "p99", goal{at: 10 * ms})
		worse("  p99.9", "p999", goal{at: 20 * ms})
		worse("  the longest", "max", goal{at: 250 * ms})
		for _, side := range []string{"put", "notify"} {
			t.add(line{
				row: "P10", what: "  " + side + " p99 against quiet", of: c.key, figure: over(side+".p99_ns", "quiet."+side+".p99_ns"),
				show: times, less: true, reach: goal{at: 3},
			}, paired)
		}
		t.add(line{row: "P10", what: "  replayed meanwhile", of: c.key, figure: metric("replay.events_per_s"), show: rate}, paired)
	}
}
