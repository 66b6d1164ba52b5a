package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must come by itself before it
// calls that a hang.
const patience = 2 * time.Minute

// child is a process that a test started: the test binary itself in a role,
// perhaps under a tool such as a tracer.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	report *report

	mu     sync.Mutex // leaf: guards the four below
	facts  int
	recent []fact       // newest facts, for messages
	other  bytes.Buffer // what was no line of a report, and its standard error
	waits  []*factWait

	ended chan struct{} // closed when the process has ended and all is read
	err   error         // how it ended; set before ended is closed
}

// factWait is somebody who waits for a fact.
type factWait struct {
	match func(fact) bool
	found chan fact // one place, one send
}

// startWorker starts a child of role "work". tool is a program with its
// arguments to run it under; nothing for none.
func startWorker(t *testing.T, c childConfig, tool ...string) *child {
	t.Helper()
	c.Role = "work"
	return startChild(t, c, c.Seed, tool...)
}

// startChild starts the test binary with a configuration that has a Role, and
// reads its report. It is ended with the test at the latest.
func startChild(t *testing.T, config any, seed uint64, tool ...string) *child {
	t.Helper()
	raw, err := json.Marshal(config)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	args := append(append([]string(nil), tool...), self, "-faults.child="+string(raw))
	c := &child{cmd: exec.Command(args[0], args[1:]...), report: newReport(seed), ended: make(chan struct{})}
	// A group of its own: a tool around it and the process itself die together.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.cmd.Stderr = lockedWriter{c}
	require.NoError(t, c.cmd.Start())
	go c.listen(stdout)
	t.Cleanup(func() {
		c.kill()
		<-c.ended
	})
	return c
}

// lockedWriter keeps the end of a child's standard error.
type lockedWriter struct{ c *child }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.c.other.Len() < 1<<20 {
		w.c.other.Write(p)
	}
	return len(p), nil
}

func (c *child) listen(stdout io.Reader) {
	scanErr := scanReport(stdout, c.heard, func(line string) { lockedWriter{c}.Write([]byte(line)) })
	c.err = errors.Join(c.cmd.Wait(), scanErr)
	close(c.ended)
}

func (c *child) heard(f fact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.add(f)
	c.facts++
	c.recent = append(c.recent, f)
	if len(c.recent) > 40 {
		c.recent = append(c.recent[:0], c.recent[20:]...)
	}
	for i := 0; i < len(c.waits); i++ {
		if w := c.waits[i]; w.match(f) {
			w.found <- f
			c.waits = append(c.waits[:i], c.waits[i+1:]...)
			i--
		}
	}
}

// expect returns a wait for a fact that the child tells from now on.
func (c *child) expect(match func(fact) bool) *factWait {
	w := &factWait{match: match, found: make(chan fact, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, w)
	return w
}

// await waits for the fact, or for the child to end without it: ok false.
func (c *child) await(t *testing.T, w *factWait) (f fact, ok bool) {
	t.Helper()
	select {
	case f = <-w.found:
		return f, true
	case <-c.ended:
		select {
		case f = <-w.found:
			return f, true
		default:
			return fact{}, false
		}
	case <-time.After(patience):
		require.FailNow(t, "the child tells nothing of what is awaited", c.String())
		return fact{}, false
	}
}

// word matches facts of one word.
func word(name string) func(fact) bool {
	return func(f fact) bool { return f.Word == name }
}

// nth matches the n-th fact of a word from now on.
func nth(name string, n int) func(fact) bool {
	return func(f fact) bool {
		if f.Word == name {
			n--
		}
		return n <= 0
	}
}

// after lets d pass, or the child end.
func (c *child) after(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ended:
	}
}

// kill ends the child and a tool around it with SIGKILL, without waiting.
func (c *child) kill() {
	select {
	case <-c.ended: // its number may be somebody else's by now
	default:
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// stop tells the child to close its store and leave, without waiting.
func (c *child) stop() { _ = c.stdin.Close() }

// wait waits for the child's end and returns what it told. Nothing else may
// read the report before.
func (c *child) wait(t *testing.T) *report {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.kill()
		require.FailNow(t, "the child does not end", c.String())
	}
	return c.report
}

// killed waits for a child that was killed, and fails if it ended otherwise
// with an error of its own.
func (c *child) killed(t *testing.T) *report {
	t.Helper()
	r := c.wait(t)
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		status, _ := exit.Sys().(syscall.WaitStatus)
		require.Truef(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "the child ended by itself: %v", c)
	} else {
		require.NoErrorf(t, c.err, "%v", c)
	}
	return r
}

// String says how far the child got; for messages.
func (c *child) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("child %d, %d facts", c.cmd.Process.Pid, c.facts)
	select {
	case <-c.ended:
		text += fmt.Sprintf(", ended: %v", c.err)
	default:
	}
	for _, f := range c.recent {
		text += "\n  " + f.String()
	}
	return text + "\n" + c.other.String()
}
