package versus

import (
	"math"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// ContractSchema names the form of a result file of Contract. Adding a field keeps it.
const ContractSchema = "watchkv.contract/1"

// fileHead is what result files of both commands say of the run.
type fileHead struct {
	Schema  string        `json:"schema"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	Machine bench.Machine `json:"machine"`
	Seed    uint64        `json:"seed"`
	Pairs   int           `json:"pairs"`
	Longest time.Duration `json:"peer_cut_after_ns"`
	Convert float64       `json:"etcd_event_copy_ns"`
	Unequal []string      `json:"not_equal"`
}

// file is the result as JSON. Figures are in the unit of their metric:
// nanoseconds, bytes, a second, or times. What was not measured is left out.
type file struct {
	fileHead
	Kind  string     `json:"kind"` // full, quick or smoke
	Notes []string   `json:"notes,omitempty"`
	Lines []fileLine `json:"lines"`
	// Measurements are what the lines are read from: every run of every side.
	Measurements map[string]fileMeasurement `json:"measurements"`
}

type fileLine struct {
	Row         string    `json:"row,omitempty"`
	What        string    `json:"what"`
	Engine      string    `json:"engine"`
	Measurement string    `json:"measurement"`
	Mode        mode      `json:"mode,omitempty"`
	LessIsMore  bool      `json:"less_is_better,omitempty"`
	Watchkv     *float64  `json:"watchkv,omitempty"`
	Etcd        *float64  `json:"etcd,omitempty"`
	EtcdCut     bool      `json:"etcd_cut,omitempty"`
	EtcdDone    float64   `json:"etcd_done_ratio,omitempty"`
	Ratio       *float64  `json:"ratio,omitempty"`
	Ratios      []float64 `json:"ratios,omitempty"`
	Limit       *float64  `json:"limit,omitempty"`
	Must        string    `json:"must,omitempty"`
	MustIs      outcome   `json:"must_is,omitempty"`
	Reach       string    `json:"reach,omitempty"`
	ReachIs     outcome   `json:"reach_is,omitempty"`
	Failed      string    `json:"failed,omitempty"`
}

type fileMeasurement struct {
	Scenario bench.Scenario          `json:"scenario"`
	Sides    map[string][]fileSample `json:"sides,omitempty"`
	Bare     []fileSample            `json:"bare,omitempty"`
	Limits   map[string]float64      `json:"limits,omitempty"`
	Failed   string                  `json:"failed,omitempty"`
}

type fileSample struct {
	Mode    mode               `json:"mode,omitempty"`
	Facts   bench.TargetFacts  `json:"target"`
	Cut     time.Duration      `json:"cut_after_ns,omitempty"`
	Checked int64              `json:"events_checked,omitempty"`
	Metrics map[string]float64 `json:"metrics"`
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (s *session) writeFile(path string) error {
	f := file{
		fileHead: fileHead{
			Schema: ContractSchema, Started: s.began.UTC().Truncate(time.Second), Took: time.Since(s.began), Machine: s.machine,
			Seed: s.runner.seed, Pairs: s.pairs, Longest: s.longest, Convert: s.convert, Unequal: Unequal,
		},
		Kind: s.kind, Notes: s.notes,
		Measurements: map[string]fileMeasurement{},
	}
	for _, v := range s.verdicts {
		f.Lines = append(f.Lines, lineOf(v, s.failed[v.of]))
	}
	measurements, _ := table(s.sizes)
	for key, r := range s.runs {
		f.Measurements[key] = measurementOf(measurements[key].scenario, r, s.failed[key])
	}
	return writeJSON(path, f)
}

func lineOf(v verdict, failed error) fileLine {
	l := fileLine{
		Row: v.row, What: strings.TrimSpace(v.what), Engine: v.engine, Measurement: v.of, Mode: v.mode, LessIsMore: v.less,
		Watchkv: known(v.own), Etcd: known(v.peer), Ratio: known(v.ratio), Ratios: v.ratios(), Limit: known(v.limitAt),
		Must: v.must.text(v.show), MustIs: v.musts, Reach: v.reach.text(v.show), ReachIs: v.reaches, Failed: errorText(failed),
	}
	if v.cut != nil {
		l.EtcdCut, l.EtcdDone = true, v.cut.done
	}
	return l
}

func measurementOf(sc bench.Scenario, r *runs, failed error) fileMeasurement {
	m := fileMeasurement{Scenario: sc, Failed: errorText(failed)}
	if r != nil {
		m.Limits, m.Bare, m.Sides = r.limits, fileSamples(r.bare), map[string][]fileSample{}
		for side, samples := range r.samples {
			m.Sides[side] = fileSamples(samples)
		}
	}
	return m
}

func fileSamples(samples []sample) (out []fileSample) {
	for _, s := range samples {
		out = append(out, fileSample{Mode: s.mode, Facts: s.facts, Cut: s.cut, Checked: s.events, Metrics: s.metrics})
	}
	return out
}
