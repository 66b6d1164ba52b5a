package bench

import "time"

// scenarioKind is what tells one scenario from another while planning.
type scenarioKind struct {
	brief  string // what it models, for people
	about  string // the same at length
	length string // how long it takes when not asked, for people
	shapes func(asked Shape) []Shape
	fill   func(sc *Scenario, s Settings, short bool)
}

var scenarioKinds = map[string]scenarioKind{
	Notify: {
		brief:  "how late an event is: one key, one prefix, ranges",
		about:  "Puts are due by the clock, watchers wait for them: how long after a put was due does each that watches it have the event? In three shapes: a key for each watcher, one prefix for all, a range for each.",
		length: "10 s a shape",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, OneKey, Prefix, Ranges) },
		fill: func(sc *Scenario, s Settings, _ bool) {
			s.spread(sc)
			s.live(sc)
		},
	},
	CatchUp: {
		brief:  "thousands behind at once read history",
		about:  "A history is written and the store opened again, so that nothing of it is in memory. Then all watchers ask for all of it at once, as after a restart. Measured until every one is synced.",
		length: "until synced",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, Prefix, OneKey) },
		fill: func(sc *Scenario, s Settings, short bool) {
			s.replayed(sc, short)
			sc.RatePerS, sc.FullSpeed, sc.Writers, sc.Warmup, sc.Duration = 0, false, 0, 0, 0
		},
	},
	Slow: {
		brief:  "some consumers stall, then come back",
		about:  "A tenth of the streams stops reading in the middle third, as a client does whose network or processor is gone. What becomes of them, what do the healthy notice, and how soon are all synced again?",
		length: "30 s",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, OneKey)[:1] },
		fill: func(sc *Scenario, s Settings, short bool) {
			s.spread(sc)
			if s.Streams == 0 {
				sc.Streams = min(sc.Streams, max(2, sc.Watchers/slowWatchesPerStream)) // 2: one stays healthy
			}
			s.live(sc)
			s.long(sc, short)
			sc.StalledStreams = max(1, sc.Streams/10)
			sc.Stall = sc.Duration / 3
		},
	},
	Interference: {
		brief:  "puts and notifications while others catch up",
		about:  "Puts and 100 synced watchers, first alone, then beside watchers that read a whole history again and again. The difference is the price that others pay for catch-up.",
		length: "30 s",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, Prefix)[:1] },
		fill: func(sc *Scenario, s Settings, short bool) {
			s.replayed(sc, short)
			s.long(sc, short)
			sc.Bystanders = min(bystanders, sc.Keys)
		},
	},
	Storm: {
		brief:  "everybody reconnects at once from an old revision",
		about:  "A proxy, a network or a server comes back: every client has lost its connection, all return in the same moment with streams and watches of their own, and each goes on from a revision long past. The puts do not wait. Bystanders kept their connection: what they notice is the price that others pay.",
		length: "10 s + until synced",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, Ranges)[:1] },
		fill: func(sc *Scenario, s Settings, _ bool) {
			sc.History = either(s.History, defaultHistory)
			sc.Streams = min(either(s.Streams, stormStreams), sc.Watchers)
			s.live(sc)
			if s.Keys == 0 { // the history is of more than what is watched
				sc.Keys = max(sc.Keys, defaultKeys)
			}
			sc.Bystanders = min(bystanders, sc.Keys)
		},
	},
	Churn: {
		brief:  "watches created and cancelled all the time",
		about:  "Clients that come and go: controllers that restart, commands that wait for one object. Watches are created by the clock, and the oldest cancelled, while others only want to hear what is put. Nothing may come after Canceled.",
		length: "30 s",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, OneKey)[:1] },
		fill: func(sc *Scenario, s Settings, short bool) {
			s.spread(sc)
			s.live(sc)
			s.long(sc, short)
			sc.ChurnPerS = churnPerS
			// All of them are there after a quarter of the time in which they come.
			sc.Visitors = max(1, min(visitors, int(churnPerS*sc.Duration.Seconds()/8)))
		},
	},
	Mixed: {
		brief:  "keys, sizes and mix of a Kubernetes control plane",
		about:  "The store of a Kubernetes control plane: its keys, the sizes of its objects, node heartbeats, pods that begin and end, events with short lives, gets and pages of lists, while API servers watch every resource as a whole. The mix is that of 5,000 nodes; each number has its public source in bench/controlplane.go and docs/watchbench.md.",
		length: "60 s",
		shapes: func(Shape) []Shape { return []Shape{Prefix} },
		fill: func(sc *Scenario, s Settings, _ bool) {
			sc.Watchers = either(s.Watchers, apiServers*int(resources))
			sc.Streams = min(either(s.Streams, apiServers), sc.Watchers)
			sc.Duration = either(s.Duration, defaultMixedDuration)
			if s.Rate == 0 && !s.FullSpeed {
				sc.RatePerS = mixedWrites()
			}
			sc.Keys = objectsOf(sc.Keys)
			sc.History, sc.ValueBytes = int64(sc.Keys), podBytes
		},
	},
	Compaction: {
		brief:  "history is cut under the watchers (needs --allow-compaction)",
		about:  "What an API server does every five minutes: history is cut up to where the store was one interval ago. Who keeps up should notice nothing. Who is so far behind that its next event is gone must be told once from where to begin again, and never be moved past the gap in silence.",
		length: "30 s",
		shapes: func(asked Shape) []Shape { return shapesOr(asked, OneKey)[:1] },
		fill: func(sc *Scenario, s Settings, short bool) {
			sc.History = either(s.History, defaultHistory)
			s.spread(sc)
			s.live(sc)
			s.long(sc, short)
			sc.Behind, sc.Cuts = behindWatchers, cutsInAll
		},
	},
}

// Watchers of mixed: apiServers watch every resource once.
const apiServers = 3

// defaultMixedDuration is long enough for what happens seldom.
const defaultMixedDuration = time.Minute

// Watches that come and go in churn.
const (
	churnPerS = 1000
	visitors  = 1000
)

// Watchers that are behind in compaction, and how often it cuts. They are few
// enough for etcd, which tells 512 or more of one compaction again and again.
const (
	behindWatchers = 100
	cutsInAll      = 5
)

// stormStreams is one for each client that comes back.
const stormStreams = 500

// slowWatchesPerStream gives the streams of slow more watches than an outbox
// holds hand-overs: queued events of one watch are one hand-over, so an outbox
// with room for every watch of its stream would not fill while it stalls.
const slowWatchesPerStream = 250

// ScenarioNames lists the scenarios in the order a run takes them.
func ScenarioNames() []string {
	return []string{Notify, CatchUp, Slow, Interference, Storm, Churn, Compaction, Mixed}
}

// shortForm is what a run does when it is not told what to do.
func shortForm() []string { return []string{Notify, CatchUp, Slow, Interference} }

// DescribeScenario says in words what a scenario models and how long it
// takes; both are empty for an unknown name.
func DescribeScenario(name string) (brief, length string) {
	k := scenarioKinds[name]
	return k.brief, k.length
}

// ExplainScenario says at length what a scenario models; empty for an unknown
// name.
func ExplainScenario(name string) string { return scenarioKinds[name].about }

// shapesOr is the shape asked for, or the scenario's own.
func shapesOr(asked Shape, own ...Shape) []Shape {
	if asked == "" || asked == All {
		return own
	}
	return []Shape{asked}
}

// replayed fits a scenario whose watchers read a history written before.
func (s Settings) replayed(sc *Scenario, short bool) {
	sc.Watchers = either(s.Watchers, defaultReplayers)
	sc.History = either(s.History, defaultHistory)
	if short {
		sc.History = either(s.History, shortHistory)
	}
	if sc.Shape == Ranges && s.Keys == 0 {
		sc.Keys = max(sc.Keys, 2*sc.Watchers)
	}
	s.spread(sc)
}

// long fits a scenario whose duration has several parts.
func (s Settings) long(sc *Scenario, short bool) {
	sc.Duration = either(s.Duration, defaultLongDuration)
	if short {
		sc.Duration = shortLongDuration
	}
}
