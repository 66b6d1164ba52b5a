package versus

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// fanOut is P4 and P5: many watchers of one prefix.
func (t *builder) fanOut() {
	z, bare := t.sizes, limit{job: bareJob}
	counts := []int{1000, 10_000, 100_000}
	for _, n := range counts {
		streams := max(10, n/1000)
		puts := max(z.fan/int64(n), z.longFan)
		key := fmt.Sprintf("p4-%d", n)
		t.measurements[key] = &measurement{
			scenario: bench.Scenario{
				Name: bench.FanOut, Shape: bench.Prefix, Watchers: n, Streams: streams, FullSpeed: true, Writers: 1,
				Keys: someKeys, ValueBytes: valueBytes, Warmup: z.load / 40, Duration: z.load / 8, Puts: puts,
			},
			engines: []string{paired}, limits: []string{bareJob}, unchecked: 1,
		}
		t.add(line{
			row: "P4", what: fmt.Sprintf("fan-out to %s on %d streams, %s puts", figure.Count(int64(n)), streams, figure.Count(puts)), of: key,
			figure: metric("fanout.events_per_s"), show: rate, must: goal{ratio: 8}, reach: goal{ratio: 15}, limit: bare,
		}, paired)
		t.add(line{row: "P4", what: "  processor time for each event", of: key, figure: metric("fanout.cpu_per_event_ns"), show: nanos, less: true, limit: bare}, paired)
	}
	for _, n := range counts[1:] {
		key := fmt.Sprintf("p4-%d", n)
		t.add(line{
			row: "P5", what: fmt.Sprintf("put p50, %s watchers of its prefix / none", figure.Count(int64(n))), of: key,
			figure: over("put.p50_ns", "alone.put.p50_ns"), show: times, less: true, must: goal{at: 3}, reach: goal{at: 1.1}, limit: bare,
		}, paired)
		t.add(line{row: "P5", what: "  put p50 with them", of: key, figure: metric("put.p50_ns"), show: nanos, less: true, limit: bare}, paired)
		t.add(line{row: "P5", what: "  the longest put with them", of: key, figure: metric("put.max_ns"), show: nanos, less: true, limit: bare}, paired)
	}
}

func (t *builder) live(shape bench.Shape, watchers, streams int) bench.Scenario {
	return bench.Scenario{
		Name: bench.Notify, Shape: shape, Watchers: watchers, Streams: streams, Keys: min(someKeys, t.sizes.keys), ValueBytes: valueBytes,
		Warmup: t.sizes.load / 8, Duration: t.sizes.load, RatePerS: 10_000, Writers: 64,
	}
}

// notify is P6 and P7: an open loop.
func (t *builder) notify() {
	bare := limit{job: bareJob}
	t.measurements["p6"] = &measurement{scenario: t.live(bench.Prefix, 10, 1), engines: []string{paired}, limits: []string{bareJob}}
	t.measurements["p7"] = &measurement{scenario: t.live(bench.OneKey, min(someKeys, t.sizes.keys), 100), engines: []string{paired}, limits: []string{bareJob}, unchecked: 1}
	quantile := func(row, what, of string, must, reach goal) {
		t.add(line{
			row: row, what: what, of: map[string]string{"P6": "p6", "P7": "p7"}[row], figure: metric("notify." + of + "_ns"),
			show: nanos, less: true, must: must, reach: reach, limit: bare,
		}, paired)
	}
	quantile("P6", "10 of a prefix, 1 stream, 10k puts/s: notify p99", "p99", goal{ratio: 30}, goal{ratio: 100})
	quantile("P6", "  notify p50", "p50", goal{}, goal{})
	t.add(line{row: "P6", what: "  victims", of: "p6", figure: metric("victims"), show: counted, less: true, must: goal{zero: true}, alone: true}, paired)
	quantile("P7", figure.Count(int64(t.measurements["p7"].scenario.Watchers))+" of a key, 10k puts/s: notify p50", "p50", goal{ratio: 1}, goal{ratio: 4})
	quantile("P7", "  notify p99", "p99", goal{ratio: 2}, goal{ratio: 4})
}

// fullSpeed is P8: one writer, watchers of a key each.
func (t *builder) fullSpeed() {
	bare := limit{job: bareJob}
	for _, n := range []int{1000, min(100_000, t.sizes.watchers)} {
		key := fmt.Sprintf("p8-%d", n)
		sc := t.live(bench.OneKey, n, max(10, n/1000))
		sc.RatePerS, sc.FullSpeed, sc.Writers, sc.Keys, sc.Duration = 0, true, 1, n, t.sizes.load/2
		t.measurements[key] = &measurement{scenario: sc, engines: []string{paired}, limits: []string{bareJob}}
		t.add(line{
			row: "P8", what: fmt.Sprintf("1 writer at full speed, %s of a key: puts", figure.Count(int64(n))), of: key,
			figure: metric("put.rate_per_s"), show: rate, must: goal{ratio: 1.5}, reach: goal{ratio: 3}, limit: bare,
		}, paired)
		t.add(line{row: "P8", what: "  put p99", of: key, figure: metric("put.p99_ns"), show: nanos, less: true, limit: bare}, paired)
		t.add(line{row: "P8", what: "  events", of: key, figure: metric("notify.events_per_s"), show: rate, limit: bare}, paired)
	}
}

// slow is P11: a stream of ten stalls.
func (t *builder) slow() {
	const streams = 10
	t.measurements["p11"] = &measurement{
		scenario: bench.Scenario{
			Name: bench.Slow, Shape: bench.OneKey, Watchers: 5000, Streams: streams, RatePerS: 5000, Writers: 64, Keys: 5000, ValueBytes: valueBytes,
			Warmup: min(time.Second, t.sizes.quiet), Duration: t.sizes.stall * 8 / 5, StalledStreams: 1, Stall: t.sizes.stall,
		},
		engines: []string{paired},
	}
	t.add(line{row: "P11", what: "1 stream of 10 stalls: healthy p99 / before", of: "p11", figure: over("notify.p99_ns", "before.notify.p99_ns"), show: times, less: true, must: goal{at: 1.2}}, paired)
	t.add(line{row: "P11", what: "  healthy p99", of: "p11", figure: metric("notify.p99_ns"), show: nanos, less: true}, paired)
	t.add(line{row: "P11", what: "  recovery", of: "p11", figure: metric("slow.recovery_ns"), show: nanos, less: true, must: goal{ratio: 1}}, paired)
	t.add(line{row: "P11", what: "  waiting in outboxes, at most", of: "p11", figure: metric("pinned_bytes"), show: size, less: true, must: goal{at: streams << 20}, alone: true}, paired)
}
