package scenariofile

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/bench"
)

// Write is a file for the scenarios of a plan, every default spelled out and
// explained. Seed and count are not in it: those who run it choose them. What
// follows from the other settings stands in a comment, so that it goes on to
// follow when they are changed.
func Write(p bench.Plan) string {
	var b strings.Builder
	b.WriteString("# A scenario file: watchbench run -f FILE.yaml. Flags override what is here; what\n")
	b.WriteString("# is left out has its default. Counts take 5k and 1M, sizes 4KiB, times 500ms, 1m.\n")
	b.WriteString("#seed: 7     # keys, values and what goes where; left out: random, printed\n")
	b.WriteString("#count: 6    # repetitions\n")
	b.WriteString("scenarios:\n")
	for i, sc := range p.Scenarios {
		brief, _ := bench.DescribeScenario(sc.Name)
		if i == 0 || p.Scenarios[i-1].Name != sc.Name {
			fmt.Fprintf(&b, "  # %s: %s\n", sc.Name, brief)
		}
		fmt.Fprintf(&b, "  - name: %s\n", sc.Name)
		explained := i == 0 || p.Scenarios[i-1].Name != sc.Name
		same := follows(sc)
		for _, f := range fields {
			value := f.get(sc)
			if f.own && same != nil && f.get(*same) == value {
				if value != "" && explained {
					fmt.Fprintf(&b, "    #%-26s # %s\n", f.name+": "+value, f.text)
				}
				continue
			}
			switch {
			case value == "":
			case explained:
				fmt.Fprintf(&b, "    %-27s # %s\n", f.name+": "+value, f.text)
			default:
				fmt.Fprintf(&b, "    %s: %s\n", f.name, value)
			}
		}
	}
	return b.String()
}

// follows is the scenario with what follows from the settings that all have;
// nil if it cannot be made.
func follows(sc bench.Scenario) *bench.Scenario {
	s := bench.Settings{Scenarios: []string{sc.Name}}
	for _, f := range fields {
		if value := f.get(sc); value != "" && !f.own && f.set(&s, value) != nil {
			return nil
		}
	}
	p, err := s.Plan()
	if err != nil || len(p.Scenarios) != 1 {
		return nil
	}
	return &p.Scenarios[0]
}
