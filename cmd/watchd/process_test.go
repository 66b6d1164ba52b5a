package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// endsSoon: a program built with -race waits a second before it ends.
const endsSoon = "GORACE=atexit_sleep_ms=10"

const (
	anyPort = "http://127.0.0.1:0"
	slow    = 60 * time.Second // more than anything here takes on a slow and busy machine
)

// process is a watchd that was started.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string // from its ready line
	ended   chan struct{}

	mu    sync.Mutex
	lines []map[string]any // its log
}

// launch starts watchd and reads its log; it is killed at the end of the test.
func launch(t *testing.T, environ []string, args ...string) (*process, <-chan string) {
	t.Helper()
	return launchProgram(t, "watchd", environ, args...)
}

// launchProgram starts what becomes watchd.
func launchProgram(t *testing.T, program string, environ []string, args ...string) (*process, <-chan string) {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), endsSoon), environ...)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	ready := make(chan string, 1) // the address, once; closed at the end of the log
	go p.read(stderr, ready)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p, ready
}

// up starts watchd and waits until it is ready.
func up(t *testing.T, args ...string) *process {
	t.Helper()
	p, ready := launch(t, nil, args...)
	p.awaitReady(ready)
	return p
}

func (p *process) awaitReady(ready <-chan string) {
	p.t.Helper()
	select {
	case address, ok := <-ready:
		require.True(p.t, ok, "watchd ended before it was ready: %v", p.log())
		p.address = address
	case <-time.After(slow):
		require.FailNow(p.t, "watchd is not ready", "%v", p.log())
	}
}

func (p *process) read(stderr io.Reader, ready chan<- string) {
	defer close(p.ended)
	scanner, told := bufio.NewScanner(stderr), false
	for scanner.Scan() {
		line := map[string]any{}
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			line["plain"] = scanner.Text()
		}
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
		if line["msg"] == "ready to serve client requests" && !told {
			told = true
			ready <- line["address"].(string)
		}
	}
	close(ready)
	_ = p.cmd.Wait() // the state has it
}

func (p *process) log() []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]map[string]any(nil), p.lines...)
}

// find returns the lines of the log with that message.
func (p *process) find(message string) (found []map[string]any) {
	for _, line := range p.log() {
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// wait waits for the end and returns the exit code, -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(slow):
		require.FailNow(p.t, "watchd does not end", "%v", p.log())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

func (p *process) client() *clientv3.Client {
	p.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{p.address}, DialTimeout: slow, Logger: zap.NewNop()})
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}
