package curves

import (
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
)

// idle: the cost of a put and its event beside watchers it does not concern.
func idle() Curve {
	return Curve{
		Name: "idle", Title: "Full speed, one writer, 1,000 watchers of one key each, beside idle ones",
		X: Axis{Label: "idle watchers", Log: true}, Y: Axis{Label: "puts/s, each with one event delivered"},
		Lines: each([]string{"bolt", "pebble"}, func(string) Line {
			return Line{
				Durability: relaxed(), Xs: steps(10, 1e6),
				Scenario: func(x float64) bench.Scenario {
					sc := live(1000, 100)
					sc.Keys, sc.Idle = 1000, int(x)
					return sc
				},
				Figure: metric("put.rate_per_s", 1),
			}
		}),
	}
}

// concerned: the cost of an event for each watcher it concerns.
func concerned() Curve {
	return Curve{
		Name: "concerned", Title: "Fan-out: watchers on one prefix, writer at full speed",
		X: Axis{Label: "watchers that each event concerns", Log: true}, Y: Axis{Label: "events delivered/s", Log: true},
		Lines: each([]string{"bolt", "pebble"}, func(string) Line {
			return Line{
				Durability: relaxed(), Xs: steps(10, 1e6),
				Scenario: func(x float64) bench.Scenario { return fanOut(int(x), min(int(x), 100)) },
				Figure:   metric("fanout.events_per_s", 1),
			}
		}),
	}
}

// lag: how fast a watcher that is some revisions behind catches up.
func lag() Curve {
	xs := map[string][]float64{"mem": steps(1e3, 1e6), "bolt": steps(1e3, 1e7), "pebble": steps(1e3, 1e7), "badger": steps(1e3, 1e6)}
	c := Curve{
		Name: "lag", Title: "Catch-up of one watcher of every key",
		X: Axis{Label: "revisions behind", Log: true}, Y: Axis{Label: "events delivered/s"},
	}
	for _, name := range engineNames {
		c.Lines = append(c.Lines, Line{
			Name: name, Engine: name, Durability: mvcc.Sync(), Xs: xs[name],
			Scenario: func(x float64) bench.Scenario { return replay(bench.Prefix, 1, int64(x)) },
			Figure:   metric("catchup.events_per_s", 1),
		})
	}
	return c
}

// matched: the cost of catching up follows what it matches.
func matched() Curve {
	return Curve{
		Name: "matched", Title: "Catch-up of one watcher over 1,000,000 revisions, by what it matches",
		X: Axis{Label: "revisions matched", Log: true}, Y: Axis{Label: "ms until synced", Log: true},
		Lines: each(engineNames, func(string) Line {
			return Line{
				Durability: mvcc.Sync(), Xs: steps(100, history),
				Scenario: func(x float64) bench.Scenario {
					sc := replay(bench.Ranges, 1, history)
					sc.Parts = int(history / x)
					return sc
				},
				Figure: metric("catchup.synced_ns", 1e6),
			}
		}),
	}
}

// streams: the same watchers over more and more consumers.
func streams() Curve {
	const watchers = 10_000
	return Curve{
		Name: "streams", Title: "Fan-out to 10,000 watchers of one prefix, by streams",
		X: Axis{Label: "streams", Log: true}, Y: Axis{Label: "events delivered/s"},
		Lines: each([]string{"bolt", "pebble"}, func(string) Line {
			return Line{
				Durability: relaxed(), Xs: steps(1, watchers),
				Scenario: func(x float64) bench.Scenario { return fanOut(watchers, int(x)) },
				Figure:   metric("fanout.events_per_s", 1),
			}
		}),
	}
}

// value: what the size of values costs who catches up.
func value() Curve {
	return Curve{
		Name: "value", Title: "Catch-up of one watcher of every key, by size of value",
		X: Axis{Label: "bytes of a value", Log: true}, Y: Axis{Label: "events delivered/s", Log: true},
		Lines: each(engineNames, func(string) Line {
			return Line{
				Durability: mvcc.Sync(), Xs: []float64{16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10},
				Scenario: func(x float64) bench.Scenario {
					const bytes = 64 << 20 // of history, where that is fewer than 100,000 revisions
					sc := replay(bench.Prefix, 1, min(100_000, bytes/int64(x)))
					sc.ValueBytes = int(x)
					return sc
				},
				Figure: metric("catchup.events_per_s", 1),
			}
		}),
	}
}

// writers: what group commit makes of writers that wait for the disk.
func writers() Curve {
	return Curve{
		Name: "writers", Title: "Durable puts (Sync), by writers",
		X: Axis{Label: "writers", Log: true}, Y: Axis{Label: "puts/s", Log: true},
		Lines: each([]string{"bolt", "pebble", "badger"}, func(string) Line {
			return Line{
				Durability: mvcc.Sync(), Xs: []float64{1, 4, 16, 64, 256, 1024},
				Scenario: func(x float64) bench.Scenario { return durable(int(x)) },
				Figure:   metric("put.rate_per_s", 1),
			}
		}),
	}
}

// procs: what a second core gives, and what more threads than cores take.
func procs() Curve {
	line := func(name string, scenario bench.Scenario, figure func(*bench.Run) (float64, bool)) Line {
		return Line{
			Name: name, Engine: "bolt", Durability: relaxed(), Xs: []float64{1, 2, 4},
			Procs:    func(x float64) int { return int(x) },
			Scenario: func(float64) bench.Scenario { return scenario },
			Figure:   figure,
		}
	}
	return Curve{
		Name: "procs", Title: "By GOMAXPROCS, on bolt",
		X: Axis{Label: "GOMAXPROCS"}, Y: Axis{Label: "a second", Log: true},
		Lines: []Line{
			line("events, fan-out", fanOut(1000, 100), metric("fanout.events_per_s", 1)),
			line("events, catch-up", replay(bench.Prefix, 100, 100_000), metric("catchup.events_per_s", 1)),
			line("puts", live(1, 1), metric("put.rate_per_s", 1)),
		},
	}
}
