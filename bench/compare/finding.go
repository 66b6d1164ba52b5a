package compare

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

// Finding is what a row says: who is best, and who is not told from it.
type Finding struct {
	Metric    string
	Scenarios []string // titles of which it holds
	// Best are the columns that are best: one alone, or several that show no
	// difference to the first of them.
	Best []int
}

// Findings says of the first headline of every scenario what the figures
// allow, rows that say the same together. Rows with fewer than stat.MinRuns
// runs on a side say nothing.
func Findings(t Table) (found []Finding) {
	for _, row := range t.Rows {
		name, _, _ := strings.Cut(row.Scenario, "/")
		if lead := Headlines(name); len(lead) == 0 || row.Metric != lead[0] {
			continue
		}
		f, ok := row.finding()
		if !ok {
			continue
		}
		same := slices.IndexFunc(found, func(g Finding) bool {
			return g.Metric == f.Metric && slices.Equal(g.Best, f.Best)
		})
		if same >= 0 {
			found[same].Scenarios = append(found[same].Scenarios, row.Scenario)
			continue
		}
		found = append(found, f)
	}
	return found
}

func (r Row) finding() (f Finding, ok bool) {
	f = Finding{Metric: r.Metric, Scenarios: []string{r.Scenario}}
	best := r.best()
	if best < 0 {
		return f, false
	}
	f.Best = []int{best}
	with := 0
	for i, cell := range r.Cells {
		if cell.N == 0 {
			continue
		}
		if with++; cell.N < stat.MinRuns {
			return f, false
		}
		if i != best && stat.Compare(r.Cells[best].Values, cell.Values).Verdict != stat.Different {
			f.Best = append(f.Best, i)
		}
	}
	return f, with > 1
}

// Sentences says the findings in words, those with one winner first.
func Sentences(t Table) (all []string) {
	found := Findings(t)
	slices.SortStableFunc(found, func(a, b Finding) int { return min(len(a.Best), 2) - min(len(b.Best), 2) })
	several := map[string]int{}
	for _, f := range found {
		several[f.Metric]++
	}
	for _, f := range found {
		all = append(all, t.sentence(f, several[f.Metric] > 1))
	}
	return all
}

// sentence says a finding; where it holds, if told.
func (t Table) sentence(f Finding, where bool) string {
	what := strings.ReplaceAll(bench.ShortName(f.Metric), ".", " ")
	what = strings.TrimSuffix(strings.ReplaceAll(what, "_per_s", "/s"), "_")
	in := ""
	if where {
		in = " (" + strings.Join(f.Scenarios, ", ") + ")"
	}
	short := t.shortNames()
	if len(f.Best) == 2 {
		f.Best = slices.Sorted(slices.Values(f.Best)) // as they stand in the table
	}
	var best []string
	for _, i := range f.Best {
		best = append(best, short[i])
	}
	switch {
	case len(best) == 1 && f.Metric == "catchup.events_per_s":
		return capital(best[0]) + " catches up fastest" + in + "."
	case len(best) == 1 && bench.Better(f.Metric) == bench.More:
		return capital(best[0]) + " has the highest " + what + in + "."
	case len(best) == 1:
		return capital(best[0]) + " has the lowest " + what + in + "."
	case f.Metric == "catchup.events_per_s":
		what = "catch-up"
	}
	if len(best) > 2 {
		// Those that show no difference to one may differ among themselves.
		return "In " + what + in + ", " + and(best[1:]) + " show no difference to " + best[0] + "."
	}
	return "In " + what + in + ", " + and(best) + " show no difference."
}

// shortNames are the columns' names without durability and version where they
// are unlike even so.
func (t Table) shortNames() []string {
	short := make([]string, len(t.Names))
	for i, name := range t.Names {
		short[i] = name
		if words := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == ' ' }); len(words) > 0 {
			short[i] = words[0]
		}
	}
	for i, name := range short {
		if slices.Index(short, name) != i {
			return t.Names
		}
	}
	return short
}

func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func capital(word string) string {
	r, size := utf8.DecodeRuneInString(word)
	return string(unicode.ToUpper(r)) + word[size:]
}
