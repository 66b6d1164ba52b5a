package faults

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

var injectionsFlag = flag.Int("faults.injections", 1, "rounds of failing system calls for each engine")

// injection is a system call that fails. It is felt if it must end writing;
// else the engine can do without.
type injection struct {
	calls string // as strace takes them
	errno string
	files string // only on the engine's files of that kind; empty: on all
	after int    // about how many of them a thread does before there is work
	felt  bool
}

func (i injection) name() string { return i.calls + " " + i.errno + " " + i.files }

// injections are what each engine is put through. Calls that standard output
// uses too are restricted to the engine's files.
var injections = map[string][]injection{
	"bolt": {
		{"fdatasync,fsync", "EIO", "", 12, true},
		{"fdatasync,fsync", "EIO", "", 13, true}, // every second is of a meta page
		{"pwrite64", "EIO", "", 12, true},
		{"pwrite64", "ENOSPC", "", 12, true},
		{"ftruncate", "ENOSPC", "", 0, true},
	},
	"pebble": {
		{"fdatasync,fsync,sync_file_range", "EIO", "", 14, true},
		{"fdatasync,fsync,sync_file_range", "EIO", "", 0, true},
		{"write", "EIO", "log", 3, true},
		{"write", "ENOSPC", "log", 3, true},
		{"renameat,renameat2", "EIO", "", 0, true},
		{"fallocate", "ENOSPC", "", 0, false},
	},
	"badger": {
		{"msync", "EIO", "", 8, true},
		{"msync", "ENOSPC", "", 11, true},
		{"fsync,fdatasync", "EIO", "", 0, true},
		{"ftruncate", "ENOSPC", "", 2, true},
		{"renameat,renameat2", "EIO", "", 0, true},
	},
}

// onlyFiles restricts a trace to the names an engine may give to files.
func (i injection) onlyFiles(data string) (args []string) {
	if i.files == "" {
		return nil
	}
	for n := 1; n < 64; n++ {
		args = append(args, "-P", filepath.Join(data, fmt.Sprintf("%06d.%s", n, i.files)))
	}
	return args
}

// under is the tracer that makes the nth of the calls fail, counted in each
// thread, and all behind it if lasting.
func (i injection) under(strace, log, data string, n int, lasting bool) []string {
	when := strconv.Itoa(n)
	if lasting {
		when += "+"
	}
	tool := []string{strace, "-f", "-qq", "-o", log, "-e", "signal=none", "-e", "trace=" + i.calls}
	tool = append(tool, i.onlyFiles(data)...)
	return append(tool, "-e", "inject="+i.calls+":error="+i.errno+":when="+when)
}

// R6: a system call fails under a store at work. The process neither dies nor
// hangs nor exits, the store ends writing with the cause, and reads go on. On
// the healthy disk everything acknowledged is there (R1 to R3), in Relaxed all
// but what was not durable.
func TestInject(t *testing.T) {
	strace := needTool(t, "strace")
	onDisk(t, func(t *testing.T, d backend.Driver) {
		var hits atomic.Int64 // where a call's threads do too few of them, none is hit
		t.Cleanup(func() { assert.Positive(t, hits.Load(), "nothing was ever injected") })
		for round := range *injectionsFlag {
			for k, i := range injections[d.Name] {
				relaxed := time.Duration(0)
				if (k+round)%2 == 1 {
					relaxed = 50 * time.Millisecond
				}
				name := fmt.Sprintf("%s %v %d", i.name(), relaxed, round)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := childConfig{Engine: d.Name, Dir: t.TempDir(), Relaxed: relaxed, Writers: 4, Seed: *seedFlag + uint64(round), CompactEvery: 100, Streams: 2, RecentBytes: 64 << 10}
					hits.Add(injectOnce(t, strace, c, i, 1+i.after+5*round, round%2 == 0))
				})
			}
		}
	})
}

var notDurable = regexp.MustCompile(`revision (\d+) is not durable`)

func injectOnce(t *testing.T, strace string, c childConfig, i injection, n int, lasting bool) (hits int64) {
	log := filepath.Join(t.TempDir(), "trace")
	w := startWorker(t, c, i.under(strace, log, c.dataPath(), n, lasting)...)
	enough, failed := w.expect(nth("ack", 400)), w.expect(word("fail"))
	if _, ok := w.await(t, w.either(failed, enough)); ok {
		reads := w.expect(nth("read", 5))
		_, ok := w.await(t, reads)
		assert.True(t, ok, "reads end")
		w.stop()
	}
	rep := w.wait(t)
	trace, err := os.ReadFile(log)
	require.NoError(t, err)
	hits = int64(strings.Count(string(trace), "(INJECTED)"))
	t.Logf("%d injected, %d acknowledged, %d failed, closed %q, notes %q", hits, len(rep.acks), len(rep.failed), rep.closeErr, rep.notes)
	if rep.opened {
		require.NoError(t, w.err, "%v", w)
		require.True(t, rep.closed, "%v", w)
	}
	if hits > 0 && i.felt && rep.opened {
		require.NotEmpty(t, append(rep.failed, rep.closeErr), "%v", w)
	}
	for _, text := range rep.failed {
		assert.Contains(t, text, "mvcc: store failed")
		assert.Contains(t, text, c.Engine+": ")
		assert.Contains(t, text, c.dataPath())
		assert.Regexp(t, "input/output error|no space left", text)
		first, err := strconv.ParseInt(notDurable.FindStringSubmatch(text)[1], 10, 64)
		require.NoError(t, err)
		if c.Relaxed == 0 {
			assert.Greater(t, first, rep.seen, "what was shown is durable")
		}
	}
	l := newLedger(c)
	require.NoError(t, l.learn(rep))
	err = l.hold(c)
	if listedInVain.MatchString(rep.closeErr) && errors.Is(err, backend.ErrDamaged) {
		require.ErrorContains(t, err, "is missing")
		return hits
	}
	require.NoError(t, err)
	return hits
}

// listedInVain: badger has failed to sync its MANIFEST as a memtable became a
// table, and taken the table away again, but not what the MANIFEST says of it.
// It does not open then, and says so: docs/reliability.md.
var listedInVain = regexp.MustCompile(`^badger: .*error flushing memtable to disk: sync .*/MANIFEST: `)

// R6: the file of a store at work is cut to nothing, or to what bbolt reads
// first. That is an error of the reads and writes that meet it; the process
// lives and the store closes.
func TestInject_TruncatedUnderTheStore(t *testing.T) {
	for _, size := range []int64{0, 8192, 40_000} {
		t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
			c := childConfig{Engine: "bolt", Dir: t.TempDir(), Writers: 4, Seed: *seedFlag, CompactEvery: 100, Streams: 2, RecentBytes: 1}
			w := startWorker(t, c)
			failed := w.expect(word("fail"))
			_, ok := w.await(t, w.expect(nth("ack", 500)))
			require.True(t, ok, "%v", w)
			require.NoError(t, os.Truncate(filepath.Join(c.dataPath(), "db"), size))
			f, ok := w.await(t, failed)
			require.True(t, ok, "%v", w)
			assert.Contains(t, f.text(2), "mvcc: store failed")
			assert.Contains(t, f.text(2), c.dataPath())
			assert.Contains(t, f.text(2), backend.ErrDamaged.Error())
			w.stop()
			rep := w.wait(t)
			require.NoError(t, w.err, "%v", w)
			require.True(t, rep.closed)
			t.Logf("closed %q, notes %q", rep.closeErr, rep.notes)
		})
	}
}

// either is a wait for whichever fact comes first.
func (c *child) either(waits ...*factWait) *factWait {
	first := &factWait{found: make(chan fact, len(waits))}
	for _, w := range waits {
		go func() {
			select {
			case f := <-w.found:
				first.found <- f
			case <-c.ended:
			}
		}()
	}
	return first
}
