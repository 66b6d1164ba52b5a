package page

import (
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// promiseTable has a row for each promise and a column for each group of
// targets with the same verdicts.
type promiseTable struct {
	Columns []string
	Rows    []promiseRow
	Rules   []promiseRow // each rule by itself
}

type promiseRow struct {
	Name, Rules, Words string
	Ours               bool
	Cells              []verdict
}

// verdict is what became of a promise on one target, or several alike.
type verdict struct {
	Column string // its heading, for narrow screens
	Class  string
	Glyph  string
	Text   string
	Count  string
}

// promiseWords says what a promise means; the rules have their own words.
var promiseWords = map[string]string{
	"ordered":      "revisions never go down on a watch",
	"unique":       "no event twice on a watch",
	"reliable":     "no event left out",
	"atomic":       "a revision in one response",
	"resumable":    "continues exactly after a cut",
	"bookmarkable": "progress never runs ahead of events",
	"written":      "what was written, as it was acknowledged",
	"filtered":     "only what was asked for",
	"started":      "begins where it was asked to begin",
	"cancelled":    "nothing after the end of a watch",
	"prevkv":       "the value as it was one revision before",
	"compaction":   "forgotten history is told, once",
	"caught up":    "the end of catch-up is told once and is true",
	"policy":       "only what the watch's policy allows is skipped",
}

// ruleSum is how one rule fared on one target.
type ruleSum struct {
	verdict string
	checked int64
}

// sums adds up the rules of all runs of a target. The rules are listed in the
// order of the document, then those this program does not know.
func (s *subject) sums() (order []bench.Promise, sums map[string]ruleSum) {
	sums = map[string]ruleSum{}
	for _, res := range s.results {
		for _, run := range res.Runs {
			for _, p := range run.Promises {
				sum, seen := sums[p.Rule]
				if !seen {
					order = append(order, p)
				}
				sum.checked += p.Checked
				sum.verdict = worse(sum.verdict, p.Verdict)
				sums[p.Rule] = sum
			}
		}
		if b := res.Broken; b != nil {
			if _, seen := sums[b.Rule]; !seen {
				order = append(order, bench.Promise{Rule: b.Rule, Name: b.Name})
			}
			sum := sums[b.Rule]
			sum.verdict = broken
			sums[b.Rule] = sum
		}
	}
	return order, sums
}

// Verdicts, as results have them.
const (
	kept        = "kept"
	broken      = "broken"
	notPromised = "not promised"
	notChecked  = "not checked"
)

// worse is the verdict that two runs have together.
func worse(a, b string) string {
	for _, v := range []string{broken, notPromised, kept} {
		if a == v || b == v {
			return v
		}
	}
	return notChecked
}

func (b *builder) promises() promiseTable {
	var order []bench.Promise
	sums := make([]map[string]ruleSum, len(b.subjects))
	for i, s := range b.subjects {
		rules, sum := s.sums()
		sums[i] = sum
		for _, p := range rules {
			if !slices.ContainsFunc(order, func(q bench.Promise) bool { return q.Rule == p.Rule }) {
				order = append(order, p)
			}
		}
	}
	sortRules(order)
	groups := b.alike(order, sums)
	if len(groups) == 1 && len(b.subjects) > 1 {
		groups[0].name = "all targets"
	}
	var t promiseTable
	for _, g := range groups {
		t.Columns = append(t.Columns, g.name)
	}
	words := map[string]string{}
	for _, r := range watchtest.Rules() {
		words[r.ID] = r.Text
	}
	rows := map[string]int{}
	for _, p := range order {
		t.Rules = append(t.Rules, promiseRow{Name: p.Rule, Rules: p.Name, Words: words[p.Rule], Ours: p.Class == string(watchtest.Ours), Cells: cellsOf([]string{p.Rule}, groups, sums)})
		if _, seen := rows[p.Name]; seen {
			continue
		}
		rows[p.Name] = len(t.Rows)
		var ids []string
		ours := true
		for _, q := range order {
			if q.Name == p.Name {
				ids = append(ids, q.Rule)
				ours = ours && q.Class == string(watchtest.Ours)
			}
		}
		text := promiseWords[p.Name]
		if text == "" {
			text = words[p.Rule]
		}
		t.Rows = append(t.Rows, promiseRow{Name: promiseName(p.Name), Rules: strings.Join(ids, " "), Words: text, Ours: ours, Cells: cellsOf(ids, groups, sums)})
	}
	if len(t.Rows) > 0 {
		row := promiseRow{Name: "Durable before seen", Rules: "G7", Words: "no event of what a power cut can take back"}
		for _, g := range groups {
			row.Cells = append(row.Cells, verdict{g.name, "n", "–", "not checked: needs a power cut", ""})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// sortRules puts rules in the order of the document.
func sortRules(order []bench.Promise) {
	at := map[string]int{}
	for i, r := range watchtest.Rules() {
		at[r.ID] = i + 1
	}
	slices.SortStableFunc(order, func(a, b bench.Promise) int {
		i, j := at[a.Rule], at[b.Rule]
		switch {
		case i == 0 && j == 0:
			return 0
		case i == 0:
			return 1
		case j == 0:
			return -1
		}
		return i - j
	})
}

// column is a group of targets that share their verdicts.
type column struct {
	name     string
	subjects []int
}

// alike groups targets by their verdicts.
func (b *builder) alike(order []bench.Promise, sums []map[string]ruleSum) (groups []column) {
	byKey := map[string]int{}
	for i, s := range b.subjects {
		key := ""
		for _, p := range order {
			key += sums[i][p.Rule].seen() + "\x00"
		}
		at, known := byKey[key]
		if !known {
			at = len(groups)
			byKey[key] = at
			groups = append(groups, column{})
		}
		if groups[at].name != "" {
			groups[at].name += ", "
		}
		groups[at].name += s.name
		groups[at].subjects = append(groups[at].subjects, i)
	}
	return groups
}

// seen is the verdict; a rule that nothing could break was not checked.
func (r ruleSum) seen() string {
	if r.verdict == kept && r.checked == 0 || r.verdict == "" {
		return notChecked
	}
	return r.verdict
}

// cellsOf is the verdict on some rules together, for each group.
func cellsOf(ids []string, groups []column, sums []map[string]ruleSum) (cells []verdict) {
	for _, g := range groups {
		c := verdict{Column: g.name}
		var most int64
		var unseen []string
		together := ""
		for _, id := range ids {
			var n int64
			for _, i := range g.subjects {
				n += sums[i][id].checked
			}
			most = max(most, n)
			if n == 0 {
				unseen = append(unseen, id)
			}
			together = worse(together, sums[g.subjects[0]][id].seen())
		}
		switch together {
		case broken:
			c.Class, c.Glyph, c.Text = "b", "✗", "broken"
		case notPromised:
			c.Class, c.Glyph, c.Text = "n", "–", "not promised by this target"
		case kept:
			c.Class, c.Glyph, c.Text, c.Count = "k", "✓", "kept", figure.Count(most)+" checks"
			if len(unseen) > 0 {
				c.Count += "; not checked: " + strings.Join(unseen, " ")
			}
		default:
			c.Class, c.Glyph, c.Text = "n", "–", "not checked: nothing here could break it"
		}
		cells = append(cells, c)
	}
	return cells
}

// promiseName is what people call a promise.
func promiseName(name string) string {
	if name == "prevkv" {
		return "Previous value"
	}
	return upper(name)
}
