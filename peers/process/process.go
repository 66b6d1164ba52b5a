// Package process runs servers as processes of their own, which can be asked
// from outside as anybody's can, and killed.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The programs that Build knows, by import path.
const (
	Watchd  = "github.com/watchkv/watchkv/cmd/watchd"
	Etcd    = "go.etcd.io/etcd/server/v3"
	Etcdctl = "go.etcd.io/etcd/etcdctl/v3"
	Etcdutl = "go.etcd.io/etcd/etcdutl/v3"
)

// names are what the programs are called in a directory.
var names = map[string]string{Watchd: "watchd", Etcd: "etcd", Etcdctl: "etcdctl", Etcdutl: "etcdutl"}

// Build builds one of the programs into dir and returns its path. The working
// directory is in this module; Watchd is built as its own module has it.
func Build(dir, program string) (string, error) {
	to := filepath.Join(dir, names[program])
	build := exec.Command("go", "build", "-o", to, program)
	if program == Watchd {
		module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/watchkv/watchkv").Output()
		if err != nil {
			return "", fmt.Errorf("look for watchkv: %w", err)
		}
		build.Dir = strings.TrimSpace(string(module))
	}
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return to, nil
}

// readyLine is what both servers log when they serve.
const readyLine = "ready to serve client requests"

// readyTimeout bounds the wait for it. A member elects itself in 1-2 s on an
// idle machine.
const readyTimeout = 60 * time.Second

// attempts is how often a server is started on another port, when somebody
// took the one that was free a moment ago.
const attempts = 5

// Config says what is run.
type Config struct {
	Program string   // path of the binary
	Dir     string   // data directory
	Port    int      // of clients, on loopback; 0 takes a free one
	Args    []string // more of them
	Env     []string // more of it, as "NAME=value"
}

// Server is a running process.
type Server struct {
	Port int

	cmd  *exec.Cmd
	log  *log
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; read after done
}

// StartWatchd runs the binary at c.Program on an engine, until Stop or Kill.
func StartWatchd(ctx context.Context, engine string, c Config) (*Server, error) {
	return start(ctx, c, func(port int) []string {
		return []string{"--backend", engine, "--data-dir", c.Dir, "--listen-client-urls", clientURL(port), "--advertise-client-urls", clientURL(port)}
	})
}

// StartEtcd runs the binary at c.Program as the only member of a cluster,
// without fsync, until Stop or Kill.
func StartEtcd(ctx context.Context, c Config) (*Server, error) {
	return start(ctx, c, func(port int) []string {
		return []string{"--data-dir", c.Dir, "--listen-client-urls", clientURL(port), "--advertise-client-urls", clientURL(port),
			"--listen-peer-urls", "http://127.0.0.1:0", "--initial-advertise-peer-urls", "http://127.0.0.1:0",
			"--initial-cluster", "default=http://127.0.0.1:0", "--unsafe-no-fsync"}
	})
}

func clientURL(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

func start(ctx context.Context, c Config, args func(port int) []string) (*Server, error) {
	for attempt := 1; ; attempt++ {
		port := c.Port
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return nil, err
			}
		}
		s, err := startOn(ctx, port, c, args(port))
		if err == nil {
			return s, nil
		}
		taken := strings.Contains(err.Error(), "address already in use")
		if c.Port != 0 || !taken || attempt == attempts {
			return nil, err
		}
	}
}

// freePort is free now. The server is told its port before it starts, because
// it advertises it.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func startOn(ctx context.Context, port int, c Config, args []string) (*Server, error) {
	s := &Server{Port: port, log: &log{ready: make(chan struct{})}, done: make(chan struct{})}
	s.cmd = exec.Command(c.Program, append(args, c.Args...)...)
	s.cmd.Env = append(os.Environ(), c.Env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	timeout := time.NewTimer(readyTimeout)
	defer timeout.Stop()
	select {
	case <-s.log.ready:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("%s ended before it served: %w\n%s", c.Program, s.err, s.Log())
	case <-timeout.C:
		s.Kill()
		return nil, fmt.Errorf("%s was not ready within %v\n%s", c.Program, readyTimeout, s.Log())
	case <-ctx.Done():
		s.Kill()
		return nil, ctx.Err()
	}
}

// Endpoint is HOST:PORT of clients.
func (s *Server) Endpoint() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// PID is the process's id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is what it wrote so far.
func (s *Server) Log() string { return s.log.String() }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.done
}

// stopTimeout bounds the wait for an orderly end.
const stopTimeout = 30 * time.Second

// Stop asks the process to end, by SIGTERM, and waits until it has. Its error
// is an exit code that is not that of an orderly end.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-s.done:
	case <-timeout.C:
		s.Kill()
		return fmt.Errorf("not ended %v after SIGTERM\n%s", stopTimeout, s.Log())
	}
	// etcd ends itself by the signal once it has stopped.
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil
	}
	if s.err != nil {
		return fmt.Errorf("%w\n%s", s.err, s.Log())
	}
	return nil
}

// log collects what a process writes and sees its line of readiness. The
// goroutine of exec writes, anybody reads.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	ready   chan struct{}
	isReady bool
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if !l.isReady && bytes.Contains(l.text.Bytes(), []byte(readyLine)) {
		l.isReady = true
		close(l.ready)
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
