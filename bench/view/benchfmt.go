package view

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/watchkv/watchkv/bench"
)

// Bench writes a line for each run in Go's benchmark format, as benchstat
// reads it: scenario, shape, engine and durability are in the name, every
// metric is a value. The load of a scenario stands before it as configuration,
// so that unlike loads come in tables of their own.
func Bench(w io.Writer, inputs []Input) error {
	b := bufio.NewWriter(w)
	units := benchUnits(inputs)
	for _, unit := range slices.Sorted(maps.Keys(units)) {
		switch units[unit] {
		case bench.Less:
			fmt.Fprintf(b, "Unit %s better=lower\n", unit)
		case bench.More:
			fmt.Fprintf(b, "Unit %s better=higher\n", unit)
		}
	}
	last := map[string]string{}
	config := func(key, value string) {
		if value = oneLine(value); last[key] != value {
			fmt.Fprintf(b, "%s: %s\n", key, value)
			last[key] = value
		}
	}
	config("pkg", "github.com/watchkv/watchkv/cmd/watchbench")
	for _, in := range inputs {
		res := in.Result
		if res.Broken != nil {
			fmt.Fprintf(b, "# %s: BROKEN %s %s, no figures\n", oneLine(in.File), oneLine(res.Broken.Rule), oneLine(res.Broken.Name))
			continue
		}
		os, _, _ := strings.Cut(res.Machine.OS, " ")
		config("goos", os)
		config("cpu", res.Machine.CPU)
		for i := range res.Runs {
			run := &res.Runs[i]
			if len(run.Metrics) == 0 {
				continue
			}
			config("load", loadOf(res.Plan.Scenarios[run.Planned]))
			b.WriteString(benchName(res, run) + "\t1")
			for _, name := range slices.Sorted(maps.Keys(run.Metrics)) {
				fmt.Fprintf(b, "\t%s %s", number(run.Metrics[name]), unitOf(res, run, name))
			}
			b.WriteString("\n")
		}
	}
	return b.Flush()
}

// benchName is the name of a run's benchmark.
func benchName(res *bench.Result, run *bench.Run) string {
	sc := res.Plan.Scenarios[run.Planned]
	name := "Benchmark" + titled(word(sc.Name))
	engine := res.Target.Engine
	if engine == "" {
		engine = res.Target.Kind
	}
	for _, part := range []struct{ key, value string }{
		{"shape", string(sc.Shape)}, {"engine", engine}, {"durability", res.Target.Durability},
	} {
		if part.value != "" {
			name += "/" + part.key + "=" + word(part.value)
		}
	}
	if res.Machine.Cores > 1 {
		name += "-" + strconv.Itoa(res.Machine.Cores)
	}
	return name
}

// word is a text as a name may hold it.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '-'
		}
		return r
	}, s)
}

func titled(s string) string {
	for i, r := range s {
		return string(unicode.ToUpper(r)) + s[i+len(string(r)):]
	}
	return "Unnamed"
}

// benchUnit is a metric's name as the unit of a value: "p99-ns", "events/s".
type benchUnit string

// unitOf names a metric without the scenario it is of.
func unitOf(res *bench.Result, run *bench.Run, name string) benchUnit {
	base, unit := SplitUnit(name)
	base = strings.TrimPrefix(base, res.Plan.Scenarios[run.Planned].Name+".")
	suffix := map[string]string{"": "", "ns": "-ns", "bytes": "-B", "per_s": "/s", "ratio": "-ratio"}[unit]
	if unit == "per_s" {
		base = strings.Replace(base, "bytes", "B", 1)
	}
	if base == "" {
		base = "value"
	}
	return benchUnit(word(strings.NewReplacer(".", "-", "_", "-").Replace(base)) + suffix)
}

// SplitUnit parts the name of a metric from its unit: ns, bytes, per_s, ratio,
// or none for a number.
func SplitUnit(name string) (base, unit string) {
	for _, unit := range []string{"ns", "bytes", "per_s", "ratio"} {
		if base, ok := strings.CutSuffix(name, "_"+unit); ok {
			return base, unit
		}
	}
	return name, ""
}

// benchUnits are the units of all figures and which way of each is the better
// one: Neither also where the metrics of a unit are not better the same way.
func benchUnits(inputs []Input) map[benchUnit]bench.Direction {
	units := map[benchUnit]bench.Direction{}
	for _, in := range inputs {
		for i := range in.Result.Runs {
			for name := range in.Result.Runs[i].Metrics {
				unit, better := unitOf(in.Result, &in.Result.Runs[i], name), bench.Better(name)
				if known, seen := units[unit]; seen && known != better {
					better = bench.Neither
				}
				units[unit] = better
			}
		}
	}
	return units
}

// loadOf is a planned scenario but for what names it, in one line.
func loadOf(sc bench.Scenario) string {
	sc.Name, sc.Shape = "", ""
	data, err := json.Marshal(sc)
	if err != nil {
		return ""
	}
	var words []string
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	key, depth := "", 0
	for {
		token, err := dec.Token()
		if err != nil {
			return strings.Join(words, " ")
		}
		switch v := token.(type) {
		case json.Delim:
			depth += map[json.Delim]int{'{': 1, '[': 1, '}': -1, ']': -1}[v]
			key = ""
		case string:
			if key == "" && depth == 1 {
				key = v
				continue
			}
			if key != "name" { // emptied above
				words = append(words, key+"="+v)
			}
			key = ""
		default:
			words = append(words, fmt.Sprintf("%s=%v", key, v))
			key = ""
		}
	}
}

// number writes a value in full where that is short.
func number(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
