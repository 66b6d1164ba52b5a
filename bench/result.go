package bench

import (
	"math"
	"time"
)

// Schema names the form of a Result as JSON. Adding a field keeps it, changing
// a meaning raises its number.
const Schema = "watchbench.result/1"

// Result is what a run found. Reports are views of it.
type Result struct {
	Schema   string    `json:"schema"`
	Complete bool      `json:"complete"` // everything planned was measured
	CutShort *CutShort `json:"cut_short"`
	MadeBy   MadeBy    `json:"made_by"`
	// Command that was given, the program's name first.
	Command []string    `json:"command"`
	Started time.Time   `json:"started"`
	Target  TargetFacts `json:"target"`
	Machine Machine     `json:"machine"`
	Plan    Plan        `json:"plan"`
	// Unchecked: the checker was left out, so nothing is known about the
	// promises.
	Unchecked bool `json:"unchecked,omitempty"`
	// Unread: events were counted and not read; none was delivered in the
	// sense of the other results.
	Unread bool `json:"unread,omitempty"`
	// Source describes a history that came from elsewhere.
	Source *Source `json:"source,omitempty"`
	Runs   []Run   `json:"runs"`
	// Broken is the promise that broke, if one did. The runs then carry no
	// metrics, histograms or series.
	Broken *Broken `json:"broken,omitempty"`
	// Failed is why the run ended before its time, if it did.
	Failed string `json:"failed,omitempty"`
}

// MadeBy names the program and what is linked into it.
type MadeBy struct {
	Watchbench string            `json:"watchbench"`
	Commit     string            `json:"commit,omitempty"`
	Go         string            `json:"go"`
	Modules    map[string]string `json:"modules,omitempty"`
}

// CutShort says where a run was stopped by its user.
type CutShort struct {
	Scenario string        `json:"scenario"`
	After    time.Duration `json:"after_ns"`          // since the scenario began
	Of       time.Duration `json:"of_ns,omitempty"`   // what it was planned to take; 0: until done
	Measured time.Duration `json:"measured_ns"`       // after warm-up
	NotRun   []string      `json:"not_run,omitempty"` // scenarios that never began
	// GivenUp: the target did not answer its puts when its time was over. They
	// and its store stay as they are until the process ends, so that nothing
	// measured after it in this process would be of one target alone.
	GivenUp bool `json:"given_up,omitempty"`
}

// Source is a history from a file.
type Source struct {
	File       string `json:"file"` // as given, without its folders
	Bytes      int64  `json:"bytes"`
	Revisions  int64  `json:"revisions"` // that hold events
	Events     int64  `json:"events"`
	Keys       int64  `json:"keys"`
	FirstRev   int64  `json:"first_revision"`
	LastRev    int64  `json:"last_revision"`
	CompactRev int64  `json:"compact_revision,omitempty"`
}

// Run is one scenario of one repetition.
type Run struct {
	Scenario   string `json:"scenario"` // with its shape, as Scenario.Title
	Repetition int    `json:"repetition"`
	Planned    int    `json:"plan_index"` // in Plan.Scenarios
	CutShort   bool   `json:"cut_short,omitempty"`
	// Began is when the scenario began, after Result.Started; Took how long it
	// lasted, with everything before and after the measured part.
	Began time.Duration `json:"began_ns,omitempty"`
	Took  time.Duration `json:"took_ns,omitempty"`

	Promises []Promise `json:"promises"`
	// Allowed are broken promises that were allowed to.
	Allowed []Allowed `json:"allowed_broken,omitempty"`
	// Metrics by name; the unit ends it. What was not measured is not here
	// but in NotMeasured, with the reason.
	Metrics     map[string]float64   `json:"metrics,omitempty"`
	NotMeasured map[string]string    `json:"not_measured,omitempty"`
	Histograms  map[string]Histogram `json:"histograms,omitempty"`
	Series      *Series              `json:"series,omitempty"`
	// CatchUp is how catching up went, in scenarios that measure it.
	CatchUp *Curve `json:"catchup_curve,omitempty"`
}

// Promise is the verdict on one rule.
type Promise struct {
	Rule    string `json:"rule"`
	Name    string `json:"name"`
	Class   string `json:"class"`
	Verdict string `json:"verdict"` // kept, broken, not checked, not promised
	Checked int64  `json:"checked"` // how often it could have broken
	// NotKept is how often a promise that the target does not give was seen not
	// to hold.
	NotKept int64 `json:"not_kept,omitempty"`
}

// Histogram is a distribution in HdrHistogram's compressed form. A signed one
// has two, of the amounts below zero and of the others.
type Histogram struct {
	HDR      string `json:"hdr_v2_base64,omitempty"`
	Signed   bool   `json:"signed,omitempty"`
	Negative string `json:"negative,omitempty"`
	Positive string `json:"positive,omitempty"`
}

// Series are figures of each interval since the scenario's load began. A
// latency of -1 stands for an interval without an event.
type Series struct {
	Interval        time.Duration `json:"interval_ns"`
	PutsPerS        []float64     `json:"puts_per_s"`
	EventsPerS      []float64     `json:"events_per_s"`
	NotifyP50       []int64       `json:"notify_p50_ns"`
	NotifyP99       []int64       `json:"notify_p99_ns"`
	NotifyMax       []int64       `json:"notify_max_ns"`
	LateP99         []int64       `json:"generator_late_p99_ns"`
	HeapBytes       []int64       `json:"heap_bytes"`
	VictimWatchers  []int         `json:"victim_watchers,omitempty"`
	UnsyncedWatcher []int         `json:"unsynced_watchers,omitempty"`
	// VictimsPerS are watches that met a full outbox.
	VictimsPerS []float64 `json:"victims_per_s,omitempty"`
	// Parts are the stretches that the scenario tells apart, in order; what is
	// before the first is the warm-up.
	Parts []Part `json:"parts,omitempty"`
}

// Part is a stretch of a series: "measured", or "before", "stalled" and
// "after" of slow. From and To count from the begin of the series.
type Part struct {
	Name string        `json:"name"`
	From time.Duration `json:"from_ns"`
	To   time.Duration `json:"to_ns"`
}

// Allowed is a promise that broke and was allowed to.
type Allowed struct {
	Broken        // the first time
	Watches int64 `json:"watches"` // that broke it; they were checked no further
}

// Broken is the record of a broken promise.
type Broken struct {
	Rule     string   `json:"rule"`
	Name     string   `json:"name"`
	Detail   string   `json:"detail"`
	Watch    string   `json:"watch"`
	Stream   string   `json:"stream,omitempty"`
	Scenario string   `json:"scenario"`
	Record   []string `json:"record"` // the few responses before, the breaking one last
	// RecordAt is when each of Record came, after the first of them; nil where
	// that is not known.
	RecordAt []time.Duration `json:"record_at_ns,omitempty"`
	// Responses are those of the watch that were kept, the breaking one last:
	// Record and some before it. Seen is how many the watch had in all.
	Responses []SeenResponse `json:"responses,omitempty"`
	Seen      int64          `json:"responses_seen,omitempty"`
}

// SeenResponse is a response of a watch in words.
type SeenResponse struct {
	At   time.Duration `json:"at_ns"` // after the first of those that were kept
	Text string        `json:"text"`
}

// metric looks a figure up; ok is false where it was not measured.
func (r *Run) metric(name string) (v float64, ok bool) {
	v, ok = r.Metrics[name]
	return v, ok
}

// set adds a figure. One that cannot be, such as a rate over no time at all,
// was not measured.
func (r *Run) set(name string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.absent(name, "there was nothing to divide by")
		return
	}
	r.Metrics[name] = v
}

// done notes the part of what was planned that was done, unless the scenario
// knows better.
func (r *Run) done(ratio float64) {
	if _, known := r.Metrics["done_ratio"]; !known && r.Metrics != nil {
		r.set("done_ratio", ratio)
	}
}

func (r *Run) absent(name, reason string) { r.NotMeasured[name] = reason }

// strip removes every figure of a run whose promises did not hold.
func (r *Run) strip() {
	r.Metrics, r.NotMeasured, r.Histograms, r.Series, r.CatchUp = nil, nil, nil, nil, nil
}
