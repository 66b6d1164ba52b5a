package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Options are what a run needs beside its Plan.
type Options struct {
	// Kind opens the stores under test.
	Kind Kind
	// Dir holds the data, one folder for each scenario; it must exist. With
	// Keep the folders stay, else each is removed after its scenario.
	Dir  string
	Keep bool
	// Folder of Dir for the data of a plan with one scenario; empty is one
	// named after the scenario.
	Folder string
	// Prepared: the folder holds a store for the scenario already, its history
	// written by an earlier run with the same history, keys and seed and Keep.
	Prepared bool
	// Unchecked leaves the checker out, to show what it costs. Nothing is
	// known then about the promises.
	Unchecked bool
	// Unread counts events as they are handed over and reads none of them: what
	// handing them over costs. Implies Unchecked.
	Unread bool
	// NoProbes leaves out the few watches that a live scenario adds to look
	// at more promises.
	NoProbes bool
	// Longest bounds the measured part of each scenario; at the bound it is
	// cut short and keeps what it has. 0 is no bound. A target that does not
	// answer its puts then is given up and never closed: for processes that
	// end soon, or measure it no more; see CutShort.GivenUp.
	Longest time.Duration
	// Recording is the history that the scenario replay replays; Kind must
	// hold it.
	Recording *Recording
	// Allowed are rules that may break: the break is named in Run.Allowed, and
	// figures are made all the same. A watch that broke one is checked no
	// further.
	Allowed []string
	// Observe is told every half second what the last second looked like; nil
	// is nobody. It is called from one goroutine at a time and should return
	// soon.
	Observe func(Tick)
}

// Measure takes the scenarios of a plan one after another. When ctx ends, the
// scenario under way is cut short, and the result holds what was measured
// until then; that is no error. A broken promise is none either: it stands in
// Result.Broken. An error means that something could not be measured; the
// result then holds what was.
func Measure(ctx context.Context, plan Plan, o Options) (*Result, error) {
	o.Unchecked = o.Unchecked || o.Unread
	res := &Result{Schema: Schema, Started: time.Now().UTC().Truncate(time.Second), Target: o.Kind.Facts(), Plan: plan, Unchecked: o.Unchecked, Unread: o.Unread}
	if o.Recording != nil {
		res.Source = &o.Recording.Facts
	}
	r := &runner{plan: plan, options: o, began: time.Now(), result: res}
	err := r.all(ctx)
	if err != nil {
		res.Failed = err.Error()
	}
	if res.Broken != nil {
		for i := range res.Runs {
			res.Runs[i].strip()
		}
	}
	res.Complete = err == nil && res.Broken == nil && res.CutShort == nil
	return res, err
}

type runner struct {
	plan    Plan
	options Options
	began   time.Time
	result  *Result
	checked int64 // events of the scenarios that are over
	givenUp bool  // the scenario that was measured last, for want of answers
}

func (r *runner) all(ctx context.Context) error {
	for rep := 1; rep <= r.plan.Count; rep++ {
		for i := range r.plan.Scenarios {
			if ctx.Err() != nil {
				r.notRun(rep, i)
				return nil
			}
			began := time.Now()
			run, err := r.scenario(ctx, rep, i)
			var broken *watchtest.Broken
			switch {
			case errors.As(err, &broken):
				r.result.Runs = append(r.result.Runs, run)
				r.result.Broken = recordOf(broken, err, r.plan.Scenarios[i])
				return nil
			case errors.Is(err, errLongest), ctx.Err() != nil && (err == nil || errors.Is(err, context.Cause(ctx))):
				r.cutShort(&run, time.Since(began), rep, i)
				return nil
			case errors.As(err, new(*RefusedError)):
				return err
			case err != nil:
				return stopped(err, time.Since(began), r.plan.Scenarios[i])
			}
			r.result.Runs = append(r.result.Runs, run)
		}
	}
	return nil
}

// stopped says how far a scenario came that ended with err.
func stopped(err error, after time.Duration, sc Scenario) error {
	into := fmt.Sprintf("%s into %s", figure.Short(max(100*time.Millisecond, after.Round(100*time.Millisecond))), sc.Title())
	var gone *GoneError
	switch {
	case errors.As(err, &gone):
		return fmt.Errorf("target died %s: %w", into, gone)
	case errors.Is(err, ErrSpent):
		return fmt.Errorf("stopped %s: %w", into, ErrSpent)
	}
	return fmt.Errorf("stopped %s: %w", into, err)
}

// cutShort notes where the run was stopped, and keeps what was measured.
func (r *runner) cutShort(run *Run, after time.Duration, rep, i int) {
	sc := r.plan.Scenarios[i]
	run.CutShort = true
	measured := time.Duration(run.Metrics["measured_ns"])
	of := sc.Duration
	if of > 0 {
		run.done(min(1, float64(measured)/float64(of))) // it may have stood still beyond its time
		of += sc.Warmup
	}
	r.result.CutShort = &CutShort{Scenario: sc.Title(), After: after, Of: of, Measured: measured, GivenUp: r.givenUp}
	r.notRun(rep, i+1)
	if measured > 0 {
		r.result.Runs = append(r.result.Runs, *run)
	}
}

// notRun lists the scenarios that never began: from number i of repetition
// rep on.
func (r *runner) notRun(rep, i int) {
	if r.result.CutShort == nil {
		r.result.CutShort = &CutShort{}
	}
	cut := r.result.CutShort
	for ; rep <= r.plan.Count; rep, i = rep+1, 0 {
		for _, sc := range r.plan.Scenarios[i:] {
			title := sc.Title()
			if r.plan.Count > 1 {
				title += " " + strconv.Itoa(rep)
			}
			cut.NotRun = append(cut.NotRun, title)
		}
	}
}

// scenario opens a store of its own, measures, and judges.
func (r *runner) scenario(ctx context.Context, rep, i int) (run Run, err error) {
	sc := r.plan.Scenarios[i]
	run = Run{
		Scenario: sc.Title(), Repetition: rep, Planned: i, Began: time.Since(r.began),
		Metrics: map[string]float64{}, NotMeasured: map[string]string{}, Histograms: map[string]Histogram{},
	}
	defer func() { run.Took = time.Since(r.began) - run.Began }()
	dir := filepath.Join(r.options.Dir, either(r.options.Folder, FolderOf(r.plan, rep, i)))
	givenUp := false
	if !r.options.Keep {
		defer func() {
			if !givenUp {
				err = errors.Join(err, os.RemoveAll(dir))
			}
		}()
	}
	target, err := r.options.Kind.Open(dir)
	if err != nil {
		return run, err
	}
	if rep == 1 && i == 0 {
		if err := able(r.plan, target); err != nil {
			return run, errors.Join(err, target.Close())
		}
	}
	s, err := newSession(ctx, r.plan, sc, target, r.options)
	if err != nil {
		return run, errors.Join(err, target.Close())
	}
	s.began, s.observe, s.number, s.repetition, s.checkedBefore = r.began, r.options.Observe, i, rep, r.checked
	defer func() { r.checked += s.delivered() }()
	s.dir = dir
	m := newMeasurement(sc, r.options.Recording)
	err = m.measure(s)
	counts, judged := s.close(err == nil)
	counts.Add(m.looked())
	err = errors.Join(err, judged)
	if !r.options.Unchecked {
		run.Promises = promises(counts, err, r.options.Kind.Facts().EtcdRules)
		run.Allowed = s.allowedBreaks(run.Promises)
	}
	if s.ended > 0 { // something was measured
		m.figures(s, &run)
		s.machineFigures(&run)
		if counts.Previous > 0 {
			run.set("prevkv.absent", float64(counts.PreviousGone))
		}
		if len(s.series.EventsPerS) > 0 { // it took at least a second
			run.Series = s.series
		}
		run.CatchUp = s.curve
	}
	givenUp = s.givenUp.Load()
	r.givenUp = givenUp
	if s.target != nil && !givenUp {
		err = errors.Join(err, s.target.Close())
	}
	if facts := r.options.Kind.Facts(); facts.Server() {
		run.absent("disk.data_bytes", "a server's files are not visible from outside")
	} else if facts.Volatile {
		run.absent("disk.data_bytes", facts.Engine+" keeps nothing on disk")
	} else if sc.Name == Replay {
		run.absent("disk.data_bytes", "a replay writes nothing")
	} else if n, sizeErr := diskBytes(dir); sizeErr != nil {
		run.absent("disk.data_bytes", sizeErr.Error())
	} else {
		run.set("disk.data_bytes", float64(n))
	}
	return run, err
}

// FolderOf is the folder, inside Options.Dir, of scenario i of a plan in
// repetition rep.
func FolderOf(p Plan, rep, i int) string {
	name := strings.ReplaceAll(p.Scenarios[i].Title(), "/", "-")
	if p.Count > 1 {
		name = strconv.Itoa(rep) + "-" + name
	}
	return name
}

// checkedWindow bounds, in events, what the checker remembers where nobody
// reads history: 160 MiB, and minutes at full speed. A watch that falls
// further behind is checked by what its responses show alone.
const checkedWindow = 4 << 20

func newSession(ctx context.Context, plan Plan, sc Scenario, target Target, o Options) (*session, error) {
	rev, err := target.Rev(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{
		sc: sc, target: target, clock: newClock(), rec: newRecorder(), answers: newAnswers(),
		options: o, etcdRules: o.Kind.Facts().EtcdRules, cut: make(chan struct{}),
	}
	recording := o.Recording
	if sc.Name == Replay {
		if rev != recording.rev {
			return nil, fmt.Errorf("the store says it is at revision %d, the file holds history up to %d", rev, recording.rev)
		}
		s.work, s.history = recording.workload(), recording.history
	} else {
		prefix, shared := prefixOf(target)
		s.work = newWorkload(plan.Seed, sc, prefix, shared)
		cfg := watchtest.HistoryConfig{After: rev, LengthOnly: true, Shared: shared}
		if o.Prepared {
			cfg.After = emptyRev
		}
		if sc.History == 0 {
			cfg.Window = checkedWindow
		}
		s.history = watchtest.NewHistory(cfg)
	}
	s.rev.Store(rev)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s, nil
}

// promises turns what was looked at into verdicts.
func promises(counts watchtest.Counts, err error, etcdRules bool) []Promise {
	var broke []*watchtest.Broken
	var b *watchtest.Broken
	if errors.As(err, &b) {
		broke = append(broke, b)
	}
	verdicts := watchtest.Verdicts(counts, broke...)
	notKept := counts.NotKept()
	out := make([]Promise, len(verdicts))
	for i, v := range verdicts {
		out[i] = Promise{Rule: v.ID, Name: v.Name, Class: string(v.Class), Verdict: string(v.Outcome), Checked: v.Checked}
		if etcdRules && v.Class == watchtest.Ours {
			out[i].Verdict, out[i].Checked = "not promised", 0
			out[i].NotKept = notKept[v.ID]
		}
	}
	return out
}

// shownResponses is how many responses of a watch are shown with a broken
// promise, the breaking one included.
const shownResponses = 5

// Responses that the checker keeps of each watch, within recordBytes in all:
// more than that would not stay in the caches while a thousand watches take
// turns.
const (
	recordBytes   = 4 << 20
	responseBytes = 88
	mostKept      = 64
)

// keptResponses is how many responses are kept of each watch, if there are
// that many watches.
func keptResponses(watches int) int {
	return min(mostKept, max(shownResponses-1, recordBytes/responseBytes/max(1, watches)))
}

// recordOf is the record of a broken promise; err names the stream in front.
func recordOf(b *watchtest.Broken, err error, sc Scenario) *Broken {
	rec := &Broken{Rule: b.ID, Name: b.Name, Detail: b.Detail, Watch: b.Watch, Scenario: sc.Title(), Seen: b.Responses}
	first := max(0, len(b.Record)-shownResponses)
	rec.Record = b.Record[first:]
	if len(b.At) == len(b.Record) {
		for i, text := range b.Record {
			rec.Responses = append(rec.Responses, SeenResponse{b.At[i] - b.At[0], text})
			if i >= first {
				rec.RecordAt = append(rec.RecordAt, b.At[i]-b.At[first])
			}
		}
	}
	var on *streamError
	if errors.As(err, &on) {
		rec.Stream = on.stream
	}
	return rec
}
