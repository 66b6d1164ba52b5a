package versus

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/wire"
)

// wireSizes are of the rows that measure servers.
type wireSizes struct {
	load    time.Duration // of puts and events
	history int           // revisions of a catch-up
	streams int           // of idle watches
	settle  time.Duration // before memory is read
}

// wireEngines are those that serve: both take turns with etcd.
var wireEngines = []string{"pebble", "bolt"}

// fanOutRate is puts a second, a thousand events each: what both servers can
// keep up on two processors with the client beside them.
const fanOutRate = 10

// wirePuts is W1: puts over grpc.
func (t *builder) wirePuts() {
	for _, c := range []struct {
		clients     int
		must, reach float64
	}{{64, 1.5, 3}, {1, 1, 3}} {
		key := fmt.Sprintf("w1-%d", c.clients)
		load := t.sizes.wire.load
		t.server(key, bench.Scenario{Writers: c.clients, Duration: load, Warmup: load / 5}, func(ctx context.Context, s *wire.Server) (map[string]float64, error) {
			return s.Puts(ctx, c.clients, load/5, load)
		})
		t.add(line{
			row: "W1", what: fmt.Sprintf("server: durable puts, clients: %d", c.clients), of: key, figure: metric("rate_per_s"), show: rate,
			must: goal{ratio: c.must}, reach: goal{ratio: c.reach},
		}, wireEngines...)
		t.add(line{row: "W1", what: "  p50 of a put", of: key, figure: metric("p50_ns"), show: nanos, less: true}, wireEngines...)
		t.add(line{row: "W1", what: "  p99 of a put", of: key, figure: metric("p99_ns"), show: nanos, less: true}, wireEngines...)
		t.add(line{row: "W1", what: "  server CPU of a put", of: key, figure: metric("cpu_ns"), show: nanos, less: true}, wireEngines...)
	}
}

// wireWatches is W2 to W4: events, history and idle watches over grpc.
func (t *builder) wireWatches() {
	z := t.sizes.wire
	t.server("w2", bench.Scenario{Watchers: 1000, Streams: 100, RatePerS: fanOutRate, Duration: z.load, Warmup: z.load / 5}, func(ctx context.Context, s *wire.Server) (map[string]float64, error) {
		return s.FanOut(ctx, fanOutRate, z.load/5, z.load)
	})
	t.add(line{
		row: "W2", what: "server: CPU of an event, 1,000 watchers, 100 streams", of: "w2", figure: metric("cpu_ns"), show: nanos, less: true,
		must: goal{ratio: 1.7}, reach: goal{ratio: 2.5},
	}, wireEngines...)
	t.add(line{row: "W2", what: "  puts sent 10 ms late or more, of 1", of: "w2", figure: metric("late_ratio"), show: part, less: true}, wireEngines...)
	for _, c := range []struct {
		watches     int
		must, reach float64
	}{{1, 50, 150}, {100, 4, 8}} {
		key := fmt.Sprintf("w3-%d", c.watches)
		t.server(key, bench.Scenario{Watchers: c.watches, Streams: c.watches, History: int64(z.history), Keys: someKeys}, func(ctx context.Context, s *wire.Server) (map[string]float64, error) {
			return s.CatchUp(ctx, c.watches, z.history, someKeys, wireLongest)
		})
		t.add(line{
			row: "W3", what: fmt.Sprintf("server: catch-up, watchers: %d, %s", c.watches, t.revisions(int64(z.history))), of: key,
			figure: metric("events_per_s"), show: rate, must: goal{ratio: c.must}, reach: goal{ratio: c.reach},
		}, wireEngines...)
		t.add(line{row: "W3", what: "  part delivered within " + wireLongest.String(), of: key, figure: metric("done_ratio"), show: part}, wireEngines...)
	}
	for _, c := range []struct {
		streams, each int
		must          float64
	}{{10 * z.streams, 10, 1.5}, {z.streams, 1000, 2}} {
		key := fmt.Sprintf("w4-%d", c.each)
		t.server(key, bench.Scenario{Watchers: c.streams * c.each, Streams: c.streams}, func(ctx context.Context, s *wire.Server) (map[string]float64, error) {
			return s.Idle(ctx, c.streams, c.each, z.settle)
		})
		t.add(line{
			row: "W4", what: fmt.Sprintf("server: memory of a watch, %s a stream", figure.Count(int64(c.each))), of: key,
			figure: metric("bytes_per_watch"), show: few, less: true, must: goal{ratio: c.must}, reach: goal{ratio: 3},
		}, wireEngines...)
	}
}

// wireLongest is the most a catch-up over the wire takes; what was delivered
// by then counts.
const wireLongest = 30 * time.Second

func part(v float64) string { return fmt.Sprintf("%.3g", v) }

// server adds a measurement of servers; the scenario only describes it.
func (t *builder) server(key string, sc bench.Scenario, measure func(context.Context, *wire.Server) (map[string]float64, error)) {
	sc.Name, sc.ValueBytes = key, valueBytes
	t.measurements[key] = &measurement{scenario: sc, sync: true, engines: wireEngines, wire: measure}
}
