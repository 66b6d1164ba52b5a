package faults

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

// fullRoom is how much the writers of a disk-full test find above the floor.
var fullRoom = flag.Int64("faults.fullmib", 48, "MiB that disk-full tests write before the floor")

// fullKinds is how many kinds of volumes and durabilities run full.
var fullKinds = flag.Int("faults.full", 1, "disk-full tests: 1 in Relaxed in memory, 2 in Sync on ext4 too, 3 in both on both")

// setBallast lengthens the ballast of a volume by so many bytes.
func setBallast(dir string, bytes int64) (err error) {
	file, err := os.OpenFile(filepath.Join(dir, ballastName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return unix.Fallocate(int(file.Fd()), 0, info.Size(), bytes)
}

// newTmpfs mounts a file system in memory.
func newTmpfs(t *testing.T, bytes int64) string {
	t.Helper()
	needMount(t)
	dir := filepath.Join(t.TempDir(), volumeName+strconv.Itoa(os.Getpid()))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", bytes), "tmpfs", dir))
	t.Cleanup(func() { require.NoError(t, detach(dir)) })
	return dir
}

// ballastBytes is what freeing the ballast gives at least.
const ballastBytes = 192 << 20

// engineFloor is what puts leave by default in an empty store of an engine.
func engineFloor(t *testing.T, d backend.Driver) int64 {
	t.Helper()
	e, err := d.Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	space, err := e.(backend.FreeSpacer).FreeSpace()
	require.NoError(t, errors.Join(err, e.Close()))
	return space.Floor * 3 / 2
}

// fullVolume makes a volume with so much room, and a ballast on it.
func fullVolume(t *testing.T, kind string, room int64) (dir string) {
	t.Helper()
	if kind == "tmpfs" {
		dir = newTmpfs(t, room+ballastBytes)
		require.NoError(t, setBallast(dir, ballastBytes))
		return dir
	}
	dir = newVolume(t).dir
	free, err := backend.VolumeFree(dir)
	require.NoError(t, err)
	require.NoError(t, setBallast(dir, free-room))
	return dir
}

// fullRun is a child on a full volume, and what its predecessors left.
type fullRun struct {
	t *testing.T
	c fullConfig
}

// start runs a child through its steps and returns it when it has told the
// last one.
func (r *fullRun) start(steps ...string) *child {
	r.t.Helper()
	r.c.Role, r.c.Steps = "full", steps
	c := startChild(r.t, r.c, 0)
	last := len(steps)
	if steps[last-1] == "hold" {
		last--
	}
	f, ok := c.await(r.t, c.expect(func(f fact) bool { return f.Word == "note" && f.text(0) == "full" && f.num(1) == int64(last) }))
	require.Truef(r.t, ok, "the child did not get to its step %d: %v", last, c)
	r.learn(f)
	return c
}

func (r *fullRun) learn(f fact) {
	r.t.Helper()
	r.c.Deleted = int(f.num(2))
	require.NoError(r.t, json.Unmarshal([]byte(f.Args[3]), &r.c.From))
}

// finish runs a child to its end.
func (r *fullRun) finish(steps ...string) {
	r.t.Helper()
	c := r.start(steps...)
	c.wait(r.t)
	r.t.Log(c)
	require.NoErrorf(r.t, c.err, "%v", c)
}

// eachFull runs a test on every disk engine: in Relaxed on a volume in memory,
// with -faults.full=2 in Sync on ext4 too, with 3 in both on both.
func eachFull(t *testing.T, test func(t *testing.T, kind string, r *fullRun)) {
	const relaxed = 50 * time.Millisecond
	modes := map[string][]time.Duration{"tmpfs": {relaxed}}
	if *fullKinds >= 2 {
		modes["ext4"] = []time.Duration{0}
	}
	if *fullKinds >= 3 {
		modes = map[string][]time.Duration{"tmpfs": {relaxed, 0}, "ext4": {relaxed, 0}}
	}
	for _, kind := range []string{"tmpfs", "ext4"} {
		for _, d := range engines.All() {
			if d.Volatile {
				continue
			}
			for _, relaxed := range modes[kind] {
				t.Run(fmt.Sprintf("%s/%s/%v", kind, d.Name, relaxed), func(t *testing.T) {
					test(t, kind, &fullRun{t: t, c: fullConfig{Engine: d.Name, Relaxed: relaxed, Writers: 4}})
				})
			}
		}
	}
}

// R7: on every engine, on a volume that runs full while it is written at full
// speed, puts are refused before anything breaks; reads, watches, deletes and
// compaction go on; what was acknowledged survives kill -9 there; the store
// opens on the full volume, and freeing space ends it.
func TestFull_FloorHolds(t *testing.T) {
	eachFull(t, func(t *testing.T, kind string, r *fullRun) {
		d, _ := engines.Lookup(r.c.Engine)
		r.c.Dir = fullVolume(t, kind, engineFloor(t, d)+*fullRoom<<20)
		c := r.start("fill", "refused", "read", "replay", "hold")
		c.kill()
		c.killed(t)
		t.Log(c)
		c = r.start("read", "replay", "top", "fill", "refused", "delete", "compact", "read", "replay", "hold")
		c.kill()
		c.killed(t)
		t.Log(c)
		r.finish("read", "free", "resume", "read", "replay", "reclaim", "resume")
		r.finish("read", "replay")
	})
}

// R7: somebody else fills the volume while the store writes, to below what
// puts leave; the floor is set by hand.
func TestFull_OthersFill(t *testing.T) {
	eachFull(t, func(t *testing.T, kind string, r *fullRun) {
		d, _ := engines.Lookup(r.c.Engine)
		r.c.MinFree = engineFloor(t, d) + 64<<20
		r.c.Dir = fullVolume(t, kind, r.c.MinFree+128<<20)
		r.finish("press", "refused", "read", "replay", "top", "delete", "compact", "free", "resume", "read", "replay")
		r.finish("read", "replay", "resume")
	})
}

// R7: on a volume without any room an engine opens, or says clearly that it
// does not, and works again once there is some. It never hangs or dies.
func TestFull_OpenWithoutRoom(t *testing.T) {
	eachFull(t, func(t *testing.T, kind string, r *fullRun) {
		d, _ := engines.Lookup(r.c.Engine)
		r.c.Dir = fullVolume(t, kind, engineFloor(t, d)+48<<20)
		c := r.start("some", "read", "hold")
		c.kill()
		c.killed(t)
		free, err := backend.VolumeFree(r.c.Dir)
		require.NoError(t, err)
		require.NoError(t, setBallast(r.c.Dir, free-free%4096))

		r.c.Role, r.c.Steps = "full", []string{"refused", "read", "replay"}
		c = startChild(t, r.c, 0)
		c.wait(t)
		t.Log(c)
		if c.err != nil {
			var exit *exec.ExitError
			require.ErrorAs(t, c.err, &exit)
			require.Equalf(t, childFailed, exit.ExitCode(), "died instead of saying why: %v", c)
			require.Regexpf(t, "room|space", c.String(), "the error says what is missing")
		}
		require.NoError(t, os.Remove(filepath.Join(r.c.Dir, ballastName)))
		r.finish("read", "replay", "resume", "read")
	})
}
