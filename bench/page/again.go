package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// again is what is needed to measure the same once more.
type again struct {
	Facts    []fact
	Commands []string
	Files    []string
}

func (b *builder) again() again {
	a := again{Files: b.names}
	a.Facts = append(a.Facts, b.bySubject("Machine", func(s *subject) string {
		if s.served() {
			return "of the client: " + machineWords(s.results[0].Machine)
		}
		return machineWords(s.results[0].Machine)
	}))
	a.Facts = append(a.Facts, b.bySubject("Program", func(s *subject) string { return programOf(s.results[0].MadeBy) }))
	a.Facts = append(a.Facts, b.bySubject("Versions", func(s *subject) string { return versionWords(s.results[0]) }))
	var seeds []string
	for _, s := range b.subjects {
		for _, res := range s.results {
			if seed := fmt.Sprint(res.Plan.Seed); !slices.Contains(seeds, seed) {
				seeds = append(seeds, seed)
			}
		}
	}
	a.Facts = append(a.Facts, factOf("Seed", strings.Join(seeds, ", ")+": keys, sizes and order follow from it and the plan"))
	inside := fact{Name: "Result files"}
	inside.add(figure.Count(int64(len(b.names))) + ", inside this page")
	if b.thinner {
		inside.add(fmt.Sprintf("their series are thinned to %d points, smallest and largest kept: the page would have more than 2 MB", maxPoints))
	}
	a.Facts = append(a.Facts, inside)
	a.Commands = []string{"watchbench report --extract " + bench.CommandLine([]string{b.file}), "watchbench run --like " + bench.CommandLine(b.names[:1])}
	return a
}

func machineWords(m bench.Machine) string {
	parts := []string{m.CPU, counted(int64(m.Cores), "core")}
	if m.MemoryBytes > 0 {
		parts = append(parts, figure.Bytes(m.MemoryBytes)+" of memory")
	}
	return strings.Join(slices.DeleteFunc(append(parts, m.OS, m.Filesystem), func(s string) bool { return s == "" }), ", ")
}

// versionWords is the version of the store that was measured, as far as it is
// known.
func versionWords(res *bench.Result) string {
	name, version := engineOf(res.Target), res.Target.Version
	if version != "" {
		return name + " " + version
	}
	for _, module := range slices.Sorted(maps.Keys(res.MadeBy.Modules)) {
		if strings.Contains(module, name) {
			return module + " " + res.MadeBy.Modules[module]
		}
	}
	return name + ", version not known"
}
