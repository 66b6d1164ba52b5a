package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// fact is an entry of a list of facts.
type fact struct {
	Name  string
	Lines []factLine
}

// factLine is what is said, and of which scenes or targets; of all when empty.
type factLine struct {
	Text, Of string
}

func factOf(name string, lines ...string) fact {
	f := fact{Name: name}
	for _, line := range lines {
		f.Lines = append(f.Lines, factLine{Text: line})
	}
	return f
}

// asked says in words what was to be measured.
func (b *builder) asked() (facts []fact, commands []string) {
	add := func(name string, words func(bench.Scenario) string) {
		if lines := b.byScene(words); len(lines) > 0 {
			facts = append(facts, fact{name, lines})
		}
	}
	add("Watchers", func(sc bench.Scenario) string {
		text := fmt.Sprintf("%s on %s%s", figure.Count(int64(sc.Watchers)), counted(int64(sc.Streams), "stream"), shapeOf(sc))
		if sc.Bystanders > 0 {
			text += "; " + figure.Count(int64(sc.Bystanders)) + " more, synced all the time"
		}
		if sc.Visitors > 0 {
			text += fmt.Sprintf("; %s more at a time, that come and go", figure.Count(int64(sc.Visitors)))
		}
		if sc.Behind > 0 {
			text += fmt.Sprintf("; %s more, behind", figure.Count(int64(sc.Behind)))
		}
		if sc.Idle > 0 {
			text += fmt.Sprintf("; %s more, of keys that nobody writes", figure.Count(int64(sc.Idle)))
		}
		return text
	})
	add("Writers", func(sc bench.Scenario) string {
		if sc.RatePerS > 0 {
			return loadWords(sc) + ", open loop"
		}
		return loadWords(sc)
	})
	add("Data", func(sc bench.Scenario) string {
		if sc.Name == bench.Mixed {
			return "keys, sizes and mix of a Kubernetes control plane"
		}
		text := fmt.Sprintf("%s, values of %s", counted(int64(sc.Keys), "key"), figure.ShortBytes(int64(sc.ValueBytes)))
		if sc.History > 0 {
			text += ", history of " + counted(sc.History, "revision")
		}
		return text
	})
	if src := b.source(); src != nil {
		facts = append(facts, factOf("History", fmt.Sprintf("%s, opened read-only: %s of %s, revisions %d to %d",
			src.File, counted(src.Events, "event"), counted(src.Keys, "key"), src.FirstRev, src.LastRev)))
	}
	add("Stall", func(sc bench.Scenario) string {
		if sc.StalledStreams == 0 {
			return ""
		}
		return stalls(sc, "stops", "stop") + " reading for " + figure.Short(roundTime(sc.Stall))
	})
	facts = append(facts, b.scenarioFact())
	facts = append(facts, b.bySubject("Durability", durabilityWords), b.bySubject("Buffers", bufferWords), b.bySubject("Server", serverWords))
	facts = slices.DeleteFunc(facts, func(f fact) bool { return len(f.Lines) == 0 })
	for _, s := range b.subjects {
		for _, res := range s.results {
			if line := bench.CommandLine(res.Command); line != "" && !slices.Contains(commands, line) {
				commands = append(commands, line)
			}
		}
	}
	return facts, commands
}

// byScene says something of all scenes: once if it is the same for all, else
// with the scenes it is said of.
func (b *builder) byScene(words func(bench.Scenario) string) []factLine {
	return grouped(len(b.scenes), func(i int) (text, of string) { return words(b.scenes[i].sc), b.scenes[i].name })
}

// bySubject says something of all targets, a line for each that differs.
func (b *builder) bySubject(name string, words func(*subject) string) fact {
	return fact{name, grouped(len(b.subjects), func(i int) (text, of string) { return words(b.subjects[i]), b.subjects[i].name })}
}

// grouped puts those together of whom the same is said; of whom nothing is
// said is left out.
func grouped(n int, said func(i int) (text, of string)) []factLine {
	var order []string
	of := map[string][]string{}
	for i := range n {
		text, name := said(i)
		if text == "" {
			continue
		}
		if of[text] == nil {
			order = append(order, text)
		}
		of[text] = append(of[text], name)
	}
	var lines []factLine
	for _, text := range order {
		line := factLine{Text: text}
		if len(of[text]) < n {
			line.Of = strings.Join(of[text], ", ")
		}
		lines = append(lines, line)
	}
	return lines
}

// bufferWords say what an engine may keep in memory on purpose.
func bufferWords(s *subject) string {
	if s.served() {
		return ""
	}
	return strings.ReplaceAll(s.facts().Buffers(), "   ", "; ")
}

// serverWords say how a server was reached.
func serverWords(s *subject) string {
	f := s.facts()
	if !f.Server() {
		return ""
	}
	text := fmt.Sprintf("%s; a connection a stream, at most %d; keys under %s", strings.Join(f.Endpoints, " "), f.Connections, f.Prefix)
	if f.Shared {
		text += "; others may use it too"
	}
	if f.DBBytes > 0 {
		text += "; its file had " + figure.Bytes(f.DBBytes) + " before"
	}
	return text
}

func durabilityWords(s *subject) string {
	f := s.facts()
	switch interval, relaxed := strings.CutPrefix(f.Durability, "relaxed"); {
	case f.Volatile:
		return "none: kept in memory alone"
	case f.Durability == "sync":
		return "sync: every put is on disk before it is answered"
	case relaxed && strings.Trim(interval, ":") != "":
		return "relaxed: answered before it is on disk; at most " + strings.Trim(interval, ":") + " can be lost"
	case f.Durability == "":
		return "its own; watchbench does not set it"
	}
	return f.Durability
}

// scenarioFact: what was run, and how long.
func (b *builder) scenarioFact() fact {
	f := fact{"Scenarios", b.byScene(func(sc bench.Scenario) string {
		if sc.Duration <= 0 {
			return "until all are synced"
		}
		text := figure.Short(roundTime(sc.Duration))
		if sc.Warmup > 0 {
			text += " after " + figure.Short(roundTime(sc.Warmup)) + " of warm-up"
		}
		return text
	})}
	for i := range f.Lines {
		if f.Lines[i].Of == "" {
			f.Lines[i].Of = strings.Join(b.sceneNames(), ", ")
		}
	}
	if n := b.repetitions(); n > 1 {
		f.Lines = append(f.Lines, factLine{Text: counted(int64(n), "run") + " of each"})
	}
	return f
}

func (b *builder) sceneNames() (names []string) {
	for _, s := range b.scenes {
		names = append(names, s.name)
	}
	return names
}

// repetitions is the largest number of runs that a target has of one scene.
func (b *builder) repetitions() int {
	n := 0
	for _, s := range b.scenes {
		for _, runs := range s.runs {
			n = max(n, len(runs))
		}
	}
	return n
}

func (b *builder) source() *bench.Source {
	for _, s := range b.subjects {
		for _, res := range s.results {
			if res.Source != nil {
				return res.Source
			}
		}
	}
	return nil
}

func roundTime(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d
}
