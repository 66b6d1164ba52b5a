//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/term"
)

// session is watchbench on a terminal.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	before *term.State
	tmp    string
	read   chan struct{} // closed when all output was read

	mu     sync.Mutex // guards what is below, but for the answers that screen gives
	screen *vt.Emulator
	out    bytes.Buffer
}

// onTerminal starts watchbench on a terminal of a size; env is added to the
// environment.
func onTerminal(t *testing.T, width, height int, env []string, args ...string) *session {
	t.Helper()
	return startOnTerminal(t, "watchbench", width, height, env, args...)
}

func startOnTerminal(t *testing.T, name string, width, height int, env []string, args ...string) *session {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	s := &session{t: t, tmp: t.TempDir(), read: make(chan struct{}), screen: vt.NewEmulator(int(width), int(height))}
	program := filepath.Join(t.TempDir(), name) // testscript tells its commands by their name
	require.NoError(t, os.Symlink(self, program))
	master, slave, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}))
	s.master = master
	s.before, err = term.GetState(int(slave.Fd()))
	require.NoError(t, err)
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = append(os.Environ(), "TMPDIR="+s.tmp, "XDG_CACHE_HOME="+t.TempDir(), "LANG=C.UTF-8", "LC_ALL=", "TERM=xterm-256color", "SSH_TTY=/dev/pts/1")
	s.cmd.Env = append(s.cmd.Env, env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, s.cmd.Start())
	require.NoError(t, slave.Close())
	go s.readAll()
	answers := make(chan struct{})
	go func() { // what the terminal answers when it is asked something
		defer close(answers)
		_, _ = io.Copy(master, s.screen)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, unless the test failed
		_ = master.Close()
		<-s.read
		_ = s.screen.InputPipe().(io.Closer).Close()
		<-answers
	})
	return s
}

func (s *session) readAll() {
	defer close(s.read)
	buf := make([]byte, 4096)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		_, _ = s.screen.Write(buf[:n])
		s.out.Write(buf[:n])
		s.mu.Unlock()
		if err != nil { // EIO once nobody has the other end
			return
		}
	}
}

func (s *session) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// await waits until the screen shows the text.
func (s *session) await(text string) {
	s.t.Helper()
	shown := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.screen.String(), text)
	}
	require.Eventually(s.t, shown, time.Minute, 10*time.Millisecond, "%q", text)
}

func (s *session) resize(width, height int) {
	s.t.Helper()
	s.mu.Lock()
	s.screen.Resize(width, height)
	s.mu.Unlock()
	require.NoError(s.t, pty.Setsize(s.master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}))
}

func (s *session) press(keys string) {
	s.t.Helper()
	_, err := io.WriteString(s.master, keys)
	require.NoError(s.t, err)
}

// ended waits for the end with an exit code and returns what stands on the
// normal screen, its beginning scrolled away or not. The terminal must be as it
// was, and nothing left behind.
func (s *session) ended(code int) string {
	s.t.Helper()
	_ = s.cmd.Wait()
	<-s.read
	assert.Equal(s.t, code, s.cmd.ProcessState.ExitCode(), s.output())
	entries, err := os.ReadDir(s.tmp)
	require.NoError(s.t, err)
	assert.Empty(s.t, entries, "temporary files")
	return s.restored()
}

// restored returns what stands on the normal screen, when nobody has the
// terminal any more. It must be as it was.
func (s *session) restored() string {
	s.t.Helper()
	<-s.read
	assert.False(s.t, s.screen.IsAltScreen(), "the alternate screen is left")
	assert.False(s.t, s.screen.CursorHidden(), "the cursor is shown")
	if after, err := term.GetState(int(s.master.Fd())); err == nil { // some systems forget it with the last user
		assert.Equal(s.t, s.before, after, "line discipline")
	}
	var normal strings.Builder
	for _, line := range s.screen.Scrollback().Lines() {
		normal.WriteString(line.String() + "\n")
	}
	return normal.String() + s.screen.String()
}

var endless = []string{"run", "-b", "mem", "-s", "notify", "--shape", "one-key", "-w", "20", "-r", "200", "-d", "1h", "--warmup", "0s"}

func TestLiveViewOnATerminal(t *testing.T) {
	t.Parallel()
	s := onTerminal(t, 100, 30, nil, endless...)
	s.await("events checked")
	s.await("q to stop")
	s.resize(60, 20)
	s.await("time scenario")
	s.await(" notify/one-key ")
	for _, size := range [][2]int{{1, 1}, {200, 60}, {80, 24}, {79, 24}, {100, 3}, {120, 40}} {
		s.resize(size[0], size[1])
	}
	s.await("intended put to event")
	s.press("x?\x1b[A") // there are no other keys
	s.await("total 0:")
	s.press("q")
	normal := s.ended(exitInterrupted)
	assert.Contains(t, normal, "CUT SHORT after")
	assert.Contains(t, normal, "NOTIFY  intended put to event")
	assert.NotContains(t, normal, "q to stop")
}

func TestLiveViewEnds(t *testing.T) {
	t.Parallel()
	running := func(t *testing.T) *session {
		t.Helper()
		s := onTerminal(t, 100, 30, nil, endless...)
		s.await("events checked")
		return s
	}
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, 100, 30, nil, "run", "-b", "mem", "-s", "notify", "--shape", "one-key", "-w", "20", "-r", "200", "-d", "1s", "--warmup", "0s")
		normal := s.ended(exitMeasured)
		start, end := strings.Index(normal, "plan     notify one-key   1 s"), strings.Index(normal, "all promises kept")
		assert.GreaterOrEqual(t, start, 0, normal)
		assert.Greater(t, end, start, normal)
		assert.Contains(t, s.output(), "\x1b[?1049h")
		assert.Contains(t, s.output(), "\x1b[32mall promises kept\x1b[0m")
	})
	t.Run("ctrl-c twice", func(t *testing.T) {
		t.Parallel()
		s := running(t)
		s.press("\x03\x03")
		s.ended(exitInterrupted)
	})
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		s := running(t)
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
		assert.Contains(t, s.ended(exitInterrupted), "CUT SHORT")
	})
	t.Run("SIGTERM twice", func(t *testing.T) {
		t.Parallel()
		s := running(t)
		for range 2 {
			err := s.cmd.Process.Signal(syscall.SIGTERM)
			require.True(t, err == nil || errors.Is(err, os.ErrProcessDone), err)
		}
		s.ended(exitInterrupted)
	})
}

func TestNoLiveView(t *testing.T) {
	t.Parallel()
	short := []string{"run", "-b", "mem", "-s", "notify", "--shape", "one-key", "-w", "20", "-r", "200", "-d", "3s", "--warmup", "0s"}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		line bool
	}{
		{"dumb", []string{"TERM=dumb"}, nil, true},
		{"quiet", nil, []string{"--quiet"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := onTerminal(t, 100, 30, c.env, append(short, c.args...)...)
			s.ended(exitMeasured)
			out := s.output()
			assert.NotContains(t, out, "\x1b[?1049h")
			assert.Equal(t, c.line, strings.Contains(out, "\ntime scenario") && strings.Contains(out, "notify/one-key "), out)
			assert.Contains(t, out, "all promises kept")
		})
	}
}

// Without colour and UTF-8 the screen has neither.
func TestLiveViewPlain(t *testing.T) {
	t.Parallel()
	s := onTerminal(t, 100, 30, []string{"NO_COLOR=1", "LC_ALL=C"}, endless...)
	s.await("events checked")
	s.press("q")
	s.ended(exitInterrupted)
	out := s.output()
	for _, r := range out {
		require.Less(t, r, rune(0x80), "%q", out)
	}
	assert.NotContains(t, out, "\x1b[31m")
	assert.NotContains(t, out, "\x1b[2m")
	assert.NotContains(t, out, "\x1b[1m")
}

// What ends the program without asking it does not leave the terminal behind.
func TestLiveViewDies(t *testing.T) {
	t.Parallel()
	t.Run("SIGKILL", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, 100, 30, nil, endless...)
		s.await("events checked")
		require.NoError(t, s.cmd.Process.Kill())
		assert.Contains(t, s.restored(), "plan     notify one-key")
		_ = s.cmd.Wait()
	})
	for _, where := range []string{"main", "goroutine"} {
		t.Run("panic in "+where, func(t *testing.T) {
			t.Parallel()
			s := startOnTerminal(t, "panicking", 100, 60, nil, where)
			s.await("q to stop")
			s.press("q")
			normal := s.restored()
			assert.Contains(t, normal, "panic: out of tea")
			assert.Contains(t, normal, "goroutine ")
			_ = s.cmd.Wait()
			assert.Equal(t, 2, s.cmd.ProcessState.ExitCode())
		})
	}
}

// What is held back is shown meanwhile, and stands in order at the end; the
// screen leaves nothing running.
func TestLiveViewHolds(t *testing.T) {
	t.Parallel()
	s := startOnTerminal(t, "orderly", 100, 40, nil)
	s.await("held: the second line")
	s.await("step 2")
	s.press("q")
	normal := s.ended(0)
	assert.Regexp(t, `held: the first line\s+held: the second line\s+written at once\s+no goroutine is left`, normal)
}
