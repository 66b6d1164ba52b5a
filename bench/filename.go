package bench

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var unnameable = regexp.MustCompile(`[^a-z0-9.]+`)

// FileName is the name we choose for a result's file where nobody else did:
// its time, target, scenarios and seed, and nothing of its user.
func (res *Result) FileName() string {
	return fileName(res, res.Target.Name())
}

// FileName is that of a result, with all targets.
func (c *Comparison) FileName() string {
	if len(c.Results) == 0 {
		return "compare.json"
	}
	words := []string{"compare"}
	for _, res := range c.Results {
		words = append(words, res.Target.Name())
	}
	return fileName(c.Results[0], words...)
}

func fileName(res *Result, target ...string) string {
	scenarios := "multi"
	if names := res.Plan.names(); len(names) == 1 {
		scenarios = names[0]
	}
	words := []string{res.Started.UTC().Format("20060102T150405Z")}
	for _, word := range append(target, scenarios, strconv.FormatUint(res.Plan.Seed, 10)) {
		if word = strings.Trim(unnameable.ReplaceAllString(strings.ToLower(word), "-"), "-."); word != "" {
			words = append(words, word)
		}
	}
	name := strings.Join(words, "-")
	return name[:min(len(name), maxFileName)] + ".json"
}

// maxFileName keeps names within what file systems take.
const maxFileName = 200

// names lists the names of the plan's scenarios, each once.
func (p Plan) names() (names []string) {
	for _, sc := range p.Scenarios {
		if !slices.Contains(names, sc.Name) {
			names = append(names, sc.Name)
		}
	}
	return names
}
