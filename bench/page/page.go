package page

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

// Options say what a page cannot know from its results.
type Options struct {
	// File is the name of the page's own file, for the commands on it; empty
	// is report.html.
	File string
}

//go:embed page.tmpl style.css
var files embed.FS

var pageTemplate = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{"breakable": breakable}).ParseFS(files, "page.tmpl"))

// breakable cuts a name where a line may end.
func breakable(name string) []string { return strings.Split(name, "/") }

// ErrNothing: a page needs at least one result.
var ErrNothing = errors.New("page: no result to show")

// Write writes the page. The results are not changed; those of one target are
// taken for repetitions, the first target is the one that others are compared
// with. The error is that of w, or ErrNothing.
func Write(w io.Writer, results []*bench.Result, o Options) error {
	if len(results) == 0 {
		return ErrNothing
	}
	b := newBuilder(results, o)
	v, err := b.view()
	if err != nil {
		return err
	}
	if err := pageTemplate.Execute(w, v); err != nil {
		return fmt.Errorf("page: write: %w", err)
	}
	return nil
}

// builder makes the parts of one page.
type builder struct {
	results  []*bench.Result
	subjects []*subject
	scenes   []*scene
	measures []measure
	names    []string // of the result files
	file     string   // of the page
	runs     int      // with figures
	checked  int64    // events
	thinner  bool     // the series of the enclosed results were thinned
}

func newBuilder(results []*bench.Result, o Options) *builder {
	b := &builder{results: results, subjects: subjectsOf(results), file: o.File}
	if b.file == "" {
		b.file = "report.html"
	}
	b.scenes = scenesOf(b.subjects)
	b.measures = chosen(b.scenes)
	for _, res := range results {
		b.names = append(b.names, safeName(res.FileName(), 0))
		for _, run := range res.Runs {
			if run.Metrics != nil {
				b.runs++
			}
			for _, p := range run.Promises {
				if p.Rule == "G1" {
					b.checked += p.Checked
				}
			}
		}
	}
	unique(len(b.names), func(i int) *string { return &b.names[i] })
	return b
}

// view is all that the template shows.
type view struct {
	Title, Kicker          string
	Headline, Lead         string
	Same, Which, HowToRead string
	Style                  template.CSS
	Cards                  []card
	Broken                 []brokenRecord
	Repeated               bool
	Single, NoFigures      bool
	Asked                  []fact
	Commands               []string
	Trust                  trust
	Comparisons            []comparison
	Singles                []singleRow
	Ways                   *ways
	CatchUp                *chart
	All                    []figureTable
	Hurt                   *hurt
	Latency                *latency
	Again                  again
	Words                  []bench.Word
	Made                   string
	Results                template.JS
}

func (b *builder) view() (*view, error) {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	data, thinner, err := enclosedSmall(b.names, b.results)
	b.thinner = thinner
	if err != nil {
		return nil, err
	}
	v := &view{
		Title: b.title(), Kicker: b.kicker(), Style: template.CSS(style), Single: len(b.subjects) == 1,
		Broken: b.brokenRecords(), Trust: b.trust(), Again: b.again(), Words: bench.Words(),
		Made: programOf(b.results[len(b.results)-1].MadeBy),
		// JSON of our own making: base64 and names of safe letters.
		Results: template.JS(data),
	}
	v.NoFigures, v.Repeated = b.runs == 0, b.repetitions() > 1
	v.Same, v.Which, v.HowToRead = b.sameWords(), b.which(), b.howToRead()
	v.Asked, v.Commands = b.asked()
	if len(v.Broken) == 0 {
		v.Headline, v.Lead = b.headline(), b.lead()
		if !v.NoFigures {
			v.Cards = b.cards()
		}
	}
	if !v.NoFigures {
		if v.Single {
			v.Singles = b.singles()
		} else {
			v.Comparisons = b.comparisons()
		}
		v.Ways, v.CatchUp, v.All = b.waysOf(), b.catchUpCurve(), b.allFigures()
		v.Hurt, v.Latency = b.hurts(), b.latencies()
	}
	return v, nil
}

func (b *builder) title() string {
	return "watchbench: " + listed(b.subjectNames()) + ", " + b.started().Format("2006-01-02")
}

func (b *builder) subjectNames() (names []string) {
	for _, s := range b.subjects {
		names = append(names, s.name)
	}
	return names
}

// started is when the first result began.
func (b *builder) started() time.Time {
	first := b.results[0].Started
	for _, res := range b.results {
		if res.Started.Before(first) {
			first = res.Started
		}
	}
	return first.UTC()
}

// kicker is the line above the headline: when, what and how often.
func (b *builder) kicker() string {
	parts := []string{b.started().Format("2 January 2006, 15:04 UTC")}
	if n := len(b.subjects); n > 1 {
		parts = append(parts, fmt.Sprintf("%d targets", n))
	} else {
		parts = append(parts, b.subjects[0].name)
	}
	if n := b.repetitions(); n > 1 {
		parts = append(parts, fmt.Sprintf("%d runs of each", n))
	}
	return strings.Join(parts, " · ")
}

// lead is what the headline stands on.
func (b *builder) lead() string {
	if b.runs == 0 {
		return "The reasons stand below."
	}
	text := "Every guarantee that a target gives was kept where it was checked, over " + counted(b.checked, "event") + "."
	if rules, names := b.allowedRules(); len(rules) > 0 {
		what := listed(rules)
		if len(b.subjects) > 1 {
			what += " on " + listed(names)
		}
		text = fmt.Sprintf("BROKEN, as it was allowed to be: %s. Every other guarantee that a target gives was kept where it was checked, over %s.", what, counted(b.checked, "event"))
	} else if b.checked == 0 {
		text = "No promise was looked at."
	}
	if slices.ContainsFunc(b.results, func(res *bench.Result) bool { return !res.Complete }) {
		text += " Not everything that was planned was measured; why stands below."
	}
	switch n := b.repetitions(); {
	case n >= stat.MinRuns:
		text += fmt.Sprintf(" Figures are medians of %d runs with their 95%% intervals", n)
		if len(b.subjects) > 1 {
			text += "; a difference is named only where it is significant"
		}
		text += "."
	case n > 1:
		text += fmt.Sprintf(" Figures are medians of %d runs.", n)
	default:
		text += " Each figure is of a single run."
	}
	return text
}

// sameWords say how far the targets were asked the same.
func (b *builder) sameWords() string {
	var plans, seeds []string
	for _, res := range b.results {
		plan := ""
		for _, sc := range res.Plan.Scenarios {
			plan += keyOf(sc)
		}
		if seed := fmt.Sprint(res.Plan.Seed); !slices.Contains(seeds, seed) {
			seeds = append(seeds, seed)
		}
		if !slices.Contains(plans, plan) {
			plans = append(plans, plan)
		}
	}
	switch {
	case len(b.subjects) == 1 && len(seeds) == 1:
		return "Keys, sizes and order follow from seed " + seeds[0] + "."
	case len(plans) == 1 && len(seeds) == 1:
		return "One workload, the same for all targets, from seed " + seeds[0] + "."
	case len(plans) == 1:
		return "One workload for all targets, from the seeds " + listed(seeds) + "."
	}
	return "Not the same workload for all: what only some were asked is compared only among them."
}

// which is the question that the section of comparisons answers.
func (b *builder) which() string {
	if len(b.subjects) == 1 {
		return "What came out?"
	}
	for _, s := range b.subjects[1:] {
		if engineOf(s.facts()) != engineOf(b.subjects[0].facts()) {
			return "Which engine?"
		}
	}
	return "Which of them?"
}

func (b *builder) howToRead() string {
	few := fmt.Sprintf(" With %d runs of each there are intervals, and differences can be told from chance.", stat.MinRuns)
	switch n := b.fewest(); {
	case n <= 1:
		return "Dot: the one run." + few
	case n < stat.MinRuns:
		return "Dot: the median." + few
	}
	return "Dot: median. Bar: its 95% interval. Bold: best, or no different from the best."
}

// brokenRecord is a broken promise with the responses that show it.
type brokenRecord struct {
	Subject string
	bench.Broken
	Where   string
	Before  []string
	Last    string
	Command string
}

// seeded is the command of a result with its seed, given or not.
func seeded(res *bench.Result) []string {
	if len(res.Command) == 0 || slices.ContainsFunc(res.Command, func(arg string) bool { return strings.HasPrefix(arg, "--seed") }) {
		return res.Command
	}
	return append(slices.Clone(res.Command), "--seed", fmt.Sprint(res.Plan.Seed))
}

func (b *builder) brokenRecords() (all []brokenRecord) {
	for _, s := range b.subjects {
		for _, res := range s.results {
			if res.Broken == nil {
				continue
			}
			r := brokenRecord{Subject: s.name, Broken: *res.Broken, Command: bench.CommandLine(seeded(res))}
			r.Where = strings.Join(slices.DeleteFunc([]string{r.Stream, r.Watch, "in " + r.Scenario}, func(s string) bool { return s == "" }), ", ")
			if n := len(r.Record); n > 0 {
				r.Before, r.Last = r.Record[:n-1], r.Record[n-1]
			}
			all = append(all, r)
		}
	}
	return all
}
