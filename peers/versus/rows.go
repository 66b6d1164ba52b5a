package versus

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/wire"
)

// measurement is one scenario that one or more lines are read from.
type measurement struct {
	scenario  bench.Scenario
	sync      bool     // durability of both sides
	engines   []string // the first takes turns with etcd, the others run beside
	prepared  bool     // the history is written once and read by every run
	copied    bool     // and copied for each, because a run adds to it
	unread    bool     // also measured with events handed over and not read
	unchecked int      // runs of each pair's sides without the checker
	everyone  bool     // those of all engines, because a line is read from them
	limits    []string // jobs of what a figure can be at most, once each
	// wire measures servers instead of a scenario.
	wire func(ctx context.Context, s *wire.Server) (map[string]float64, error)
}

// mode is who looks at the events of a run.
type mode string

const (
	checked   mode = ""
	unchecked mode = "without the checker"
	unread    mode = "handed over, not read"
)

// line is one line of the table: a figure of one measurement on one engine.
type line struct {
	row    string
	what   string
	of     string // key of the measurement
	engine string
	mode   mode
	figure func(m map[string]float64) (float64, bool)
	show   func(v float64) string
	less   bool // is better
	must   goal
	reach  goal
	limit  limit
	alone  bool // etcd has no such figure
}

// limit is the physical limit of a figure: what of which job.
type limit struct {
	job  string  // of measurement.limits; empty: none
	name string  // of a raw figure; empty: the line's own figure, on bare
	over float64 // not 0: the figure is the time that so many take at the raw rate
}

// bareJob runs the same scenario with nothing behind the harness.
const bareJob = "bare"

// sizes of everything that --quick makes smaller.
type sizes struct {
	long     int64         // where the contract says 1M revisions
	load     time.Duration // of notifying
	fan      int64         // events of a fan-out
	longFan  int64         // puts of one to 100,000 watchers, at least
	replay   time.Duration
	quiet    time.Duration // before it
	stall    time.Duration
	watchers int // idle, where the contract says 1M
	keys     int // where the contract says 1M
	wire     wireSizes
}

var (
	fullSizes = sizes{
		long: 1_000_000, load: 8 * time.Second, fan: 8_000_000, longFan: 150,
		replay: 30 * time.Second, quiet: 10 * time.Second, stall: 10 * time.Second, watchers: 1_000_000, keys: 1_000_000,
		wire: wireSizes{load: 5 * time.Second, history: 100_000, streams: 100, settle: 3 * time.Second},
	}
	quickSizes = sizes{
		long: 200_000, load: 3 * time.Second, fan: 4_000_000, longFan: 50,
		replay: 6 * time.Second, quiet: 3 * time.Second, stall: 3 * time.Second, watchers: 200_000, keys: 200_000,
		wire: wireSizes{load: 2 * time.Second, history: 20_000, streams: 40, settle: 2 * time.Second},
	}
	// tinySizes are for tests.
	tinySizes = sizes{
		long: 2000, load: 400 * time.Millisecond, fan: 20_000, longFan: 1,
		replay: 300 * time.Millisecond, quiet: 200 * time.Millisecond, stall: 300 * time.Millisecond, watchers: 2000, keys: 2000,
		wire: wireSizes{load: 100 * time.Millisecond, history: 200, streams: 4, settle: 10 * time.Millisecond},
	}
)

const (
	valueBytes = 256
	someKeys   = 10_000
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
func times(v float64) string   { return ratioText(v) + "x" }
func counted(v float64) string { return figure.Count(int64(v)) }

// table is the whole contract: measurements by key, and the lines in order.
func table(z sizes) (map[string]*measurement, []line) {
	t := &builder{sizes: z, measurements: map[string]*measurement{}}
	t.catchUp()
	t.cohorts()
	t.fanOut()
	t.notify()
	t.fullSpeed()
	t.idle()
	t.interference()
	t.slow()
	t.commit()
	t.open()
	t.wirePuts()
	t.wireWatches()
	return t.measurements, t.lines
}

type builder struct {
	sizes        sizes
	measurements map[string]*measurement
	lines        []line
}

// add adds a line for each engine.
func (t *builder) add(l line, engines ...string) {
	for _, e := range engines {
		l.engine = e
		t.lines = append(t.lines, l)
	}
}

// everywhere is "on every engine"; the first is the one that is paired.
var everywhere = []string{"bolt", "mem", "pebble", "badger"}

const paired = "bolt"
