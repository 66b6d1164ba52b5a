package faults

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tracedCalls is what a trace of role "sync" shows: all that writes to a file
// but maps, and all that syncs.
const tracedCalls = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,msync"

// syscallTrace is a system call trace of all threads of a process. The tracer
// sees one event at a time, and a thread goes on only when its event was
// taken, so what happens before in the program comes before in the trace.
type syscallTrace struct {
	calls []tracedCall // in the order they ended
	marks map[string]tracedCall
}

// tracedCall is one system call; begin and end are places in the trace.
type tracedCall struct {
	begin, end int
	name       string
	file       string // the first argument's, empty for a map
	failed     bool
}

func (c tracedCall) isSync() bool {
	return c.name == "fsync" || c.name == "fdatasync" || c.name == "msync"
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	fileArg     = regexp.MustCompile(`^\d+<([^>]*)>`)
	markArg     = regexp.MustCompile(markPrefix + `((?:begin|end) [^"\\]*)\\n`)
	returned    = regexp.MustCompile(`= (-?\d+)(?: .*)?$`)
)

func readTrace(path string) (*syscallTrace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	trace := &syscallTrace{marks: map[string]tracedCall{}}
	open := map[string]tracedCall{} // by thread: begun and not ended
	names := map[string]string{}    // by thread: the mark that call writes
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		line, rest := lines.Text(), ""
		var thread string
		if m := callLine.FindStringSubmatch(line); m != nil {
			thread, rest = m[1], m[3]
			c := tracedCall{begin: n, name: m[2]}
			if file := fileArg.FindStringSubmatch(rest); file != nil {
				c.file = file[1]
			}
			names[thread] = ""
			if mark := markArg.FindStringSubmatch(rest); mark != nil {
				names[thread] = mark[1]
			}
			open[thread] = c
			if strings.HasSuffix(rest, "<unfinished ...>") {
				continue
			}
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			thread, rest = m[1], m[3]
		} else {
			continue // the end of a thread
		}
		c, known := open[thread]
		value := returned.FindStringSubmatch(rest)
		if !known || value == nil {
			return nil, fmt.Errorf("line %d of the trace: %q", n+1, line)
		}
		delete(open, thread)
		c.end, c.failed = n, strings.HasPrefix(value[1], "-")
		if mark := names[thread]; mark != "" {
			trace.marks[mark] = c
			continue
		}
		trace.calls = append(trace.calls, c)
	}
	return trace, lines.Err()
}

// syncedIn finds the last sync between the marks of a name that began after
// the file it syncs was written there; what is written through a map is not
// seen, so an msync needs no write. It is an error if there is none.
func (t *syscallTrace) syncedIn(name string) (tracedCall, error) {
	begin, begun := t.marks["begin "+name]
	end, ended := t.marks["end "+name]
	if !begun || !ended {
		return tracedCall{}, fmt.Errorf("%s is not marked in the trace", name)
	}
	var found tracedCall
	written := map[string]int{} // by file: where its first write ended
	for _, c := range t.calls {
		if c.begin < begin.end || c.end > end.begin || c.failed {
			continue
		}
		if !c.isSync() {
			if _, before := written[c.file]; !before {
				written[c.file] = c.end
			}
			continue
		}
		if at, ok := written[c.file]; c.name == "msync" || ok && at < c.begin {
			found = c
		}
	}
	if found.name == "" {
		return found, fmt.Errorf("nothing was synced during %s, lines %d to %d of the trace", name, begin.end+1, end.begin+1)
	}
	return found, nil
}

// The reader of traces tells a sync inside from one that begins before, ends
// after, fails, or is of a file that was not written.
func TestReadTrace(t *testing.T) {
	const mark = `1  write(3</dev/null>, "watchkv mark %s\n", 20) = 20`
	begin, end := fmt.Sprintf(mark, "begin a"), fmt.Sprintf(mark, "end a")
	write := `2  pwrite64(5</d/log>, "\0\1"..., 100, 0) = 100`
	for _, row := range []struct {
		name  string
		lines []string
		sync  string // empty: an error
	}{
		{"inside", []string{begin, write, `1  fsync(5</d/log>) = 0`, end}, "fsync"},
		{"of a map", []string{begin, `1  msync(0x7f00, 4096, MS_SYNC) = 0`, end}, "msync"},
		{"by another thread, in pieces", []string{
			begin, `3  write(5</d/log>, "x", 1 <unfinished ...>`, `2  write(9</d/x>, "x", 1) = 1`, `3  <... write resumed>) = 1`,
			`2  fdatasync(5</d/log> <unfinished ...>`, `3  write(9</d/x>, "x", 1) = 1`, `2  <... fdatasync resumed>) = 0`, `3  +++ exited with 0 +++`, end,
		}, "fdatasync"},
		{"none", []string{begin, write, end}, ""},
		{"of another file", []string{begin, write, `1  fsync(5</d/other>) = 0`, end}, ""},
		{"before the write", []string{begin, `1  fsync(5</d/log>) = 0`, write, end}, ""},
		{"while it was written", []string{begin, `1  fsync(5</d/log> <unfinished ...>`, write, `1  <... fsync resumed>) = 0`, end}, ""},
		{"failed", []string{begin, write, `1  fsync(5</d/log>) = -1 EIO (Input/output error)`, end}, ""},
		{"begun before", []string{`3  msync(0x7f00, 4096, MS_SYNC <unfinished ...>`, begin, write, `3  <... msync resumed>) = 0`, end}, ""},
		{"ended after", []string{begin, write, `3  fsync(5</d/log> <unfinished ...>`, end, `3  <... fsync resumed>) = 0`}, ""},
		{"no end", []string{begin, write, `1  fsync(5</d/log>) = 0`}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := t.TempDir() + "/trace"
			require.NoError(t, os.WriteFile(path, []byte(strings.Join(row.lines, "\n")+"\n"), 0o600))
			trace, err := readTrace(path)
			require.NoError(t, err)
			got, err := trace.syncedIn("a")
			require.Equal(t, row.sync, got.name)
			require.Equal(t, row.sync == "", err != nil, "%v", err)
		})
	}
}
