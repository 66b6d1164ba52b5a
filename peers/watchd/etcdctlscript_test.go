package watchd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A script is lines of
//
//	> ARGS               run etcdctl with them
//	> ARGS => NAME       and call the first lease or member in its output NAME
//	>name ARGS           run it beside what follows
//	utl> ARGS            run etcdutl
//	name< TEXT           a line for the input of the program beside; an empty name: of the one just above
//	name? N              wait until it has written N lines in all
//	name!                interrupt it and show what it wrote
//	name.                wait until it ended by itself and show what it wrote
//	?    ARGS            run etcdctl until it succeeds and says something, and show that
//	# or an empty line   shown as it stands
//
// ARGS are split at spaces outside '...'. $NAME is replaced: what => named,
// ENDPOINT, OTHER (a second server of the same kind), TMP.
type script struct {
	t      *testing.T
	env    map[string]string
	beside map[string]*program
	out    strings.Builder
}

// program runs beside the script.
type program struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	out   lineWriter
}

// lineWriter collects output; wrote has an element after each write.
type lineWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{}
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *lineWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// poll is how often a condition is looked at that nothing tells of.
const poll = 20 * time.Millisecond

// programTimeout bounds every program and every wait of a script.
const programTimeout = 60 * time.Second

// run plays the script and returns its transcript.
func (s *script) run(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" || strings.HasPrefix(line, "#") {
			fmt.Fprintln(&s.out, line)
			continue
		}
		at := strings.IndexAny(line, "><?!.")
		require.Positive(s.t, at+1, "line %d: %s", i+1, line)
		name, rest := line[:at], strings.TrimSpace(line[at+1:])
		switch line[at] {
		case '>':
			fmt.Fprintln(&s.out, line)
			var input []string
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "<") {
				i++
				input = append(input, strings.TrimPrefix(strings.TrimPrefix(lines[i], "<"), " "))
				fmt.Fprintln(&s.out, lines[i])
			}
			if len(line) > at+1 && line[at+1] != ' ' {
				name, rest, _ = strings.Cut(rest, " ")
				s.start(name, rest)
				continue
			}
			s.call(name, rest, strings.Join(input, "\n"))
		case '?':
			if name == "" {
				fmt.Fprintln(&s.out, line)
				s.until(rest)
				continue
			}
			want, err := strconv.Atoi(rest)
			require.NoError(s.t, err)
			s.await(name, want)
		case '<':
			fmt.Fprintln(&s.out, line)
			_, err := io.WriteString(s.beside[name].input, s.expand(rest)+"\n")
			require.NoError(s.t, err)
		case '!', '.':
			fmt.Fprintln(&s.out, line)
			s.end(name, line[at] == '!')
		}
	}
	require.Empty(s.t, s.beside, "programs that the script never ended")
	return s.out.String()
}

// command is etcdctl, or etcdutl if tool is utl, in a directory of the script's.
func (s *script) command(tool string, args []string) *exec.Cmd {
	path := bin.etcdctl
	if tool == "utl" {
		path = bin.etcdutl
	}
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	cmd.Dir = s.env["TMP"]
	cmd.Env = []string{"HOME=" + s.env["TMP"], "PATH=/usr/bin:/bin", "TZ=UTC"}
	// etcdctl refuses an address that is given twice.
	if tool != "utl" && !slices.Contains(args, "--endpoints") {
		cmd.Env = append(cmd.Env, "ETCDCTL_ENDPOINTS="+s.env["ENDPOINT"])
	}
	return cmd
}

// clientLog is what etcdctl's client writes about its own retries.
var clientLog = regexp.MustCompile(`(?m)^\{"level":.*\n`)

// call runs a program to its end and shows what it wrote and its exit code
// unless that is 0.
func (s *script) call(tool, line, input string) {
	line, name, _ := strings.Cut(line, " => ")
	out, code := s.ran(tool, line, input)
	s.out.WriteString(out)
	if code != 0 {
		fmt.Fprintf(&s.out, "[exit %d]\n", code)
	}
	if name != "" {
		id := captured.FindString(out)
		require.NotEmpty(s.t, id, "nothing to call %s in: %s", name, out)
		s.env[name] = id
	}
}

func (s *script) ran(tool, line, input string) (string, int) {
	cmd := s.command(tool, splitArgs(s.expand(line)))
	if input != "" {
		cmd.Stdin = strings.NewReader(s.expand(input) + "\n")
	}
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	timeout := time.AfterFunc(programTimeout, func() { _ = cmd.Process.Kill() })
	defer timeout.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	return clientLog.ReplaceAllString(endLine(both.String()), ""), cmd.ProcessState.ExitCode()
}

// until repeats a call until it succeeds.
func (s *script) until(line string) {
	deadline := time.Now().Add(programTimeout)
	for {
		out, code := s.ran("", line, "")
		if code == 0 && out != "" {
			s.out.WriteString(out)
			return
		}
		require.True(s.t, time.Now().Before(deadline), "%s: %s", line, out)
	}
}

func (s *script) start(name, line string) {
	p := &program{cmd: s.command("", splitArgs(s.expand(line))), out: lineWriter{wrote: make(chan struct{}, 1)}}
	var err error
	p.input, err = p.cmd.StdinPipe()
	require.NoError(s.t, err)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	require.NoError(s.t, p.cmd.Start())
	s.beside[name] = p
}

func (s *script) await(name string, lines int) {
	p := s.beside[name]
	require.NotNil(s.t, p, "no %s", name)
	timeout := time.NewTimer(programTimeout)
	defer timeout.Stop()
	for strings.Count(p.out.String(), "\n") < lines {
		select {
		case <-p.out.wrote:
		case <-timeout.C:
			require.Fail(s.t, "too few lines", "of %s, %d wanted:\n%s\nso far:\n%s", name, lines, p.out.String(), s.out.String())
		}
	}
}

func (s *script) end(name string, interrupt bool) {
	p := s.beside[name]
	require.NotNil(s.t, p, "no %s", name)
	delete(s.beside, name)
	if interrupt {
		require.NoError(s.t, p.cmd.Process.Signal(syscall.SIGINT))
	}
	timeout := time.AfterFunc(programTimeout, func() { _ = p.cmd.Process.Kill() })
	defer timeout.Stop()
	_ = p.cmd.Wait() // its exit code is shown
	s.out.WriteString(clientLog.ReplaceAllString(endLine(p.out.String()), ""))
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && !interrupt {
		fmt.Fprintf(&s.out, "[exit %d]\n", code)
	}
}

func (s *script) expand(line string) string {
	return os.Expand(line, func(name string) string {
		value, ok := s.env[name]
		require.True(s.t, ok, "$%s is not known", name)
		return value
	})
}

// splitArgs splits at spaces that are not inside single quotes.
func splitArgs(line string) (args []string) {
	var arg strings.Builder
	quoted, any := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				args = append(args, arg.String())
			}
			arg.Reset()
			any = false
		default:
			arg.WriteRune(r)
			any = true
		}
	}
	if any {
		args = append(args, arg.String())
	}
	return args
}

func endLine(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
