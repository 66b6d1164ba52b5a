package compare

import (
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/layout"
)

// doubt is a reason why figures of a target are less than they seem: the worst
// of its kind, and the scenarios that it concerns.
type doubt struct {
	bench.Doubt
	scenarios []string
}

func doubts(res *bench.Result) (all []doubt) {
	if res.Failed != "" && res.Broken == nil {
		text := strings.ReplaceAll(res.Failed, "\n", "; ")
		all = append(all, doubt{bench.Doubt{Kind: text, Text: text}, nil})
	}
	if res.Unchecked {
		all = append(all, doubt{bench.Doubt{Kind: "unchecked", Text: "not checked: no promise was looked at"}, nil})
	}
	for _, run := range res.Runs {
		if run.Planned < len(res.Plan.Scenarios) {
			for _, d := range bench.Doubts(res.Plan.Scenarios[run.Planned], run) {
				all = merge(all, doubt{d, []string{run.Scenario}})
			}
		}
	}
	return all
}

// merge adds a doubt to those of its kind.
func merge(all []doubt, d doubt) []doubt {
	i := slices.IndexFunc(all, func(old doubt) bool { return old.Kind == d.Kind })
	if i < 0 {
		return append(all, d)
	}
	if d.Size > all[i].Size {
		all[i].Doubt = d.Doubt
	}
	for _, title := range d.scenarios {
		if !slices.Contains(all[i].scenarios, title) {
			all[i].scenarios = append(all[i].scenarios, title)
		}
	}
	return all
}

func (d doubt) String() string {
	if len(d.scenarios) == 0 {
		return d.Text
	}
	return d.Text + " (" + strings.Join(d.scenarios, ", ") + ")"
}

// Doubts are what makes the figures of a result less than they seem: each kind
// once, the worst of it, with the scenarios it concerns.
func Doubts(res *bench.Result) (all []string) {
	for _, d := range doubts(res) {
		all = append(all, d.String())
	}
	return all
}

// doubted says each kind of doubt once, with the targets that it concerns.
func (v *view) doubted() {
	var all []doubt
	whose := map[string][]string{}
	for i, res := range v.Results {
		for _, d := range doubts(res) {
			if d.OfAllowed() { // the row of the promises says it
				continue
			}
			all = merge(all, d)
			whose[d.Kind] = append(whose[d.Kind], v.Names[i])
		}
	}
	for _, d := range all {
		for _, line := range layout.Wrap("!", 2, strings.Fields(strings.Join(whose[d.Kind], ", ")+": "+d.String())) {
			v.add(v.paint.Yellow(line))
		}
	}
}
