package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// judgeConfig tells a child which directories to open, one after the other. A
// child that dies of one leaves the rest to another child.
type judgeConfig struct {
	Role   string
	Engine string
	Known  string // file with the known content
	Dirs   []judgeDir
}

type judgeDir struct {
	Dir      string
	ReadOnly bool
}

// verdict is what came of one directory: a line of JSON on standard output.
type verdict struct {
	Says  string // what known.compare says; "error"
	Stage string // of an error: open, read, watch, verify, write, close
	Err   string
	Kinds []string // of an error: the sentinels it wraps
	Died  string   `json:",omitempty"` // set by the parent: how the child ended
}

var _ = addRole("judge", func(raw []byte) error {
	var c judgeConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	var k known
	text, err := os.ReadFile(c.Known)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return err
	}
	d, ok := engines.Lookup(c.Engine)
	if !ok {
		return fmt.Errorf("no engine %q", c.Engine)
	}
	out := json.NewEncoder(os.Stdout)
	for _, dir := range c.Dirs {
		if err := out.Encode(judge(d, dir, &k)); err != nil {
			return err
		}
	}
	return nil
})

func judge(d backend.Driver, dir judgeDir, k *known) (v verdict) {
	v.Stage = "open"
	says, err := judgeEngine(d, dir, k, &v.Stage)
	if v.Says = says; err != nil {
		v.Says, v.Err = "error", err.Error()
	}
	for name, sentinel := range map[string]error{
		"damaged": mvcc.ErrDamaged, "engine damaged": backend.ErrDamaged, "format": mvcc.ErrFormat,
		"locked": backend.ErrLocked, "missing": fs.ErrNotExist, "read-only": mvcc.ErrReadOnly,
	} {
		if errors.Is(err, sentinel) {
			v.Kinds = append(v.Kinds, name)
		}
	}
	slices.Sort(v.Kinds)
	return v
}

func judgeEngine(d backend.Driver, dir judgeDir, k *known, stage *string) (says string, err error) {
	engine, err := d.Open(dir.Dir, backend.Options{ReadOnly: dir.ReadOnly})
	if err != nil {
		return "", err
	}
	defer func() {
		closing := engine.Close()
		if err == nil && closing != nil {
			*stage, err = "close", closing
		}
	}()
	store, err := mvcc.Open(engine, mvcc.Config{ReadOnly: dir.ReadOnly, RecentBytes: 1})
	if err != nil {
		return "", err
	}
	defer func() {
		closing := store.Close()
		if err == nil && closing != nil {
			*stage, err = "close", closing
		}
	}()
	return judgeStore(store, k, stage)
}

func judgeStore(store *mvcc.Store, k *known, stage *string) (string, error) {
	*stage = "read"
	got, err := readAll(store)
	if err != nil {
		return "", err
	}
	says := k.compare(got)
	*stage = "watch"
	watched, err := watchAll(store, got)
	if err != nil {
		return "", err
	}
	if !slices.Equal(watched, got.History) {
		return fmt.Sprintf("a watch got %d events, history has %d", len(watched), len(got.History)), nil
	}
	*stage = "verify"
	if _, err := store.Verify(context.Background()); err != nil {
		return "", err
	}
	if _, readOnly := store.ReadOnly(); !readOnly {
		*stage = "write"
		if _, err := store.Put(context.Background(), []byte("key-150"), []byte("after")); err != nil {
			return "", err
		}
	}
	return says, nil
}

// watchAll replays everything from the compact revision on.
func watchAll(store *mvcc.Store, k known) (got []seen, err error) {
	if len(k.History) == 0 {
		return nil, nil
	}
	hub, err := watch.NewHub(store, watch.Config{})
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	stream, err := hub.NewStream("judge")
	if err != nil {
		return nil, err
	}
	if _, err := stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: max(k.Compact, 1)}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for last := k.History[len(k.History)-1].Rev; len(got) == 0 || got[len(got)-1].Rev < last; {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range responses {
			if r.Canceled {
				return nil, fmt.Errorf("the watch was canceled: %w", r.Err)
			}
			for i := range r.Events {
				got = append(got, seenOf(&r.Events[i]))
			}
		}
	}
	return got, nil
}

// judges is how many children judge at the same time: they wait for flushes.
const judges = 4

// judgeAll has children judge the directories; one verdict for each.
func judgeAll(t *testing.T, s *specimen, dirs []judgeDir) []verdict {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known")
	text, err := json.Marshal(s.known)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	shares, errs := make([][]verdict, judges), make([]error, judges)
	var judging sync.WaitGroup
	for i := range judges {
		judging.Go(func() {
			c := judgeConfig{"judge", s.driver.Name, file, nil}
			for at := i; at < len(dirs); at += judges {
				c.Dirs = append(c.Dirs, dirs[at])
			}
			shares[i], errs[i] = judgeShare(t.Context(), c)
		})
	}
	judging.Wait()
	require.NoError(t, errors.Join(errs...))
	verdicts := make([]verdict, len(dirs))
	for i := range dirs {
		verdicts[i] = shares[i%judges][i/judges]
	}
	return verdicts
}

// judgeShare goes on with a new child where one died.
func judgeShare(ctx context.Context, c judgeConfig) (verdicts []verdict, err error) {
	for len(c.Dirs) > 0 {
		more, died, err := judgeOnce(ctx, c)
		if err != nil {
			return nil, err
		}
		if len(more) < len(c.Dirs) {
			more = append(more, verdict{Died: died})
		}
		verdicts = append(verdicts, more...)
		c.Dirs = c.Dirs[len(more):]
	}
	return verdicts, nil
}

// judgeOnce returns the verdicts of one child, and how it ended.
func judgeOnce(ctx context.Context, c judgeConfig) (verdicts []verdict, died string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	config, err := json.Marshal(c)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-faults.child="+string(config))
	var stderr firstBytes
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() && err == nil {
		var v verdict
		if err = json.Unmarshal(lines.Bytes(), &v); err == nil {
			verdicts = append(verdicts, v)
		}
	}
	ended := cmd.Wait()
	return verdicts, fmt.Sprintf("%v: %s", ended, stderr.first), errors.Join(err, lines.Err())
}

// firstBytes keeps the beginning of what a dying process says: a Go crash says
// the cause first.
type firstBytes struct{ first []byte }

func (l *firstBytes) Write(p []byte) (int, error) {
	if room := 1500 - len(l.first); room > 0 {
		l.first = append(l.first, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
