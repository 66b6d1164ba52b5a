package versus

import (
	"fmt"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

// idle is P9: watchers that nobody writes to.
func (t *builder) idle() {
	n := t.sizes.watchers
	for _, c := range []struct {
		key, what           string
		shape               bench.Shape
		heap, fewest, watch float64
	}{
		{"p9-key", "a key", bench.OneKey, 180, 70, 1000},
		{"p9-range", "a range", bench.Ranges, 250, 110, 6000},
	} {
		t.measurements[c.key] = &measurement{
			scenario: bench.Scenario{
				Name: bench.Register, Shape: c.shape, Watchers: n, Streams: max(1, n/1000), Keys: n, ValueBytes: valueBytes,
			},
			engines: []string{paired}, limits: []string{job.RawStructs},
		}
		t.add(line{
			row: "P9", what: fmt.Sprintf("%s idle, each of %s: heap of one", figure.Count(int64(n)), c.what), of: c.key,
			figure: metric("register.heap_per_watcher_bytes"), show: few, less: true,
			must: goal{at: c.heap}, reach: goal{at: c.fewest}, limit: limit{job: job.RawStructs, name: "bytes"},
		}, paired)
		t.add(line{row: "P9", what: "  time to register one", of: c.key, figure: metric("register.watch_ns"), show: nanos, less: true, must: goal{at: c.watch}}, paired)
	}
}

// commit is P12 and P13: puts that nobody watches.
func (t *builder) commit() {
	puts := func(writers int) bench.Scenario {
		sc := t.live(bench.OneKey, 0, 0)
		sc.RatePerS, sc.FullSpeed, sc.Writers, sc.Duration = 0, true, writers, t.sizes.load/2
		return sc
	}
	durable, relaxed := []string{paired, "pebble", "badger"}, []string{paired, "mem", "pebble"}
	t.measurements["p12"] = &measurement{scenario: puts(64), sync: true, engines: durable, limits: []string{job.RawGroupCommit}}
	t.measurements["p13"] = &measurement{scenario: puts(1), engines: relaxed, limits: []string{job.RawApply}, unchecked: 1}
	t.add(line{
		row: "P12", what: "durable puts, 64 writers", of: "p12", figure: metric("put.rate_per_s"), show: rate,
		must: goal{share: 0.6}, reach: goal{share: 0.8}, limit: limit{job: job.RawGroupCommit, name: "records_per_s"},
	}, durable...)
	for _, e := range relaxed {
		must := 1.5
		if e == "bolt" {
			must = 1
		}
		t.add(line{
			row: "P13", what: "relaxed puts, 1 writer, no watcher", of: "p13", figure: metric("put.rate_per_s"), show: rate,
			must: goal{ratio: must}, reach: goal{ratio: 3}, limit: limit{job: job.RawApply, name: "records_per_s"},
		}, e)
	}
}

// open is P14: how long until a store with a history answers.
func (t *builder) open() {
	engines := []string{paired, "pebble"}
	for _, c := range []struct {
		keys        int
		must, reach float64
	}{{t.sizes.keys / 10, 5, 8}, {t.sizes.keys, 3, 5}} {
		key := fmt.Sprintf("p14-%d", c.keys)
		t.measurements[key] = &measurement{
			scenario: bench.Scenario{Name: bench.Reopen, Shape: bench.OneKey, Keys: c.keys, ValueBytes: valueBytes, History: t.sizes.long, Opens: 1},
			engines:  engines, prepared: true, limits: []string{job.RawScan},
		}
		t.add(line{
			row: "P14", what: fmt.Sprintf("open %s, %s keys", t.revisions(t.sizes.long), figure.Count(int64(c.keys))), of: key,
			figure: metric("open.median_ns"), show: nanos, less: true, must: goal{ratio: c.must}, reach: goal{ratio: c.reach},
			limit: limit{job: job.RawScan, name: "entries_per_s", over: float64(t.sizes.long)},
		}, engines...)
	}
}
