package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"watchbench": main, "panicking": panicking, "orderly": orderly})
}

// TestScript runs the binary as people do.
func TestScript(t *testing.T) {
	etcd, err := filepath.Abs("../../mvcc/testdata/etcd")
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			tmp := filepath.Join(env.WorkDir, "tmp")
			env.Setenv("TMPDIR", tmp)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("ETCD", etcd)
			return os.MkdirAll(tmp, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"interrupt": interrupt,
			"width":     width,
			"oneline":   oneLine,
			"empty":     emptyDir,
			"kept":      keptCount,
			"boltfile":  boltFile,
			"hold":      hold,
		},
	})
}

// exits CODE PROGRAM ARGS...: the program ends with exactly that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\nstderr: %s", got, want, ts.ReadFile("stderr"))
	}
}

// interruptPatience is how long a command may take to be interrupted and end.
const interruptPatience = 60 * time.Second

// interrupt TIMES PATTERN ARGS...: watchbench gets SIGINT when a line on
// stderr matches, and once more, if TIMES is 2, when it said so. What it wrote
// is in the files out and err, its exit code is 130.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	var program string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, "watchbench"); fileKind(path) == "file" {
			program = path
			break
		}
	}
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"), "XDG_CACHE_HOME="+ts.Getenv("XDG_CACHE_HOME"), "LANG=C.UTF-8", "PATH="+ts.Getenv("PATH"))
	out, err := os.Create(ts.MkAbs("out"))
	ts.Check(err)
	defer out.Close()
	cmd.Stdout = out
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	// What is asked for would take for ever, and all the memory or disk there is.
	defer time.AfterFunc(interruptPatience, func() { _ = cmd.Process.Kill() }).Stop()
	var said strings.Builder
	scanner := bufio.NewScanner(io.TeeReader(stderr, &said))
	for sent := 0; scanner.Scan(); {
		switch {
		case sent == 0 && pattern.MatchString(scanner.Text()), sent == 1 && args[0] == "2" && strings.HasPrefix(scanner.Text(), "^C"):
			ts.Check(cmd.Process.Signal(os.Interrupt))
			sent++
		}
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("err"), []byte(said.String()), 0o644))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		ts.Fatalf("ended with %v, want exit code 130\nstderr: %s", err, said.String())
	}
}

// width N FILE: no line of the file is wider.
func width(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if got := utf8.RuneCountInString(strings.TrimRight(line, "\n")); got > n {
			ts.Fatalf("%d columns, want at most %d: %s", got, n, line)
		}
	}
}

// oneline CODE MESSAGE ARGS...: watchbench ends with the code and says exactly
// that on stderr, in one line, and nothing on stdout.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, append([]string{args[0], "watchbench"}, args[2:]...))
	if got, want := ts.ReadFile("stderr"), "watchbench: "+args[1]+"\n"; got != want {
		ts.Fatalf("stderr\n got %s want %s", got, want)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout %q, want none", out)
	}
}

// empty DIR: nothing is in the directory.
func emptyDir(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %s", args[0], entries[0].Name())
	}
}

// kept N: that many results are kept, in the form of their names, and nothing
// else is beside them.
func keptCount(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "watchbench"))
	ts.Check(err)
	for _, entry := range entries {
		if !keptName.MatchString(entry.Name()) {
			ts.Fatalf("%s is no name of a kept result", entry.Name())
		}
	}
	if got := strconv.Itoa(len(entries)); got != args[0] {
		ts.Fatalf("%s results are kept, want %s", got, args[0])
	}
}

// boltfile FILE BUCKET: a bolt file with an empty bucket.
func boltFile(ts *testscript.TestScript, _ bool, args []string) {
	db, err := bbolt.Open(ts.MkAbs(args[0]), 0o600, nil)
	ts.Check(err)
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte(args[1]))
		return err
	}))
	ts.Check(db.Close())
}

// hold ENGINE DIR: somebody has the engine's data open until the script ends.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	driver, ok := engines.Lookup(args[0])
	if !ok {
		ts.Fatalf("no engine %q", args[0])
	}
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[1])), 0o755))
	engine, err := driver.Open(ts.MkAbs(args[1]), backend.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(engine.Close()) })
}

// panicking shows a live view and panics at the first key: in main, which
// gives the terminal back on its way out, or elsewhere.
func panicking() {
	if live.GuardAsked(os.Args) {
		os.Exit(live.RunGuard())
	}
	pressed := make(chan struct{}, 1)
	p := live.New(live.Config{Lines: os.Stderr, Screen: os.Stderr, Interrupt: func() { pressed <- struct{}{} }})
	defer p.End()
	p.Start(live.Run{})
	<-pressed
	if os.Args[1] == "goroutine" {
		go panic("out of tea")
		select {}
	}
	panic("out of tea")
}

// orderly shows a live view until the first key and says whether anything of
// it is left then. What was written meanwhile comes behind it.
func orderly() {
	if live.GuardAsked(os.Args) {
		os.Exit(live.RunGuard())
	}
	pressed := make(chan struct{}, 1)
	p := live.New(live.Config{Lines: os.Stderr, Screen: os.Stderr, Interrupt: func() { pressed <- struct{}{} }})
	p.Start(live.Run{Title: "step 1"})
	fmt.Fprintln(p.Hold(os.Stdout), "held: the first line")
	p.Start(live.Run{Title: "step 2"})
	fmt.Fprintln(p.Hold(os.Stdout), "held: the second line")
	<-pressed
	p.Stopping()
	p.End()
	fmt.Fprintln(p.Hold(os.Stdout), "written at once")
	if err := goleak.Find(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("no goroutine is left")
}
