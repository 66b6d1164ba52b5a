package examples

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// serving is a command that goes on for ever, as in a terminal of its own.
type serving struct {
	example Example
	cmd     *exec.Cmd
	daemon  bool // it ends well when it is told to; others are ended
	said    said
	ended   chan struct{} // closed by the goroutine that waits for it
}

// said is what a command wrote so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{} // closed once, by the write that completes want
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := strings.Contains(s.text.String(), s.want)
	s.text.Write(p)
	if !before && strings.Contains(s.text.String(), s.want) {
		close(s.seen)
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// readyAddress is where a watchd serves, from the line that says so.
var readyAddress = regexp.MustCompile(`"msg":"ready to serve client requests","address":"([^"]+)"`)

// serve starts a command and leaves it running once it said what the rule
// wants. A watchd takes the place of the one before it, and what follows asks
// it instead of localhost:2379.
func (s *Sandbox) serve(e Example, r Rule, text, small string) error {
	one := &serving{example: e, cmd: s.command(text, small), daemon: ofWatchd.MatchString(text), ended: make(chan struct{})}
	one.said.want, one.said.seen = r.Serves, make(chan struct{})
	if one.daemon {
		if err := s.Stop(); err != nil {
			return err
		}
	}
	one.cmd.Stdout, one.cmd.Stderr = &one.said, &one.said
	together(one.cmd)
	if err := one.cmd.Start(); err != nil {
		return fmt.Errorf("%s\n%w", e, err)
	}
	go func() {
		defer close(one.ended)
		_ = one.cmd.Wait() // the state has it
	}()
	s.running = append(s.running, one)
	timer := time.NewTimer(shortest)
	defer timer.Stop()
	select {
	case <-one.said.seen:
	case <-one.ended:
		return fmt.Errorf("%s\nran as: %s %s\nended with %d before it said %q:\n%s", e, text, small, one.cmd.ProcessState.ExitCode(), r.Serves, &one.said)
	case <-timer.C:
		return fmt.Errorf("%s\nran as: %s %s\ndid not say %q:\n%s", e, text, small, r.Serves, &one.said)
	}
	if one.daemon {
		m := readyAddress.FindStringSubmatch(one.said.String())
		if m == nil {
			return fmt.Errorf("%s\nno address in:\n%s", e, &one.said)
		}
		s.address = m[1]
	}
	return nil
}

// ofWatchd are the commands that serve.
var ofWatchd = regexp.MustCompile(`^(go run \./cmd/)?watchd( -|$)`)

// Stop ends what is still running, and says which daemon did not end well.
func (s *Sandbox) Stop() (err error) {
	for _, one := range slices.Backward(s.running) {
		if !one.daemon {
			err = errors.Join(err, signalTogether(one.cmd, os.Kill))
			<-one.ended
			continue
		}
		if e := signalTogether(one.cmd, os.Interrupt); e != nil {
			err = errors.Join(err, e, signalTogether(one.cmd, os.Kill))
		}
		<-one.ended
		if code := one.cmd.ProcessState.ExitCode(); code != 0 {
			err = errors.Join(err, fmt.Errorf("%s\nstopped with exit code %d\n%s", one.example, code, &one.said))
		}
	}
	s.running, s.address = nil, ""
	return err
}

// localhost is what a reader asks, where the daemon listens by default.
const localhost = "localhost:2379"

// atDaemon lets a command ask the watchd that runs.
func (s *Sandbox) atDaemon(text string) string {
	if s.address == "" {
		return text
	}
	return strings.ReplaceAll(text, localhost, s.address)
}
