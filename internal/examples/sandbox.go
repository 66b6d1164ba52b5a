package examples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Sandbox is a directory in which commands run as if it were a clone: go
// builds the repository's sources, files are the sandbox's own, and
// "watchbench" is a program that was built before. One command at a time.
type Sandbox struct {
	dir     string
	env     []string
	done    []string   // commands of Rule.Before that ran
	running []*serving // until Stop
	address string     // of the watchd among them, "" if there is none
}

// Programs are what was built before. All are absolute paths; Etcdctl may be
// "" where no command needs it.
type Programs struct {
	Watchbench, Watchd, Etcdctl string
}

const shortest = 4 * time.Minute // more than a small command takes on a slow and busy machine

// script of "watchbench": what only measures is made small.
const watchbenchScript = `#!/bin/sh
case $1 in
run | compare | max | verify) exec "$WATCHBENCH" "$@" $APPEND ;;
esac
exec "$WATCHBENCH" "$@"
`

// scripts of "watchd" and "etcdctl": one that serves picks a free port, the
// other asks it.
const (
	watchdScript = `#!/bin/sh
case ${1:--} in
-*) exec "$WATCHD" "$@" $APPEND ;;
esac
exec "$WATCHD" "$@"
`
	etcdctlScript = `#!/bin/sh
exec "$ETCDCTL" "$@"
`
)

// script of "go": it works in the repository, the program it runs does not.
const goScript = `#!/bin/sh
below=${PWD#"$SANDBOX"}
case $1$2 in
run./cmd/watchbench | run./cmd/watchd)
	program=${2#./cmd/}
	shift 2
	exec "$program" "$@"
	;;
run*)
	package=$2
	shift 2
	program=$SANDBOX/.bin/built$(echo "$below/$package" | tr /. __)
	[ -x "$program" ] || (cd "$REPO$below" && "$GO" build -o "$program" "$package") || exit
	exec "$program" "$@" $APPEND
	;;
esac
cd "$REPO$below" && exec "$GO" "$@" $APPEND
`

// NewSandbox prepares dir, which must be empty and belongs to the sandbox.
// repo is the clone, an absolute path.
func NewSandbox(dir, repo string, programs Programs) (*Sandbox, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return nil, err
	}
	caches, err := exec.Command(goTool, "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOENV").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	cache := strings.Fields(string(caches))
	if len(cache) != 4 {
		return nil, fmt.Errorf("go env: %q", caches)
	}
	bin := filepath.Join(dir, ".bin")
	for _, d := range []string{bin, filepath.Join(dir, "peers"), filepath.Join(dir, "mvcc/testdata/etcd"), filepath.Join(dir, ".tmp"), filepath.Join(dir, ".home")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	for name, script := range map[string]string{"watchbench": watchbenchScript, "watchd": watchdScript, "etcdctl": etcdctlScript, "go": goScript} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			return nil, err
		}
	}
	return &Sandbox{dir: dir, env: append(os.Environ(),
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "LANG=C.UTF-8",
		"SANDBOX="+dir, "REPO="+repo, "WATCHBENCH="+programs.Watchbench, "WATCHD="+programs.Watchd, "ETCDCTL="+programs.Etcdctl, "GO="+goTool, "GOBIN="+filepath.Join(dir, ".gobin"),
		"GOCACHE="+cache[0], "GOMODCACHE="+cache[1], "GOPATH="+cache[2], "GOENV="+cache[3],
		"HOME="+filepath.Join(dir, ".home"),
		"XDG_CACHE_HOME="+filepath.Join(dir, ".cache"), "TMPDIR="+filepath.Join(dir, ".tmp"))}, nil
}

// Run runs a command by its rule; its output is in the error when its exit
// code is wrong. etcd is the address of a server, for those that name one. whole
// leaves them as they stand where the rule allows it.
func (s *Sandbox) Run(ctx context.Context, e Example, r Rule, etcd string, whole bool) error {
	text := e.Text
	if r.Instead != "" && !(whole && r.Whole) {
		text = r.Instead
	}
	text = strings.NewReplacer(r.Replace...).Replace(text)
	if r.Where == Etcd {
		text = endpoint.ReplaceAllString(text, etcd)
	}
	if strings.HasPrefix(text, "go run . ") {
		text = "cd peers && " + text
	}
	text = s.atDaemon(text)
	limit := shortest
	small := r.Append
	if whole && r.Whole {
		small, limit = "", 15*time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if before := strings.ReplaceAll(r.Before, "ENDPOINT", etcd); before != "" && !slices.Contains(s.done, before) {
		if code, out, err := s.shell(ctx, before, ""); err != nil || code != 0 {
			return fmt.Errorf("%s\nneeds: %s\nexit code %d, %v\n%s", e, before, code, err, out)
		}
		s.done = append(s.done, before)
	}
	if r.Serves != "" {
		return s.serve(e, r, text, r.Append)
	}
	code, out, err := s.shell(ctx, text, small)
	right := r.Exit
	if len(right) == 0 {
		right = []int{0}
	}
	if err != nil || !slices.Contains(right, code) {
		return fmt.Errorf("%s\nran as: %s %s\nexit code %d, not %d, %v\n%s", e, text, small, code, right, err, out)
	}
	if !strings.Contains(out, r.Says) {
		return fmt.Errorf("%s\nran as: %s %s\nsays nothing of %q:\n%s", e, text, small, r.Says, out)
	}
	return nil
}

// shell runs a line of bash, which is what most readers type into.
func (s *Sandbox) shell(ctx context.Context, line, small string) (code int, output string, err error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", bash(line)...)
	s.dress(cmd, line, small)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	together(cmd)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), out.String(), nil
	}
	return 0, out.String(), errors.Join(ctx.Err(), err)
}

// command is a line of bash that nobody waits for.
func (s *Sandbox) command(line, small string) *exec.Cmd {
	cmd := exec.Command("bash", bash(line)...)
	s.dress(cmd, line, small)
	return cmd
}

func bash(line string) []string { return []string{"-o", "pipefail", "-c", line} }

func (s *Sandbox) dress(cmd *exec.Cmd, line, small string) {
	cmd.Dir = s.dir
	cmd.Env = append(slices.Clone(s.env), "APPEND="+small)
	if !strings.Contains(line, "--endpoints") {
		cmd.Env = append(cmd.Env, "ETCDCTL_ENDPOINTS="+s.address)
	}
}
