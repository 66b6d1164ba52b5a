package contract

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// measurement is one scenario that one or more lines are read from.
type measurement struct {
	scenario bench.Scenario
	sync     bool     // durability of both sides
	engines  []string // the first takes turns with etcd, the others run beside
	prepared bool     // the history is written once and read by every run
	copied   bool     // and copied for each, because a run adds to it
	noPeer   bool     // etcd has nothing like it
	once     bool     // the peer is known to be cut: it runs once
	limits   []string // jobs, each once: bare, or raw ones
	heap     bool     // read memory where the checker is not: the runs without it
}

// line is one line of the table: a figure of one measurement on one engine.
type line struct {
	row     string
	what    string
	of      string // key of the measurement
	engine  string
	figure  func(m map[string]float64) (float64, bool)
	show    func(v float64) string
	less    bool // is better
	must    goal
	reach   goal
	limit   limit
	heap    bool // read from the runs without the checker
	ownOnly bool // the figure of etcd means nothing here
}

// limit is the physical limit of a figure: what of which job.
type limit struct {
	job  string  // of measurement.limits; empty: none
	name string  // of a raw figure; empty: the line's own figure, on bare
	per  float64 // not 0: the figure is this many entries over the raw rate, as nanoseconds
}

// bareJob runs the same scenario with nothing behind the harness.
const bareJob = "bare"

// sizes of everything that --quick makes smaller.
type sizes struct {
	long      int64 // history of 1M
	load      time.Duration
	fanEvents int64
	replay    time.Duration
	stall     time.Duration
	idle      int
}

var (
	fullSizes = sizes{
		long: 1_000_000, load: 8 * time.Second, fanEvents: 8_000_000, replay: 30 * time.Second,
		stall: 10 * time.Second, idle: 1_000_000,
	}
	quickSizes = sizes{
		long: 200_000, load: 3 * time.Second, fanEvents: 2_000_000, replay: 6 * time.Second,
		stall: 3 * time.Second, idle: 200_000,
	}
)

const (
	valueBytes = 256
	short      = 100_000 // the shorter history
)

func metric(name string) func(map[string]float64) (float64, bool) {
	return func(m map[string]float64) (float64, bool) { v, ok := m[name]; return v, ok }
}

// over is one figure in terms of another of the same run.
func over(name, base string) func(map[string]float64) (float64, bool) {
	return func(m map[string]float64) (float64, bool) {
		a, okA := m[name]
		b, okB := m[base]
		return a / b, okA && okB && b > 0
	}
}

// worst is the largest of several.
func worst(names ...string) func(map[string]float64) (float64, bool) {
	return func(m map[string]float64) (v float64, ok bool) {
		for _, name := range names {
			if x, has := m[name]; has {
				v, ok = max(v, x), true
			}
		}
		return v, ok
	}
}

func rate(v float64) string    { return figure.Rate(v) + "/s" }
func nanos(v float64) string   { return figure.Duration(time.Duration(v)) }
func size(v float64) string    { return figure.Bytes(int64(v)) }
func few(v float64) string     { return fmt.Sprintf("%.0f B", v) }
func times(v float64) string   { return fmt.Sprintf("%.2fx", v) }
func counted(v float64) string { return figure.Count(int64(v)) }

// table is the whole contract: measurements by key, in the order of lines.
func table(z sizes) (map[string]*measurement, []line) {
	t := &builder{sizes: z, measurements: map[string]*measurement{}}
	t.catchUp()
	t.fanOut()
	t.notify()
	t.idle()
	t.interference()
	t.slow()
	t.commit()
	t.open()
	return t.measurements, t.lines
}

type builder struct {
	sizes        sizes
	measurements map[string]*measurement
	lines        []line
}

func (t *builder) add(l line, engines ...string) {
	for _, e := range engines {
		l.engine = e
		t.lines = append(t.lines, l)
	}
}

var everywhere = []string{"bolt", "mem", "pebble", "badger"}

func (t *builder) catchUp() {
	one := func(history int64, watchers int, shape bench.Shape, keys int) bench.Scenario {
		return bench.Scenario{
			Name: bench.CatchUp, Shape: shape, Watchers: watchers, Streams: min(50, watchers),
			Keys: keys, ValueBytes: valueBytes, History: history,
		}
	}
	rows := func(n int64) string { return figure.Count(n) + " revisions" }
	t.measurements["p1-short"] = &measurement{scenario: one(short, 1, bench.Prefix, 10_000), engines: everywhere, prepared: true, limits: []string{"scan"}}
	t.measurements["p1-long"] = &measurement{scenario: one(t.sizes.long, 1, bench.Prefix, 10_000), engines: everywhere, prepared: true, once: true, limits: []string{"scan"}}
	t.measurements["p2"] = &measurement{scenario: one(short, 1000, bench.Prefix, 10_000), engines: []string{"bolt"}, prepared: true, once: true, limits: []string{"scan", "reading"}, heap: true}
	events, scan := metric("catchup.events_per_s"), limit{job: "scan", name: "entries_per_s"}
	for _, e := range everywhere {
		l := line{row: "P1", what: "catch-up, 1 watcher, " + rows(short), of: "p1-short", figure: events, show: rate, must: goal{ratio: 100}, limit: scan}
		if e == "bolt" {
			l.reach = goal{ratio: 300}
		}
		t.add(l, e)
	}
	for _, e := range everywhere {
		l := line{row: "P1", what: "catch-up, 1 watcher, " + rows(t.sizes.long), of: "p1-long", figure: events, show: rate, must: goal{at: 500_000}, limit: scan}
		if e == "bolt" {
			l.reach = goal{at: 1_500_000}
		}
		t.add(l, e)
	}
	t.add(line{row: "P2", what: "catch-up, 1,000 watchers, " + rows(short) + " each", of: "p2", figure: events, show: rate, must: goal{ratio: 100}, reach: goal{ratio: 1000}, limit: limit{job: "reading", name: "events_per_s"}}, "bolt")
	t.add(line{row: "P2", what: "  its heap, checker left out: bounded", of: "p2", figure: metric("memory.heap_max_bytes"), show: size, less: true, heap: true, must: goal{ratio: 1}}, "bolt")
	for _, n := range []int{1000, 5000} {
		key := fmt.Sprintf("p3-%d", n)
		t.measurements[key] = &measurement{scenario: one(t.sizes.long, n, bench.OneKey, 10_000), engines: everywhere, prepared: true, limits: []string{"scan"}, heap: true}
		for _, e := range everywhere {
			l := line{
				row: "P3", what: fmt.Sprintf("catch-up, %s watchers of a key, %s", figure.Count(int64(n)), rows(t.sizes.long)), of: key,
				figure: metric("catchup.synced_ns"), show: nanos, less: true, must: goal{ratio: 5}, reach: goal{ratio: 25},
				limit: limit{job: "scan", name: "entries_per_s", per: float64(t.sizes.long)},
			}
			if e == "bolt" || e == "mem" {
				l.must.ratio = 10
			}
			t.add(l, e)
			t.add(line{row: "P3", what: "  its heap, checker left out", of: key, figure: metric("memory.heap_max_bytes"), show: size, less: true, heap: true, must: goal{ratio: 2}}, e)
		}
	}
}

func (t *builder) fanOut() {
	for _, n := range []int{1000, 10_000, 100_000} {
		key := fmt.Sprintf("p4-%d", n)
		t.measurements[key] = &measurement{
			scenario: bench.Scenario{
				Name: bench.FanOut, Shape: bench.Prefix, Watchers: n, Streams: max(10, n/1000), FullSpeed: true, Writers: 1,
				Keys: 10_000, ValueBytes: valueBytes, Warmup: 200 * time.Millisecond, Duration: time.Second, Puts: max(20, t.sizes.fanEvents/int64(n)),
			},
			engines: []string{"bolt"}, limits: []string{bareJob},
		}
		t.add(line{
			row: "P4", what: fmt.Sprintf("fan-out, %s watchers of a prefix, %d streams", figure.Count(int64(n)), max(10, n/1000)), of: key,
			figure: metric("fanout.events_per_s"), show: rate, must: goal{ratio: 8}, reach: goal{ratio: 15}, limit: limit{job: bareJob},
		}, "bolt")
		t.add(line{row: "P4", what: "  CPU for each event", of: key, figure: metric("fanout.cpu_per_event_ns"), show: nanos, less: true, limit: limit{job: bareJob}}, "bolt")
	}
	for _, n := range []int{10_000, 100_000} {
		key := fmt.Sprintf("p4-%d", n)
		t.add(line{
			row: "P5", what: fmt.Sprintf("put p50, %s watchers / none", figure.Count(int64(n))), of: key,
			figure: over("put.p50_ns", "alone.put.p50_ns"), show: times, less: true, must: goal{at: 3}, reach: goal{at: 1.1}, limit: limit{job: bareJob},
		}, "bolt")
		t.add(line{row: "P5", what: "  put p50 with them", of: key, figure: metric("put.p50_ns"), show: nanos, less: true, limit: limit{job: bareJob}}, "bolt")
	}
}

func (t *builder) notify() {
	live := func(shape bench.Shape, watchers, streams int) bench.Scenario {
		return bench.Scenario{
			Name: bench.Notify, Shape: shape, Watchers: watchers, Streams: streams, Keys: 10_000, ValueBytes: valueBytes,
			Warmup: time.Second, Duration: t.sizes.load,
		}
	}
	p6, p7 := live(bench.Prefix, 10, 1), live(bench.OneKey, 10_000, 100)
	p6.RatePerS, p6.Writers, p7.RatePerS, p7.Writers = 10_000, 64, 10_000, 64
	t.measurements["p6"] = &measurement{scenario: p6, engines: []string{"bolt"}, limits: []string{bareJob}}
	t.measurements["p7"] = &measurement{scenario: p7, engines: []string{"bolt"}, limits: []string{bareJob}}
	bare := limit{job: bareJob}
	t.add(line{row: "P6", what: "10 watchers of a prefix, 1 stream, 10k puts/s: notify p99", of: "p6", figure: metric("notify.p99_ns"), show: nanos, less: true, must: goal{ratio: 30}, reach: goal{ratio: 100}, limit: bare}, "bolt")
	t.add(line{row: "P6", what: "  notify p50", of: "p6", figure: metric("notify.p50_ns"), show: nanos, less: true, limit: bare}, "bolt")
	t.add(line{row: "P6", what: "  victims", of: "p6", figure: metric("victims"), show: counted, less: true, must: goal{at: 0, zero: true}, ownOnly: true}, "bolt")
	t.add(line{row: "P7", what: "10,000 watchers of a key, 10k puts/s: notify p50", of: "p7", figure: metric("notify.p50_ns"), show: nanos, less: true, must: goal{ratio: 1}, reach: goal{ratio: 4}, limit: bare}, "bolt")
	t.add(line{row: "P7", what: "  notify p99", of: "p7", figure: metric("notify.p99_ns"), show: nanos, less: true, must: goal{ratio: 2}, reach: goal{ratio: 4}, limit: bare}, "bolt")
	for _, n := range []int{1000, 100_000} {
		key := fmt.Sprintf("p8-%d", n)
		sc := live(bench.OneKey, n, max(10, n/1000))
		sc.FullSpeed, sc.Writers, sc.Keys, sc.Duration = true, 1, n, t.sizes.load/2
		t.measurements[key] = &measurement{scenario: sc, engines: []string{"bolt"}, limits: []string{bareJob}}
		t.add(line{row: "P8", what: fmt.Sprintf("1 writer at full speed, %s watchers of a key: puts", figure.Count(int64(n))), of: key, figure: metric("put.rate_per_s"), show: rate, must: goal{ratio: 1.5}, reach: goal{ratio: 3}, limit: bare}, "bolt")
		t.add(line{row: "P8", what: "  put p99", of: key, figure: metric("put.p99_ns"), show: nanos, less: true, limit: bare}, "bolt")
	}
}

func (t *builder) idle() {
	for _, c := range []struct {
		key, what            string
		shape                bench.Shape
		heap, register       float64
		fewHeap, fewRegister float64
	}{
		{"p9-key", "one key each", bench.OneKey, 180, 1000, 70, 1000},
		{"p9-range", "one range each", bench.Ranges, 250, 6000, 110, 6000},
	} {
		keys := t.sizes.idle
		t.measurements[c.key] = &measurement{
			scenario: bench.Scenario{Name: bench.Register, Shape: c.shape, Watchers: t.sizes.idle, Streams: t.sizes.idle / 1000, Keys: keys, ValueBytes: valueBytes},
			engines:  []string{"bolt"}, limits: []string{"structs"},
		}
		t.add(line{
			row: "P9", what: fmt.Sprintf("%s idle watchers, %s: heap each", figure.Count(int64(t.sizes.idle)), c.what), of: c.key,
			figure: metric("register.heap_per_watcher_bytes"), show: few, less: true, must: goal{at: c.heap}, reach: goal{at: c.fewHeap}, limit: limit{job: "structs", name: "bytes"},
		}, "bolt")
		t.add(line{row: "P9", what: "  to register one", of: c.key, figure: metric("register.watch_ns"), show: nanos, less: true, must: goal{at: c.register}}, "bolt")
	}
}

func (t *builder) interference() {
	for _, c := range []struct {
		key, what string
		shape     bench.Shape
	}{{"p10-whole", "the whole keyspace", bench.Prefix}, {"p10-key", "one key each", bench.OneKey}} {
		t.measurements[c.key] = &measurement{
			scenario: bench.Scenario{
				Name: bench.Interference, Shape: c.shape, Watchers: 1000, Streams: 50, RatePerS: 1000, Writers: 64, Keys: 10_000, ValueBytes: valueBytes,
				History: t.sizes.long, Warmup: time.Second, Duration: 2 * t.sizes.replay, Bystanders: 100,
			},
			engines: []string{"bolt"}, prepared: true, copied: true, once: true,
		}
		ms := float64(time.Millisecond)
		t.add(line{row: "P10", what: "1,000 replay " + c.what + ": put, notify p99", of: c.key, figure: worst("put.p99_ns", "notify.p99_ns"), show: nanos, less: true, must: goal{at: 10 * ms}}, "bolt")
		t.add(line{row: "P10", what: "  p99.9", of: c.key, figure: worst("put.p999_ns", "notify.p999_ns"), show: nanos, less: true, must: goal{at: 20 * ms}}, "bolt")
		t.add(line{row: "P10", what: "  the longest", of: c.key, figure: worst("put.max_ns", "notify.max_ns"), show: nanos, less: true, must: goal{at: 250 * ms}}, "bolt")
		t.add(line{row: "P10", what: "  p99 against quiet: put", of: c.key, figure: over("put.p99_ns", "quiet.put.p99_ns"), show: times, less: true, reach: goal{at: 3}}, "bolt")
		t.add(line{row: "P10", what: "  p99 against quiet: notify", of: c.key, figure: over("notify.p99_ns", "quiet.notify.p99_ns"), show: times, less: true, reach: goal{at: 3}}, "bolt")
		t.add(line{row: "P10", what: "  replayed meanwhile", of: c.key, figure: metric("replay.events_per_s"), show: rate}, "bolt")
	}
}

func (t *builder) slow() {
	const streams = 10
	t.measurements["p11"] = &measurement{
		scenario: bench.Scenario{
			Name: bench.Slow, Shape: bench.OneKey, Watchers: 5000, Streams: streams, RatePerS: 5000, Writers: 64, Keys: 5000, ValueBytes: valueBytes,
			Warmup: time.Second, Duration: t.sizes.stall * 8 / 5, StalledStreams: 1, Stall: t.sizes.stall,
		},
		engines: []string{"bolt"},
	}
	t.add(line{row: "P11", what: "1 stream of 10 stalls: healthy p99 / nobody stalls", of: "p11", figure: over("notify.p99_ns", "before.notify.p99_ns"), show: times, less: true, must: goal{at: 1.2}}, "bolt")
	t.add(line{row: "P11", what: "  healthy p99", of: "p11", figure: metric("notify.p99_ns"), show: nanos, less: true}, "bolt")
	t.add(line{row: "P11", what: "  recovery", of: "p11", figure: metric("slow.recovery_ns"), show: nanos, less: true, must: goal{ratio: 1}}, "bolt")
	t.add(line{row: "P11", what: "  pinned in outboxes: bounded", of: "p11", figure: metric("pinned_bytes"), show: size, less: true, must: goal{at: streams << 20}, ownOnly: true}, "bolt")
}

func (t *builder) commit() {
	puts := func(writers int) bench.Scenario {
		return bench.Scenario{
			Name: bench.Notify, Shape: bench.OneKey, FullSpeed: true, Writers: writers, Keys: 10_000, ValueBytes: valueBytes,
			Warmup: time.Second, Duration: t.sizes.load / 2,
		}
	}
	t.measurements["p12"] = &measurement{scenario: puts(64), sync: true, engines: []string{"bolt", "pebble", "badger"}, limits: []string{"group commit"}}
	t.measurements["p13"] = &measurement{scenario: puts(1), engines: []string{"bolt", "mem", "pebble"}, limits: []string{"apply"}}
	t.add(line{row: "P12", what: "durable puts, 64 writers", of: "p12", figure: metric("put.rate_per_s"), show: rate, must: goal{share: 0.6}, reach: goal{share: 0.8}, limit: limit{job: "group commit", name: "records_per_s"}}, "bolt", "pebble", "badger")
	for _, e := range []string{"bolt", "mem", "pebble"} {
		l := line{row: "P13", what: "relaxed puts, 1 writer, no watcher", of: "p13", figure: metric("put.rate_per_s"), show: rate, must: goal{ratio: 1.5}, reach: goal{ratio: 3}, limit: limit{job: "apply", name: "records_per_s"}}
		if e == "bolt" {
			l.must.ratio = 1
		}
		t.add(l, e)
	}
}

func (t *builder) open() {
	for _, c := range []struct {
		keys        int
		must, reach float64
	}{{100_000, 5, 8}, {1_000_000, 3, 5}} {
		keys := int(int64(c.keys) * t.sizes.long / fullSizes.long)
		key := fmt.Sprintf("p14-%d", c.keys)
		t.measurements[key] = &measurement{
			scenario: bench.Scenario{Name: bench.Reopen, Shape: bench.OneKey, Keys: keys, ValueBytes: valueBytes, History: t.sizes.long, Opens: 1},
			engines:  []string{"bolt", "pebble"}, prepared: true, limits: []string{"scan"},
		}
		t.add(line{
			row: "P14", what: fmt.Sprintf("open %s revisions, %s keys", figure.Count(t.sizes.long), figure.Count(int64(keys))), of: key,
			figure: metric("open.median_ns"), show: nanos, less: true, must: goal{ratio: c.must}, reach: goal{ratio: c.reach},
			limit: limit{job: "scan", name: "entries_per_s", per: float64(t.sizes.long)},
		}, "bolt", "pebble")
	}
}
