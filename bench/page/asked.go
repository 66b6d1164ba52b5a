package page

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// fact is a line of a list of facts.
type fact struct {
	Name string
	Text []string // a line each
}

func factOf(name string, lines ...string) fact { return fact{name, lines} }

// asked says in words what was to be measured.
func (b *builder) asked() (facts []fact, commands []string) {
	add := func(name string, words func(bench.Scenario) string) {
		if text := b.byScene(words); text != "" {
			facts = append(facts, factOf(name, text))
		}
	}
	add("Watchers", func(sc bench.Scenario) string {
		return fmt.Sprintf("%s on %s, %s", figure.Count(int64(sc.Watchers)), counted(int64(sc.Streams), "stream"), shapeWords(sc))
	})
	add("Writers", func(sc bench.Scenario) string {
		if sc.RatePerS > 0 {
			return loadWords(sc) + ", open loop"
		}
		return loadWords(sc)
	})
	add("Data", func(sc bench.Scenario) string {
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
	var stalls []string
	for _, s := range b.scenes {
		if s.sc.StalledStreams > 0 {
			stalls = append(stalls, fmt.Sprintf("%d of %s stop reading for %s (%s)", s.sc.StalledStreams, counted(int64(s.sc.Streams), "stream"), figure.Short(roundTime(s.sc.Stall)), s.name))
		}
	}
	if len(stalls) > 0 {
		facts = append(facts, factOf("Stall", stalls...))
	}
	facts = append(facts, factOf("Scenarios", b.scenarioWords()...))
	facts = append(facts, b.bySubject("Durability", durabilityWords), b.bySubject("Buffers", func(s *subject) string { return s.facts().Buffers() }))
	for _, s := range b.subjects {
		for _, res := range s.results {
			if line := commandLine(res.Command); line != "" && !slices.Contains(commands, line) {
				commands = append(commands, line)
			}
		}
	}
	return facts, commands
}

// byScene says something of all scenes: once if it is the same for all, else
// with the scenes it is said of.
func (b *builder) byScene(words func(bench.Scenario) string) string {
	var order []string
	of := map[string][]string{}
	for _, s := range b.scenes {
		text := words(s.sc)
		if text == "" {
			continue
		}
		if of[text] == nil {
			order = append(order, text)
		}
		of[text] = append(of[text], s.name)
	}
	if len(order) < 2 {
		return strings.Join(order, "")
	}
	for i, text := range order {
		order[i] = text + " (" + strings.Join(of[text], ", ") + ")"
	}
	return strings.Join(order, "; ")
}

// bySubject says something of all targets, a line for each that differs.
func (b *builder) bySubject(name string, words func(*subject) string) fact {
	var order []string
	of := map[string][]string{}
	for _, s := range b.subjects {
		text := words(s)
		if of[text] == nil {
			order = append(order, text)
		}
		of[text] = append(of[text], s.name)
	}
	if len(order) == 1 {
		return factOf(name, order...)
	}
	for i, text := range order {
		order[i] = strings.Join(of[text], ", ") + ": " + text
	}
	return factOf(name, order...)
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

// scenarioWords: what was run, and how long.
func (b *builder) scenarioWords() []string {
	text := b.byScene(func(sc bench.Scenario) string {
		if sc.Duration <= 0 {
			return "until all are synced"
		}
		text := figure.Short(roundTime(sc.Duration)) + " each"
		if sc.Warmup > 0 {
			text += " after " + figure.Short(roundTime(sc.Warmup)) + " of warm-up"
		}
		return text
	})
	if !strings.Contains(text, "(") {
		var names []string
		for _, s := range b.scenes {
			names = append(names, s.name)
		}
		text = strings.Join(names, ", ") + ": " + text
	}
	lines := []string{text}
	if n := b.repetitions(); n > 1 {
		lines = append(lines, fmt.Sprintf("%d repetitions", n))
	}
	return lines
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

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=,%+@-]+$`)

// commandLine is a command as a shell takes it.
func commandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; !plainWord.MatchString(w) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
