package versus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchkv/watchkv/bench"

	"github.com/watchkv/watchkv/peers/job"
	"github.com/watchkv/watchkv/peers/wire"
)

// sample is one run of one side.
type sample struct {
	mode    mode
	metrics map[string]float64
	facts   bench.TargetFacts
	cut     time.Duration // not 0: it was cut after this time
	done    float64       // the part that was done, if cut
	events  int64         // that the checker compared
	server  bool          // measured over the wire
}

// runs holds what was measured for one measurement.
type runs struct {
	samples map[string][]sample // by name of the side, in the order of the pairs
	bare    []sample
	limits  map[string]float64 // raw figures, by limitKey
}

func (r *runs) of(side string, m mode) (out []sample) {
	for _, s := range r.samples[side] {
		if s.mode == m {
			out = append(out, s)
		}
	}
	return out
}

// runner measures. Everything runs in a child process, one at a time.
type runner struct {
	dir     string // for data; the caller removes it
	pairs   int
	longest time.Duration // of the measured part of a peer run
	log     func(format string, args ...any)
	seed    uint64          // of all plans: both sides have the same load
	made    map[string]bool // prepared folders
	servers *wire.Binaries
	rawFor  time.Duration // of jobs that measure a limit; 0 is what they do
}

func newRunner(dir string, pairs int, longest time.Duration, log io.Writer) *runner {
	began := time.Now()
	return &runner{
		dir: dir, pairs: pairs, longest: longest, seed: 1, made: map[string]bool{}, servers: wire.NewBinaries(dir),
		log: func(format string, args ...any) {
			fmt.Fprintf(log, "%6.0f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		},
	}
}

// inspect describes the machine and measures what it costs to copy an event of
// etcd's, in nanoseconds; 0 if that failed.
func (r *runner) inspect(ctx context.Context) (m bench.Machine, convert float64) {
	m = bench.InspectMachine(r.dir)
	if fsync, err := bench.MeasureFsync(r.dir); err == nil {
		m.Fsync = fsync
	}
	if o, err := job.Run(ctx, job.Job{Raw: job.RawConversion}); err == nil {
		convert = o.Raw["event_ns"]
	}
	return m, convert
}

// brokenError says that one side broke a promise.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

func isBroken(err error) bool {
	var broken *brokenError
	return errors.As(err, &broken)
}

func (r *runner) sides(m *measurement) []job.Side {
	sides := []job.Side{{Name: job.Etcd, Sync: m.sync}}
	for _, e := range m.engines {
		sides = append(sides, job.Side{Name: e, Sync: m.sync})
	}
	return sides
}

// measure runs the pairs, then the limits, then what is not checked.
func (r *runner) measure(ctx context.Context, key string, m *measurement) (*runs, error) {
	out := &runs{samples: map[string][]sample{}, limits: map[string]float64{}}
	sides := r.sides(m)
	paired, all := sides[:2], sides
	if err := r.repeat(ctx, out, key, m, all, checked, r.pairs); err != nil {
		return nil, err
	}
	for _, name := range m.limits {
		if err := r.limit(ctx, out, key, m, name); err != nil {
			return nil, err
		}
	}
	if m.everyone {
		paired = all
	}
	if err := r.repeat(ctx, out, key, m, paired, unchecked, min(m.unchecked, r.pairs)); err != nil {
		return nil, err
	}
	if m.unread {
		return out, r.repeat(ctx, out, key, m, sides[:2], unread, r.pairs)
	}
	return out, nil
}

// repeat runs the sides in turn. A peer that was cut is not run again in the
// same mode: it is as slow as that.
func (r *runner) repeat(ctx context.Context, out *runs, key string, m *measurement, sides []job.Side, mode mode, n int) error {
	for i := range n {
		for _, side := range sides {
			if before := out.of(side.Name, mode); side.Name == job.Etcd && len(before) > 0 && before[0].cut > 0 {
				continue
			}
			at := time.Now()
			s, err := r.run(ctx, m, side, mode)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			out.samples[side.Name] = append(out.samples[side.Name], s)
			what := fmt.Sprintf("%s: run %d of %d, %s", key, i+1, n, side)
			if mode != checked {
				what += ", " + string(mode)
			}
			if s.cut > 0 {
				what += ", " + s.cutText()
			}
			r.log("%s (%.1f s)", what, time.Since(at).Seconds())
		}
	}
	return nil
}

func (s sample) cutText() string {
	return fmt.Sprintf("cut at %.3g s, %.1f%% done", s.cut.Seconds(), 100*s.done)
}

func (r *runner) run(ctx context.Context, m *measurement, side job.Side, mode mode) (s sample, err error) {
	if m.wire != nil {
		return r.runServer(ctx, m, side)
	}
	j := job.Job{Side: side, Plan: r.planOf(m.scenario), Unchecked: mode == unchecked, Unread: mode == unread}
	if side.Name == job.Etcd {
		j.Longest = r.longest + m.scenario.Warmup + m.scenario.Quiet
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
	return sampleOf(o.Result, mode)
}

// runServer measures a server that is started for this run on data of its own.
func (r *runner) runServer(ctx context.Context, m *measurement, side job.Side) (s sample, err error) {
	dir, err := os.MkdirTemp(r.dir, "server-*")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := r.servers.Start(ctx, side.Name, dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	s.server, s.facts = true, bench.TargetFacts{Kind: "server", Engine: side.Name, Durability: "sync"}
	s.metrics, err = m.wire(ctx, server)
	s.events = int64(s.metrics[wire.Checked])
	return s, err
}

func (r *runner) planOf(sc bench.Scenario) *bench.Plan {
	return &bench.Plan{Seed: r.seed, Count: 1, Scenarios: []bench.Scenario{sc}}
}

func sampleOf(res *bench.Result, mode mode) (sample, error) {
	s := sample{mode: mode, facts: res.Target}
	if b := res.Broken; b != nil {
		return s, &brokenError{fmt.Sprintf("BROKEN by %s: %s %s: %s (%s)", res.Target.Kind, b.Rule, b.Name, b.Detail, b.Watch)}
	}
	if len(res.Runs) == 1 {
		s.metrics = res.Runs[0].Metrics
		for _, p := range res.Runs[0].Promises {
			if p.Rule == "G9" {
				s.events = p.Checked
			}
		}
	}
	if cut := res.CutShort; cut != nil {
		s.cut, s.done = max(cut.Measured, cut.After), s.metrics["done_ratio"]
		if cut.Measured > 0 {
			s.cut = cut.Measured
		}
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
	if _, err := job.Run(ctx, job.Job{Side: side, Plan: r.planOf(fill), Dir: dir, Keep: true, Unchecked: true}); err != nil {
		return "", err
	}
	r.made[name] = true
	r.log("%d revisions of %d keys written, %s (%.1f s)", sc.History, sc.Keys, side, time.Since(at).Seconds())
	return dir, nil
}

// limit runs one job that says what a figure could be at most; those of an
// engine on each of them.
func (r *runner) limit(ctx context.Context, out *runs, key string, m *measurement, name string) error {
	if name == bareJob {
		s, err := r.run(ctx, m, job.Side{Name: job.Bare}, checked)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		out.bare = append(out.bare, s)
		r.log("%s: limit, %s", key, name)
		return nil
	}
	sides := []job.Side{{Name: job.Bare}}
	if slices.Contains([]string{job.RawScan, job.RawGroupCommit, job.RawApply}, name) {
		sides = r.sides(m)[1:]
	}
	for _, side := range sides {
		raw, err := r.raw(ctx, m, side, name)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for figure, v := range raw {
			out.limits[limitKey(name, side.Name, figure)] = v
		}
		r.log("%s: limit, %s, %s", key, name, side.Name)
	}
	return nil
}

func limitKey(job, side, figure string) string { return job + ", " + side + ", " + figure }

func (r *runner) raw(ctx context.Context, m *measurement, side job.Side, name string) (_ map[string]float64, err error) {
	j := job.Job{Side: side, Raw: name, Plan: r.planOf(m.scenario), RawFor: r.rawFor}
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
