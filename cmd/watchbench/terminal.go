package main

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// terminal is where output goes and what may be written there.
type terminal struct {
	out, err       io.Writer // in the locale's characters
	rawOut         io.Writer // for JSON, which is always UTF-8
	outTTY, errTTY bool
	errWidth       func() int // columns of the terminal behind err, 0 if unknown
	outWidth       func() int // the same of out
	screen         *os.File   // behind err, for a live view; nil if there is no terminal or a dumb one
	noColor, dumb  bool
	readPassword   func() (string, error) // without showing it; nil if nobody can be asked
	plain          bool                   // the locale is not UTF-8
	unread         *unread                // tells when nobody reads the output any more
}

// unread is closed when a write of output met a pipe that nobody reads. The
// signal of it would not do: a server that dies raises the same.
type unread struct {
	once sync.Once
	ch   chan struct{}
}

// of is a writer to f that tells.
func (u *unread) of(f *os.File) io.Writer { return pipeWriter{f, u} }

type pipeWriter struct {
	to     *os.File
	unread *unread
}

func (w pipeWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.unread.once.Do(func() { close(w.unread.ch) })
	}
	return n, err
}

func newTerminal(stdin, stdout, stderr *os.File) *terminal {
	u := &unread{ch: make(chan struct{})}
	out, err := u.of(stdout), u.of(stderr)
	t := &terminal{
		out: out, err: err, rawOut: out, unread: u,
		outTTY: term.IsTerminal(int(stdout.Fd())), errTTY: term.IsTerminal(int(stderr.Fd())),
		noColor: os.Getenv("NO_COLOR") != "", dumb: os.Getenv("TERM") == "dumb",
		errWidth: widthOf(stderr), outWidth: widthOf(stdout), plain: !speaksUTF8(),
	}
	if term.IsTerminal(int(stdin.Fd())) {
		t.readPassword = func() (string, error) {
			password, err := term.ReadPassword(int(stdin.Fd()))
			return string(password), err
		}
	}
	if t.errTTY && !t.dumb {
		t.screen = stderr
	}
	if t.plain {
		t.out, t.err = plainWriter{out}, plainWriter{err}
	}
	return t
}

func widthOf(f *os.File) func() int {
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
}

// speaksUTF8 reads the locale as POSIX orders its variables. Systems without
// them are taken to speak UTF-8.
func speaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return runtime.GOOS == "windows" || runtime.GOOS == "darwin"
}

// plainWriter replaces what only UTF-8 has.
type plainWriter struct{ to io.Writer }

var plainer = strings.NewReplacer("µ", "u", "·", "-", "±", "+-")

func (w plainWriter) Write(p []byte) (int, error) {
	if _, err := plainer.WriteString(w.to, string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// colors decides about colour on a stream; asked is the value of --color.
func (t *terminal) colors(asked string, tty bool) bool {
	switch asked {
	case "always":
		return true
	case "never":
		return false
	}
	return tty && !t.noColor && !t.dumb
}
