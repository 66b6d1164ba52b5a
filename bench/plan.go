package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// Names of the scenarios.
const (
	Notify       = "notify"
	CatchUp      = "catchup"
	Slow         = "slow"
	Interference = "interference"
	Storm        = "storm"
	Churn        = "churn"
	Compaction   = "compaction"
	Mixed        = "mixed"
	// Replay is the scenario of a history that came from elsewhere; it is
	// asked for by giving the history, not by name.
	Replay = "replay"

	// The scenarios below are not asked for by name either: a Plan that names
	// them is made by hand.

	// FanOut puts at full speed without a watcher for Duration, then Puts
	// times with all of Watchers, until the last of them has the last event.
	FanOut = "fanout"
	// Register begins Watchers that nobody writes to.
	Register = "register"
	// Reopen opens a store of History revisions again and again, Opens times.
	Reopen = "reopen"
)

// Shape says what the watchers of a scenario watch.
type Shape string

// The shapes. In catchup and interference Prefix is the whole keyspace.
const (
	OneKey Shape = "one-key" // watcher i: key i
	Prefix Shape = "prefix"  // all watchers: one shared prefix
	Ranges Shape = "ranges"  // watcher i: its own range of several keys
	All    Shape = "all"     // every shape the scenario knows, one after another
)

// Plan is what a run does: complete, every default filled in. The workload
// follows from it alone, its seed included.
type Plan struct {
	Seed      uint64     `json:"seed"`
	Count     int        `json:"count"` // repetitions of all scenarios
	Short     bool       `json:"short_form,omitempty"`
	Scenarios []Scenario `json:"scenarios"`
}

// Scenario is one part of a Plan. Fields that a scenario has no use for are
// zero.
type Scenario struct {
	Name     string `json:"name"`
	Shape    Shape  `json:"shape,omitempty"`
	Watchers int    `json:"watchers"`
	Streams  int    `json:"streams"`
	// RatePerS is the open loop's intended puts per second; with FullSpeed it
	// is 0 and each of Writers puts again as soon as it was answered.
	RatePerS  float64 `json:"rate_per_s,omitempty"`
	FullSpeed bool    `json:"full_speed,omitempty"`
	Writers   int     `json:"writers,omitempty"`
	Keys      int     `json:"keys"`
	// ValueBytes is the size of every value.
	ValueBytes int `json:"value_bytes"`
	// History is written before the measurement and not counted.
	History int64 `json:"history_revisions,omitempty"`
	// Warmup comes before Duration and is not measured.
	Warmup   time.Duration `json:"warmup_ns,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Puts of fanout, with all watchers.
	Puts int64 `json:"puts,omitempty"`
	// Opens of reopen.
	Opens int `json:"opens,omitempty"`
	// StalledStreams of slow stop reading for Stall, after a third of Duration.
	StalledStreams int           `json:"stalled_streams,omitempty"`
	Stall          time.Duration `json:"stall_ns,omitempty"`
	// Bystanders of interference and storm are synced all the time and share
	// the keys, a range each. The Watchers of interference replay the history
	// in the second half of Duration; those of storm come back after its first
	// half, History revisions behind, and the second begins when all are
	// synced.
	Bystanders int `json:"bystander_watchers,omitempty"`
	// Quiet of interference and churn is the part of Duration before anybody
	// replays or comes; 0 is half of it.
	Quiet time.Duration `json:"quiet_ns,omitempty"`
	// Visitors of churn are watches that stay for a while only; ChurnPerS of
	// them begin a second, and as many end.
	Visitors  int     `json:"visiting_watchers,omitempty"`
	ChurnPerS float64 `json:"churn_per_s,omitempty"`
	// Behind watchers of compaction have not read the History when it is cut.
	// In the middle third of Duration it is cut Cuts times.
	Behind int `json:"behind_watchers,omitempty"`
	Cuts   int `json:"cuts,omitempty"`
	// Idle watchers of notify and slow stand beside the measured ones, on
	// streams of their own, and watch keys that nobody writes.
	Idle int `json:"idle_watchers,omitempty"`
	// Parts is how many ranges the keys are cut into in shape ranges, of which
	// watcher i watches the i-th; 0 is one for each watcher.
	Parts int `json:"parts,omitempty"`
}

// Title is the scenario's name, with its shape where the scenario has several.
func (s Scenario) Title() string {
	kind, known := scenarioKinds[s.Name]
	switch {
	case s.Shape == "", known && len(kind.shapes(All)) == 1 && kind.shapes(All)[0] == s.Shape:
		return s.Name
	case s.Shape == Prefix && (s.Name == CatchUp || s.Name == Interference):
		return s.Name + "/whole"
	}
	return s.Name + "/" + string(s.Shape)
}

// Settings is what a user asks for. Zero and nil stand for the default.
type Settings struct {
	Scenarios  []string // nil is the short form's four, in short form unless Duration is set
	Short      bool     // times of the short form for Scenarios too, unless Duration is set
	Shape      Shape
	Watchers   int
	Streams    int
	Rate       float64 // intended puts per second
	FullSpeed  bool    // instead of Rate
	Writers    int
	Keys       int
	ValueBytes *int
	History    int64
	Duration   time.Duration
	Warmup     *time.Duration
	Seed       uint64
	Count      int
	Own        Own
}

// SettingError says which setting cannot be and what is allowed. Setting is
// the name of the command line's flag without its dashes.
type SettingError struct {
	Setting, Given, Problem string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Setting, e.Given, e.Problem)
}

const (
	defaultWatchers     = 5000
	defaultReplayers    = 1000 // watchers of catchup and interference
	defaultStreams      = 50
	defaultRate         = 2000
	defaultWriters      = 64
	defaultKeys         = 10_000
	defaultValueBytes   = 256
	defaultHistory      = 100_000
	defaultWarmup       = 2 * time.Second
	defaultDuration     = 10 * time.Second
	defaultLongDuration = 30 * time.Second // of slow and interference

	shortHistory      = 20_000
	shortWarmup       = time.Second
	shortDuration     = 4 * time.Second
	shortLongDuration = 12 * time.Second

	// sharedEventsPerS is what a shared prefix delivers unless a rate is
	// asked for: the rate of puts is lowered until all its watchers together
	// get no more than this.
	sharedEventsPerS = 1_000_000

	bystanders = 100
)

// Plan fills in every default. A setting that cannot be is a *SettingError.
func (s Settings) Plan() (Plan, error) {
	p, err := s.fill()
	if err != nil {
		return Plan{}, err
	}
	return p, s.useless(p)
}

// fill is Plan with settings that no scenario has a use for.
func (s Settings) fill() (Plan, error) {
	if err := s.validate(); err != nil {
		return Plan{}, err
	}
	p := Plan{Seed: s.Seed, Count: max(1, s.Count), Short: (s.Short || len(s.Scenarios) == 0) && s.Duration == 0}
	names := s.Scenarios
	if len(names) == 0 {
		names = shortForm()
	}
	for _, name := range names {
		kind, ok := scenarioKinds[name]
		if !ok {
			return Plan{}, &SettingError{"scenario", fmt.Sprintf("%q", name), "unknown"}
		}
		for _, shape := range kind.shapes(s.Shape) {
			sc := s.base(name, shape, p.Short)
			kind.fill(&sc, s, p.Short)
			if err := s.Own.apply(&sc); err != nil {
				return Plan{}, err
			}
			if err := s.fits(sc); err != nil {
				return Plan{}, err
			}
			p.Scenarios = append(p.Scenarios, sc)
		}
	}
	return p, nil
}

// PlanAll is the plan of several settings one after another, each of them
// changed by override, which stands for what was said last and for all: flags
// over a file. Seed and Count are those of override. A setting that override
// makes and none of the scenarios has a use for is refused. Override must do
// the same whatever it is given.
func PlanAll(parts []Settings, override func(*Settings)) (Plan, error) {
	var over Settings
	override(&over)
	all := Plan{Seed: over.Seed, Count: max(1, over.Count)}
	for _, part := range parts {
		override(&part)
		p, err := part.fill()
		if err != nil {
			return Plan{}, err
		}
		all.Scenarios = append(all.Scenarios, p.Scenarios...)
		for _, name := range part.Scenarios {
			if !slices.Contains(over.Scenarios, name) {
				over.Scenarios = append(over.Scenarios, name)
			}
		}
	}
	return all, over.useless(all)
}

// useless refuses a setting that none of the scenarios has a use for: leaving
// it unsaid would let people believe that it did something.
func (s Settings) useless(p Plan) error {
	var timed, filled, chosen bool // chosen: keys, sizes and shapes are the user's
	for _, sc := range p.Scenarios {
		timed, filled = timed || sc.Duration > 0, filled || sc.History > 0 && sc.Name != Mixed
		chosen = chosen || sc.Name != Mixed
	}
	name := strings.Join(s.Scenarios, ", ")
	switch {
	case !timed && s.Duration != 0:
		return &SettingError{"duration", s.Duration.String(), name + " takes until all are synced; leave it out"}
	case !timed && s.Warmup != nil:
		return &SettingError{"warmup", s.Warmup.String(), name + " has no warm-up; leave it out"}
	case !timed && (s.Rate != 0 || s.FullSpeed):
		return &SettingError{"rate", rateName(s), name + " puts nothing while it measures; leave it out"}
	case !timed && s.Writers != 0:
		return &SettingError{"writers", figure.Count(int64(s.Writers)), name + " puts nothing while it measures; leave it out"}
	case !chosen && s.ValueBytes != nil:
		return &SettingError{"value-size", figure.ShortBytes(int64(*s.ValueBytes)), "mixed has the sizes of a control plane's objects; leave it out"}
	case !chosen && s.History != 0:
		return &SettingError{"history", figure.Count(s.History), "mixed begins with its objects, as many as --keys; leave it out"}
	case !chosen && s.Shape != "" && s.Shape != Prefix && s.Shape != All:
		return &SettingError{"shape", string(s.Shape), "mixed watches whole resources; leave it out"}
	case !filled && s.History != 0:
		return &SettingError{"history", figure.Count(s.History), "no history is read in " + name + "; leave it out"}
	}
	return nil
}

func rateName(s Settings) string {
	if s.FullSpeed {
		return "max"
	}
	return figure.Rate(s.Rate)
}

// base fills in what all scenarios share.
func (s Settings) base(name string, shape Shape, short bool) Scenario {
	sc := Scenario{
		Name: name, Shape: shape,
		Watchers: either(s.Watchers, defaultWatchers), Keys: either(s.Keys, defaultKeys),
		Writers: either(s.Writers, defaultWriters), FullSpeed: s.FullSpeed,
		ValueBytes: defaultValueBytes, Warmup: defaultWarmup, Duration: either(s.Duration, defaultDuration),
	}
	if short {
		sc.Warmup, sc.Duration = shortWarmup, shortDuration
	}
	if s.ValueBytes != nil {
		sc.ValueBytes = *s.ValueBytes
	}
	if s.Warmup != nil {
		sc.Warmup = *s.Warmup
	}
	if !s.FullSpeed {
		sc.RatePerS = either(s.Rate, defaultRate)
	}
	return sc
}

// spread gives the scenario its streams, once its watchers are known.
func (s Settings) spread(sc *Scenario) {
	sc.Streams = min(either(s.Streams, defaultStreams), sc.Watchers)
}

// live fits keys and rate to the shape of watchers that hear of every put.
func (s Settings) live(sc *Scenario) {
	switch sc.Shape {
	case OneKey:
		// Puts of keys that nobody watches would say nothing about watching.
		sc.Keys = min(sc.Keys, sc.Watchers)
	case Ranges:
		if s.Keys == 0 {
			sc.Keys = max(sc.Keys, 2*sc.Watchers)
		}
	case Prefix:
		if s.Rate == 0 && !s.FullSpeed {
			sc.RatePerS = min(sc.RatePerS, max(1, sharedEventsPerS/float64(sc.Watchers)))
		}
	}
}

func (s Settings) validate() error {
	for _, c := range []struct {
		setting  string
		given    int64
		low, top int64
	}{
		{"watchers", int64(s.Watchers), 1, 10_000_000},
		{"streams", int64(s.Streams), 1, 1_000_000},
		{"writers", int64(s.Writers), 1, 100_000},
		{"keys", int64(s.Keys), 1, 100_000_000},
		{"history", s.History, 1, 1_000_000_000},
		{"count", int64(s.Count), 1, 1000},
	} {
		if c.given != 0 && (c.given < c.low || c.given > c.top) {
			return &SettingError{c.setting, figure.Count(c.given), fmt.Sprintf("from %s to %s is possible", figure.Count(c.low), figure.Count(c.top))}
		}
	}
	switch {
	case s.Rate < 0 || s.Rate > 10e6:
		return &SettingError{"rate", figure.Rate(s.Rate), "from 1 to 10M puts a second is possible, or max"}
	case s.ValueBytes != nil && (*s.ValueBytes < 0 || *s.ValueBytes > 1<<20):
		return &SettingError{"value-size", figure.ShortBytes(int64(*s.ValueBytes)), "from 0 to 1MiB is possible"}
	case s.Duration != 0 && (s.Duration < 100*time.Millisecond || s.Duration > 24*time.Hour):
		return &SettingError{"duration", s.Duration.String(), "from 100ms to 24h is possible"}
	case s.Warmup != nil && (*s.Warmup < 0 || *s.Warmup > time.Hour):
		return &SettingError{"warmup", s.Warmup.String(), "from 0s to 1h is possible"}
	case s.Shape != "" && s.Shape != OneKey && s.Shape != Prefix && s.Shape != Ranges && s.Shape != All:
		return &SettingError{"shape", fmt.Sprintf("%q", s.Shape), "unknown; one of one-key, prefix, ranges, all"}
	}
	return nil
}

// fits checks what depends on more than one setting.
func (s Settings) fits(sc Scenario) error {
	switch {
	case s.Streams > sc.Watchers:
		return &SettingError{"streams", figure.Count(int64(s.Streams)), fmt.Sprintf("more than the %s watchers of %s", figure.Count(int64(sc.Watchers)), sc.Name)}
	case sc.Shape == Ranges && sc.Keys < sc.Watchers:
		return &SettingError{"keys", figure.Count(int64(sc.Keys)), fmt.Sprintf("%s distinct ranges need at least as many keys", figure.Count(int64(sc.Watchers)))}
	case sc.Name == Storm && sc.Duration < 200*time.Millisecond:
		return &SettingError{"duration", sc.Duration.String(), "storm needs at least 200ms: half of it before, half after the storm"}
	case sc.Name == Slow && sc.Duration < 600*time.Millisecond:
		return &SettingError{"duration", sc.Duration.String(), "slow needs at least 600ms: before, during and after the stall"}
	}
	return nil
}

func either[T comparable](given, otherwise T) T {
	var none T
	if given != none {
		return given
	}
	return otherwise
}
