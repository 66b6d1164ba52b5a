package page

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
)

// headline is the answer in one sentence. Of several targets it names only
// differences that chance does not explain; of one it states what was found.
func (b *builder) headline() string {
	text := ""
	switch {
	case len(b.measures) == 0 && b.runs == 0:
		return "Nothing was measured."
	case len(b.subjects) == 1:
		text = b.plainHeadline()
	default:
		text = b.comparison()
	}
	return unbroken.Replace(text)
}

// unbroken keeps a line from ending within the word.
var unbroken = strings.NewReplacer("catch-up", "catch\u2011up", "Catch-up", "Catch\u2011up")

// verbs of the families, and what they are about.
var verbs = map[family][2]string{
	catchUpFamily: {"catches up fastest", "catch-up"},
	putsFamily:    {"takes the most puts", "puts"},
	notifyFamily:  {"has the lowest notify latency", "notify latency"},
}

// comparison names the best where the runs tell, with all that it is best in.
func (b *builder) comparison() string {
	var tied, open, order []string
	does, equals := map[string][]string{}, map[string][]string{}
	for _, f := range []family{catchUpFamily, putsFamily, notifyFamily} {
		m, ok := first(b.measures, f)
		if !ok {
			continue
		}
		r := m.ranked()
		if len(r.all) < 2 {
			continue
		}
		var best []string
		for _, i := range r.best {
			best = append(best, b.subjects[i].short)
		}
		of := ""
		if len(r.all) < len(b.subjects) {
			of = fmt.Sprintf(" (of %d targets)", len(r.all))
		}
		switch who := strings.Join(best, "\x00"); {
		case !r.told:
			open = append(open, verbs[f][1]+of)
		case len(best) == len(r.all):
			tied = append(tied, verbs[f][1]+of)
		default:
			if does[who] == nil {
				order = append(order, who)
			}
			does[who], equals[who] = append(does[who], verbs[f][0]+of), best
		}
	}
	between := ", "
	for i, who := range order {
		best := equals[who]
		order[i] = best[0] + " " + listed(does[who])
		if len(best) > 1 {
			order[i] += ", with no difference to " + listed(best[1:])
		}
		if len(best) > 1 || len(does[who]) > 2 {
			between = "; "
		}
	}
	return b.sentence(strings.Join(order, between), tied, open)
}

func (b *builder) sentence(won string, tied, open []string) string {
	text := upper(won)
	switch {
	case text == "" && len(tied) == 0 && len(open) == 0:
		return fmt.Sprintf("%d targets, and no figure that two of them share.", len(b.subjects))
	case text == "" && len(tied) == 0:
		return fmt.Sprintf("%s side by side, with too few runs to tell who is best.", upper(listed(b.shortNames())))
	case text == "" && len(b.subjects) == 2:
		return fmt.Sprintf("In %s %s do not differ measurably.", listed(tied), listed(b.shortNames()))
	case text == "":
		return "In " + listed(tied) + " no target is measurably the best."
	case len(tied) > 0 && len(b.subjects) == 2:
		return text + "; in " + listed(tied) + " they do not differ measurably."
	case len(tied) > 0:
		return text + "; in " + listed(tied) + " none is measurably the best."
	}
	return text + "."
}

func (b *builder) shortNames() (names []string) {
	for _, s := range b.subjects {
		names = append(names, s.short)
	}
	return names
}

// plainHeadline states the first figure of one target.
func (b *builder) plainHeadline() string {
	name := b.subjects[0].name
	if m, ok := first(b.measures, notifyFamily); ok {
		e := stat.Summarize(m.scene.values(0, m.metric))
		return fmt.Sprintf("On %s 99 of 100 events reach their watcher within %s, with %s.", name, m.text(e.Median), counted(int64(m.scene.sc.Watchers), "watcher"))
	}
	if m, ok := first(b.measures, catchUpFamily); ok {
		if took := m.scene.values(0, "catchup.synced_ns"); len(took) > 0 {
			verb := "all synced after"
			if cutShort(m.scene.runs[0]) {
				verb = "not all synced after"
			}
			return fmt.Sprintf("%s catching up on %s: %s %s, at %s.", counted(int64(m.scene.sc.Watchers), "watcher"), name, verb, duration(stat.Summarize(took).Median), m.text(stat.Summarize(m.scene.values(0, m.metric)).Median))
		}
	}
	if len(b.measures) > 0 {
		m := b.measures[0]
		return fmt.Sprintf("%s on %s: %s.", m.title, name, m.text(stat.Summarize(m.scene.values(0, m.metric)).Median))
	}
	return name + " was measured; the figures are below."
}

func cutShort(runs []bench.Run) bool {
	for _, run := range runs {
		if run.CutShort {
			return true
		}
	}
	return false
}

// card is one of the four figures under the headline.
type card struct {
	Name, Value string
	Small       []string // a line each
	Good        bool     // all promises kept
}

func (b *builder) cards() []card {
	all := []card{b.promiseCard()}
	m, ok := first(b.measures, notifyFamily)
	if !ok {
		m, ok = b.anywhere("notify.p99_ns")
	}
	if ok {
		all = append(all, b.card("Notify p99", m))
	} else {
		all = append(all, card{Name: "Notify p99", Value: "n/a", Small: []string{"not asked for"}})
	}
	if m, ok := first(b.measures, catchUpFamily); ok {
		all = append(all, b.card("Catch-up", m))
	} else {
		all = append(all, card{Name: "Catch-up", Value: "n/a", Small: []string{"not asked for"}})
	}
	return append(all, b.putsCard())
}

// anywhere is a figure of the first scene that has it.
func (b *builder) anywhere(metric string) (measure, bool) {
	for _, s := range b.scenes {
		if m := (measure{scene: s, metric: metric, less: true}); m.measured() {
			return m, true
		}
	}
	return measure{}, false
}

// putsCard shows puts at full speed, or what an answer took where the rate was
// set.
func (b *builder) putsCard() card {
	if m, ok := first(b.measures, putsFamily); ok {
		name := "Puts"
		if b.durable() {
			name = "Durable puts"
		}
		return b.card(name, m)
	}
	if m, ok := b.anywhere("put.p99_ns"); ok {
		c := b.card("Put p99", m)
		c.Small = append(c.Small, loadWords(m.scene.sc))
		return c
	}
	return card{Name: "Puts", Value: "n/a", Small: []string{"not asked for"}}
}

// durable says whether every target has a put on disk before its answer.
func (b *builder) durable() bool {
	for _, s := range b.subjects {
		if f := s.facts(); f.Durability != "sync" || f.Volatile {
			return false
		}
	}
	return true
}

func (b *builder) card(name string, m measure) card {
	r := m.ranked()
	all := r.all
	c := card{Name: name, Value: m.text(all[0].Median)}
	best := b.subjects[all[0].subject].short
	switch {
	case len(b.subjects) == 1:
		c.Small = []string{m.scene.name}
		if n := all[0].N; n > 1 {
			c.Small[0] += fmt.Sprintf(", median of %d", n)
		}
	case len(all) == 1:
		c.Small = []string{best, "others n/a"}
	case all[1].toBest.Verdict == stat.NoDifference, all[1].toBest.Verdict == stat.Equal:
		c.Small = []string{best, b.subjects[all[1].subject].short + " no difference"}
	default:
		c.Small = []string{best, b.subjects[all[1].subject].short + " " + m.text(all[1].Median)}
	}
	return c
}

func (b *builder) promiseCard() card {
	c := card{Name: "Guarantees", Value: "✓ all kept", Good: true}
	if rules, names := b.allowedRules(); len(rules) > 0 {
		c.Value, c.Good = "broken "+strings.Join(rules, " ")+", allowed", false
		if len(b.subjects) > 1 {
			c.Small = names
		}
		if b.checked > 0 {
			c.Small = append(c.Small, figure.Count(b.checked)+" events checked")
		}
		return c
	}
	until := false
	for _, s := range b.subjects {
		for _, res := range s.results {
			if res.Unchecked {
				return card{Name: c.Name, Value: "not checked", Small: []string{"the checker was left out"}}
			}
			until = until || !res.Complete
		}
	}
	if b.checked == 0 {
		return card{Name: c.Name, Value: "not checked", Small: []string{"no event was seen"}}
	}
	c.Small = []string{figure.Count(b.checked) + " events checked"}
	if until {
		c.Value = "✓ kept until then"
	}
	return c
}
