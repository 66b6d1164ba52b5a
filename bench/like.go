package bench

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// Check reports whether the plan can be measured: one from a file may hold
// anything. The error is an *Unreadable.
func (p Plan) Check() error {
	if len(p.Scenarios) == 0 {
		return unreadable("its plan has no scenario")
	}
	if p.Count < 1 || p.Count > 1000 {
		return unreadable("its plan has count %d; from 1 to 1000 is possible", p.Count)
	}
	for i, sc := range p.Scenarios {
		if err := sc.check(); err != nil {
			return unreadable("its plan cannot be measured: scenario %d, %v", i+1, err)
		}
	}
	return nil
}

func (s Scenario) check() error {
	if scenarioKinds[s.Name].fill == nil && s.Name != Replay {
		return fmt.Errorf("%q: unknown here", s.Name)
	}
	fields := reflect.ValueOf(s)
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
		switch v := fields.Field(i); {
		case v.CanInt() && v.Int() < 0, v.CanFloat() && v.Float() < 0:
			return fmt.Errorf("%s: %s is below 0", s.Name, name)
		}
	}
	asked := Settings{
		Shape: s.Shape, Watchers: s.Watchers, Streams: s.Streams, Rate: s.RatePerS, Writers: s.Writers, Keys: s.Keys,
		ValueBytes: &s.ValueBytes, History: s.History, Duration: s.Duration, Warmup: &s.Warmup,
	}
	switch {
	case s.Watchers < 1 || s.Streams < 1 || s.Keys < 1:
		return fmt.Errorf("%s: watchers, streams and keys must be at least 1", s.Name)
	case s.Shape == All:
		return fmt.Errorf("%s: shape all is no shape of one scenario", s.Name)
	case s.StalledStreams > s.Streams, s.Stall > s.Duration, s.Quiet > s.Duration, s.Bystanders > 10_000_000, s.Idle > 10_000_000:
		return fmt.Errorf("%s: a part is larger than the whole", s.Name)
	}
	if err := asked.validate(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := asked.fits(s); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// Unlike says in what the circumstances of two results differ, apart from
// their plans: "go1.26.8 here, go1.25.1 there".
func Unlike(here, there *Result) (all []string) {
	say := func(here, there string) {
		if here == there {
			return
		}
		all = append(all, fmt.Sprintf("%s here, %s there", named(here), named(there)))
	}
	a, b := here, there
	say(a.Target.Name(), b.Target.Name())
	if a.Target.Name() == b.Target.Name() || a.Target.Engine == b.Target.Engine {
		say(a.Target.Version, b.Target.Version)
	}
	say("watchbench "+build(a.MadeBy), "watchbench "+build(b.MadeBy))
	say(a.MadeBy.Go, b.MadeBy.Go)
	say(a.Machine.CPU, b.Machine.CPU)
	say(counted(a.Machine.Cores, "core"), counted(b.Machine.Cores, "core"))
	say(a.Machine.OS, b.Machine.OS)
	say(a.Machine.Filesystem, b.Machine.Filesystem)
	say(memory(a.Machine), memory(b.Machine))
	if a.Machine.Fsync != nil && b.Machine.Fsync != nil && apart(a.Machine.Fsync.P50, b.Machine.Fsync.P50) {
		say("fsync p50 "+figure.Duration(a.Machine.Fsync.P50), "fsync p50 "+figure.Duration(b.Machine.Fsync.P50))
	}
	if a.Target.Buffers() != b.Target.Buffers() {
		say(inOneLine(a.Target.Buffers()), inOneLine(b.Target.Buffers()))
	}
	return all
}

func named(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "unknown"
	}
	return s
}

func build(m MadeBy) string {
	if m.Commit == "" {
		return m.Watchbench
	}
	return m.Watchbench + " " + m.Commit[:min(12, len(m.Commit))]
}

// memory is the size of the machine, to the GiB: some MiB of it come and go
// with the kernel.
func memory(m Machine) string {
	if m.MemoryBytes == 0 {
		return ""
	}
	return fmt.Sprintf("%d GiB of memory", (m.MemoryBytes+1<<29)>>30)
}

// apart: one is more than half as much again as the other. Disks vary.
func apart(a, b time.Duration) bool { return 2*max(a, b) > 3*min(a, b) }

func inOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
