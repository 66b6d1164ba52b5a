//go:build unix

package live

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// A program that ends by a fatal error, by a panic in one of its goroutines or
// by SIGKILL cannot give the terminal back. So while the screen stands, a
// second process of the same program waits for the end of the first, at the
// other end of a pipe, and does it then. The pipe is the first one's crash
// output: what it said last is shown where it can be read.

// guardArgument asks a program to be a guard; no command can be named so.
const guardArgument = "(terminal guard)"

const (
	// guardReady is said by the guard when it has seen the terminal as it is.
	guardReady = "r"
	// guardAllWell ends the pipe when the terminal was given back.
	guardAllWell = "\x00all well\n"
	guardStart   = 2 * time.Second // that the screen waits for its guard
)

// giveBack undoes what the screen does to a terminal: keyboard modes, the
// alternate screen, the hidden cursor, colours.
const giveBack = "\x1b[>4m\x1b[<1u\x1b[?1049l\x1b[?25h\x1b[m\r"

// GuardAsked reports whether a command line asks the program to be the guard
// of another one's terminal, which main must obey by RunGuard.
func GuardAsked(args []string) bool { return len(args) == 2 && args[1] == guardArgument }

// RunGuard is the guard's whole life; standard input is the pipe, standard
// output the terminal, and file 3 takes the word that it is ready.
func RunGuard() (code int) {
	// Those that are for the foreground, or for everybody, are not for it.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTOU, syscall.SIGPIPE)
	terminal := int(os.Stdout.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return 1
	}
	ready := os.NewFile(3, "ready")
	_, err = ready.WriteString(guardReady)
	if err = errors.Join(err, ready.Close()); err != nil {
		return 1
	}
	said, err := io.ReadAll(os.Stdin)
	if err == nil && bytes.HasSuffix(said, []byte(guardAllWell)) {
		return 0
	}
	_, err = os.Stdout.WriteString(giveBack)
	err = errors.Join(err, term.Restore(terminal, before))
	_, writeErr := os.Stdout.Write(said)
	if errors.Join(err, writeErr) != nil {
		return 1
	}
	return 0
}

// guard is a guard that was started.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// startGuard starts the guard of a terminal; nil if there can be none, which
// is no reason not to show anything.
func startGuard(terminal *os.File) *guard {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil
	}
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		_, _ = read.Close(), write.Close()
		return nil
	}
	cmd := exec.Command(self, guardArgument)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = read, terminal, []*os.File{readyWrite}
	err = cmd.Start()
	_, _ = read.Close(), readyWrite.Close()
	g := &guard{cmd: cmd, pipe: write}
	if err == nil {
		err = awaitReady(readyRead)
		if err == nil {
			err = debug.SetCrashOutput(write, debug.CrashOptions{})
		}
		if err != nil {
			g.end()
		}
	} else {
		_ = write.Close()
	}
	_ = readyRead.Close()
	if err != nil {
		return nil
	}
	return g
}

func awaitReady(r *os.File) error {
	if err := r.SetReadDeadline(time.Now().Add(guardStart)); err != nil {
		return err
	}
	said, err := io.ReadAll(r)
	if err == nil && strings.TrimSpace(string(said)) != guardReady {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// end sends the guard away; the terminal has been given back.
func (g *guard) end() {
	if g == nil {
		return
	}
	_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
	_, err := g.pipe.WriteString(guardAllWell)
	_ = g.pipe.Close()
	if err != nil {
		_ = g.cmd.Process.Kill()
	}
	_ = g.cmd.Wait() // nothing depends on how it ended
}
