package versus

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

const compareUsage = `usage: go run . compare [flags]
  etcd's own store and watchkv in turn, each run in a process of its own

  --scenario, -s notify      notify, catchup, slow, interference; several as a,b
  --shape all                one-key, prefix, ranges, all
  --watchers, -w   --streams   --rate, -r (or max)   --writers   --keys
  --value-size   --history   --duration, -d   --warmup   --seed
                             as watchbench has them: watchbench help run
  --backend, -b bolt         engines of watchkv; several as bolt,pebble
  --durability relaxed       relaxed: on disk within 100 ms, as etcd's store is
                             by itself; sync: on disk before the answer, of
                             etcd's store a commit for each put
  --pairs 5                  pairs of runs
  --longest 20s              a peer run that would take longer is cut
  --out FILE                 the result as JSON
  --dir DIR                  where temporary files go
`

// comparison is what compare was asked for.
type comparison struct {
	plan    bench.Plan
	engines []string
	sync    bool
	pairs   int
	longest time.Duration
	dir     string
	out     string
}

func parseCompare(args []string, errOut io.Writer) (c comparison, err error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { fmt.Fprint(errOut, compareUsage) }
	var s bench.Settings
	s.Scenarios, s.Seed = []string{bench.Notify}, 1
	engines, durability := paired, "relaxed"
	text := func(to *string, names ...string) {
		for _, name := range names {
			flags.StringVar(to, name, *to, "")
		}
	}
	read := func(parse func(string) error, names ...string) {
		for _, name := range names {
			flags.Func(name, "", parse)
		}
	}
	count := func(to *int, names ...string) {
		read(func(text string) error {
			n, err := figure.ParseCount(text)
			*to = int(n)
			return err
		}, names...)
	}
	read(func(text string) error { s.Scenarios = strings.Split(text, ","); return nil }, "scenario", "s")
	read(func(text string) error { s.Shape = bench.Shape(text); return nil }, "shape")
	count(&s.Watchers, "watchers", "w")
	count(&s.Streams, "streams")
	count(&s.Writers, "writers")
	count(&s.Keys, "keys")
	read(func(text string) error {
		if s.FullSpeed = text == "max"; s.FullSpeed {
			return nil
		}
		n, err := figure.ParseCount(text)
		s.Rate = float64(n)
		return err
	}, "rate", "r")
	read(func(text string) (err error) { s.History, err = figure.ParseCount(text); return err }, "history")
	read(func(text string) error {
		n, err := figure.ParseSize(text)
		size := int(n)
		s.ValueBytes = &size
		return err
	}, "value-size")
	read(func(text string) (err error) { s.Duration, err = figure.ParseDuration(text); return err }, "duration", "d")
	read(func(text string) error {
		d, err := figure.ParseDuration(text)
		s.Warmup = &d
		return err
	}, "warmup")
	flags.Uint64Var(&s.Seed, "seed", s.Seed, "")
	text(&engines, "backend", "b")
	text(&durability, "durability")
	flags.IntVar(&c.pairs, "pairs", 5, "")
	flags.DurationVar(&c.longest, "longest", 20*time.Second, "")
	text(&c.out, "out")
	text(&c.dir, "dir")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if len(flags.Args()) > 0 {
		return c, fmt.Errorf("compare: %q is not understood", flags.Arg(0))
	}
	return c, c.fill(s, engines, durability)
}

func (c *comparison) fill(s bench.Settings, engines, durability string) (err error) {
	c.engines = strings.Split(engines, ",")
	for _, e := range c.engines {
		if !slices.Contains(job.EngineNames(), e) {
			return fmt.Errorf("--backend %s: unknown; one of %s", e, strings.Join(job.EngineNames(), ", "))
		}
	}
	switch durability {
	case "sync", "relaxed":
		c.sync = durability == "sync"
	default:
		return fmt.Errorf("--durability %s: sync or relaxed", durability)
	}
	if c.pairs < 1 || c.longest < 0 {
		return errors.New("--pairs is at least 1, --longest at least 0")
	}
	c.plan, err = s.Plan()
	var wrong *bench.SettingError
	if errors.As(err, &wrong) {
		return fmt.Errorf("--%s %s: %s", wrong.Setting, wrong.Given, wrong.Problem)
	}
	return err
}
