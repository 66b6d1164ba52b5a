// Package job runs one measurement in a process of its own, so that heap,
// collector and processor time of one side never touch the other: the program
// starts itself again, gives the child a [Job] as JSON on its standard input
// and reads an [Outcome] from its standard output.
package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Word is the argument that makes the program a child.
const Word = "job"

// Job is one measurement.
type Job struct {
	Side Side `json:"side"`
	// Plan to measure on Side, or Raw, the name of something below it.
	Plan *bench.Plan `json:"plan,omitempty"`
	Raw  string      `json:"raw,omitempty"`
	// Dir holds the data; it must exist. With Keep they stay.
	Dir  string `json:"dir"`
	Keep bool   `json:"keep,omitempty"`

	Prepared  bool          `json:"prepared,omitempty"`  // see bench.Options
	Unchecked bool          `json:"unchecked,omitempty"` // see bench.Options
	Unread    bool          `json:"unread,omitempty"`    // see bench.Options
	Longest   time.Duration `json:"longest_ns,omitempty"`
	RawFor    time.Duration `json:"raw_for_ns,omitempty"` // how long Raw writes or reads; 0 is 2 s
}

// folder of Job.Dir with the data.
const folder = "data"

// Outcome is what a job found.
type Outcome struct {
	Result *bench.Result      `json:"result,omitempty"`
	Raw    map[string]float64 `json:"raw,omitempty"`
	Failed string             `json:"failed,omitempty"`
}

// Run starts the child and waits for it.
func Run(ctx context.Context, j Job) (*Outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	in, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	var out, text bytes.Buffer
	cmd := exec.CommandContext(ctx, self, Word)
	cmd.Env = append(os.Environ(), environment+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &text
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("job: %s: %w: %s", j.Side, err, lastLines(text.String()))
	}
	var o Outcome
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		return nil, fmt.Errorf("job: %s: what the child wrote: %w", j.Side, err)
	}
	if o.Failed != "" {
		return &o, fmt.Errorf("job: %s: %s", j.Side, o.Failed)
	}
	return &o, nil
}

// environment tells a test binary that it is a child.
const environment = "WATCHKV_PEERS_JOB"

// IsChild reports whether this process is to run a job and nothing else.
func IsChild() bool { return os.Getenv(environment) != "" }

func lastLines(text string) string {
	const most = 4000
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return strings.TrimSpace(text)
}

// Child is the other end of Run.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	var j Job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("job: read: %w", err)
	}
	o, err := j.do(ctx)
	if err != nil {
		o.Failed = err.Error()
	}
	if err := json.NewEncoder(out).Encode(o); err != nil {
		return fmt.Errorf("job: write: %w", err)
	}
	return nil
}

func (j Job) do(ctx context.Context) (o Outcome, err error) {
	if j.Raw != "" {
		o.Raw, err = j.raw()
		return o, err
	}
	if j.Plan == nil {
		return o, errors.New("neither a plan nor a raw measurement")
	}
	kind, err := j.Side.kind()
	if err != nil {
		return o, err
	}
	o.Result, err = bench.Measure(ctx, *j.Plan, bench.Options{
		Kind: kind, Dir: j.Dir, Folder: folder, Keep: j.Keep, Prepared: j.Prepared,
		Unchecked: j.Unchecked, Unread: j.Unread, NoProbes: true, Longest: j.Longest,
	})
	if o.Result != nil {
		o.Result.Machine = bench.InspectMachine(j.Dir)
	}
	return o, err
}
