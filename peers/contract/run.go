package contract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchkv/watchkv/bench"

	"github.com/watchkv/watchkv/peers/job"
)

// sample is one run of one side.
type sample struct {
	metrics map[string]float64
	facts   bench.TargetFacts
	cut     time.Duration // not 0: it was cut after this time
	done    float64       // the part that was done, if cut
	heap    bool          // the checker was left out
	checked int64         // events that the checker compared
	took    time.Duration
}

// runs holds what was measured for one measurement, by side.
type runs struct {
	m       *measurement
	samples map[string][]sample // by name of the side
	limits  map[string]float64  // raw figures by job, side and name
	bare    []sample
}

func (r *runs) of(side string, heap bool) (out []sample) {
	for _, s := range r.samples[side] {
		if s.heap == heap {
			out = append(out, s)
		}
	}
	return out
}

// runner measures. Everything runs in child processes, one at a time.
type runner struct {
	dir     string // temporary, removed by the caller
	pairs   int
	longest time.Duration
	log     func(format string, args ...any)
	made    map[string]bool // prepared folders
}

func (r *runner) sides(m *measurement) (sides []job.Side) {
	if !m.noPeer {
		sides = append(sides, job.Side{Name: job.Etcd, Sync: m.sync})
	}
	for _, e := range m.engines {
		sides = append(sides, job.Side{Name: e, Sync: m.sync})
	}
	return sides
}

// measure runs the pairs, then the limits, then one pair without the checker.
func (r *runner) measure(ctx context.Context, key string, m *measurement) (*runs, error) {
	out := &runs{m: m, samples: map[string][]sample{}, limits: map[string]float64{}}
	sides := r.sides(m)
	for pair := range r.pairs {
		for _, side := range sides {
			if pair > 0 && side.Name == job.Etcd && out.samples[side.Name][0].cut > 0 {
				continue // as slow as that it was seen once
			}
			if err := r.once(ctx, out, key, side, false, fmt.Sprintf("pair %d of %d", pair+1, r.pairs)); err != nil {
				return out, err
			}
		}
	}
	for _, name := range m.limits {
		if err := r.limit(ctx, out, key, name); err != nil {
			return out, err
		}
	}
	if m.scenario.Name == bench.Register || m.scenario.Name == bench.Reopen {
		return out, nil // the checker is not in these
	}
	for _, side := range sides {
		paired := side.Name == job.Etcd || side.Name == m.engines[0]
		if !paired && !m.heap {
			continue
		}
		if err := r.once(ctx, out, key, side, true, "without the checker"); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (r *runner) once(ctx context.Context, out *runs, key string, side job.Side, unchecked bool, what string) error {
	at := time.Now()
	s, err := r.run(ctx, out.m, side, unchecked)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	s.took = time.Since(at)
	out.samples[side.Name] = append(out.samples[side.Name], s)
	cut := ""
	if s.cut > 0 {
		cut = fmt.Sprintf(", cut at %v, %.1f%% done", s.cut.Round(time.Second), 100*s.done)
	}
	r.log("%s %s, %s: %.1f s%s", key, side, what, s.took.Seconds(), cut)
	return nil
}

func (r *runner) run(ctx context.Context, m *measurement, side job.Side, unchecked bool) (s sample, err error) {
	j := job.Job{Side: side, Plan: planOf(m.scenario), Unchecked: unchecked}
	if side.Name == job.Etcd {
		j.Longest = r.longest
	}
	if m.prepared && !side.Volatile() {
		if j.Dir, err = r.prepare(ctx, m, side); err != nil {
			return s, err
		}
		j.Prepared, j.Keep = true, true
	}
	if j.Dir == "" || m.copied {
		own, err := os.MkdirTemp(r.dir, "run-*")
		if err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
		if j.Dir != "" {
			if err := os.CopyFS(own, os.DirFS(j.Dir)); err != nil {
				return s, err
			}
		}
		j.Dir = own
	}
	o, err := job.Run(ctx, j)
	if err != nil {
		return s, err
	}
	return sampleOf(o.Result, unchecked)
}

func planOf(sc bench.Scenario) *bench.Plan {
	return &bench.Plan{Seed: 1, Count: 1, Scenarios: []bench.Scenario{sc}}
}

func sampleOf(res *bench.Result, unchecked bool) (s sample, err error) {
	if b := res.Broken; b != nil {
		return s, fmt.Errorf("%s broke %s %s: %s (%s)", res.Target.Kind, b.Rule, b.Name, b.Detail, b.Watch)
	}
	s.facts, s.heap = res.Target, unchecked
	if len(res.Runs) == 1 {
		s.metrics = res.Runs[0].Metrics
		for _, p := range res.Runs[0].Promises {
			if p.Rule == "G9" {
				s.checked = p.Checked
			}
		}
	}
	if cut := res.CutShort; cut != nil {
		s.cut = max(cut.Measured, time.Second)
		s.done = s.metrics["done_ratio"]
	}
	return s, nil
}

// prepare writes the history of a measurement once for each side.
func (r *runner) prepare(ctx context.Context, m *measurement, side job.Side) (string, error) {
	side.Sync = false
	sc := m.scenario
	name := fmt.Sprintf("%s-%d-%d", side.Name, sc.History, sc.Keys)
	dir := filepath.Join(r.dir, name)
	if r.made[name] {
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	at := time.Now()
	fill := bench.Scenario{Name: bench.Reopen, Shape: bench.OneKey, Keys: sc.Keys, ValueBytes: sc.ValueBytes, History: sc.History}
	if _, err := job.Run(ctx, job.Job{Side: side, Plan: planOf(fill), Dir: dir, Keep: true, Unchecked: true}); err != nil {
		return "", err
	}
	r.made[name] = true
	r.log("history of %d revisions of %d keys written to %s: %.1f s", sc.History, sc.Keys, side, time.Since(at).Seconds())
	return dir, nil
}

// limit runs one job of what a figure could be at most.
func (r *runner) limit(ctx context.Context, out *runs, key, name string) error {
	m := out.m
	sides := []job.Side{{Name: job.Bare}}
	if slices.Contains([]string{job.RawScan, job.RawGroupCommit, job.RawApply}, name) {
		sides = nil
		for _, e := range m.engines {
			sides = append(sides, job.Side{Name: e, Sync: m.sync})
		}
	}
	for _, side := range sides {
		if name == bareJob {
			s, err := r.run(ctx, m, side, false)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			out.bare = append(out.bare, s)
			r.log("%s %s", key, side)
			continue
		}
		raw, err := r.raw(ctx, m, side, name)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for figure, v := range raw {
			out.limits[limitKey(name, side.Name, figure)] = v
		}
		r.log("%s %s, limit: %s", key, side, name)
	}
	return nil
}

func limitKey(job, side, figure string) string { return job + " " + side + " " + figure }

func (r *runner) raw(ctx context.Context, m *measurement, side job.Side, name string) (_ map[string]float64, err error) {
	j := job.Job{Side: side, Raw: name, Plan: planOf(m.scenario)}
	if name == job.RawScan && !side.Volatile() {
		if j.Dir, err = r.prepare(ctx, m, side); err != nil {
			return nil, err
		}
	} else {
		if j.Dir, err = os.MkdirTemp(r.dir, "raw-*"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(j.Dir)) }()
	}
	o, err := job.Run(ctx, j)
	if err != nil {
		return nil, err
	}
	return o.Raw, nil
}
