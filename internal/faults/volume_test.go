package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/watchkv/watchkv/backend"
)

// volume is an ext4 file system in an image file, on a loop device, whose
// power can be cut. The image is the disk: what was written to it stays.
type volume struct {
	image string
	dir   string // where it is mounted, or would be
}

// volumeBytes leaves every engine room for what it reserves ahead. The image
// is sparse.
const volumeBytes = 4 << 30

// volumeName marks a mount as ours, with the process it belongs to.
const volumeName = "watchkv-volume-"

// newVolume makes and mounts a volume. It is gone when the test has ended.
func newVolume(t *testing.T) *volume {
	t.Helper()
	needMount(t)
	detachStale(t)
	root := t.TempDir()
	v := &volume{
		image: filepath.Join(root, "image"),
		dir:   filepath.Join(root, volumeName+strconv.Itoa(os.Getpid())),
	}
	require.NoError(t, os.Mkdir(v.dir, 0o700))
	f, err := os.Create(v.image)
	require.NoError(t, err)
	require.NoError(t, errors.Join(f.Truncate(volumeBytes), f.Close()))
	require.NoError(t, command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", v.image))
	t.Cleanup(func() { require.NoError(t, detach(v.dir)) })
	v.mount(t)
	return v
}

// mount makes the files of the image visible; it replays the journal, as
// after a reboot.
func (v *volume) mount(t *testing.T) {
	t.Helper()
	require.NoError(t, command("mount", "-o", "loop", v.image, v.dir))
}

// command runs a program; its error carries what it printed.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// detach unmounts a directory, if it is mounted. The loop device goes with
// the mount.
func detach(dir string) error {
	for try := 0; ; try++ {
		switch err := unix.Unmount(dir, 0); {
		case err == nil || errors.Is(err, unix.EINVAL): // EINVAL: not mounted
			return nil
		case !errors.Is(err, unix.EBUSY) || try == 100:
			// Out of sight at least; it goes when its last user has gone.
			return fmt.Errorf("unmounting %s: %w", dir, errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)))
		}
		<-time.After(20 * time.Millisecond) // a process that was killed is still being taken down
	}
}

// detachStale unmounts what test processes left that died without a cleanup.
func detachStale(t *testing.T) (dirs []string) {
	t.Helper()
	f, err := os.Open("/proc/self/mounts")
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		owner, ours := strings.CutPrefix(filepath.Base(fields[1]), volumeName)
		pid, err := strconv.Atoi(owner)
		if ours && err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			t.Logf("a dead process left %s mounted", fields[1])
			dirs = append(dirs, fields[1])
		}
	}
	for _, dir := range dirs {
		_ = detach(dir)
	}
	return dirs
}

// EXT4_IOC_SHUTDOWN and its flag that throws away even the journal.
const (
	ext4Shutdown   = 0x8004587d
	ext4NoLogFlush = 2
)

// cutPower stops the file system where it is: nothing reaches the image any
// more, every call that writes or syncs fails.
func (v *volume) cutPower(t *testing.T) {
	t.Helper()
	f, err := os.Open(v.dir)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, ext4NoLogFlush))
}

// restore mounts the volume anew after a cut. No process may hold a file of
// it.
func (v *volume) restore(t *testing.T) {
	t.Helper()
	require.NoError(t, detach(v.dir))
	v.mount(t)
}

// writeBack makes random pieces of the files of the volume reach the image
// until stop is called, as a kernel that is short of memory would: after a cut
// some of what was not synced is there, in any order.
func (v *volume) writeBack(r *rand.Rand) (stop func()) {
	ended, done := make(chan token), make(chan token)
	go func() {
		defer close(done)
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				v.writeBackOnce(r)
			case <-ended:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-done
	})
}

// writeBackOnce writes back a piece of one file. Files come and go meanwhile,
// so nothing is said of errors.
func (v *volume) writeBackOnce(r *rand.Rand) {
	var files []string
	_ = filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	if len(files) == 0 {
		return
	}
	f, err := os.Open(files[r.IntN(len(files))])
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return
	}
	const page = 4096
	from := r.Int64N(info.Size()) &^ (page - 1)
	_ = unix.SyncFileRange(int(f.Fd()), from, page*(1+r.Int64N(64)), unix.SYNC_FILE_RANGE_WRITE)
}

// A cut takes what was not synced, and leaves what was.
func TestVolume_CutPower(t *testing.T) {
	v := newVolume(t)
	write := func(name string, sync bool) {
		f, err := os.Create(filepath.Join(v.dir, name))
		require.NoError(t, err)
		_, err = f.WriteString(name)
		require.NoError(t, err)
		if sync {
			require.NoError(t, f.Sync())
		}
		require.NoError(t, f.Close())
	}
	write("synced", true)
	require.NoError(t, backend.SyncDir(v.dir))
	write("not synced", false)
	v.cutPower(t)
	require.ErrorIs(t, os.WriteFile(filepath.Join(v.dir, "late"), nil, 0o600), unix.EIO)
	v.restore(t)
	there, err := os.ReadFile(filepath.Join(v.dir, "synced"))
	require.NoError(t, err)
	require.Equal(t, "synced", string(there))
	for _, name := range []string{"not synced", "late"} {
		require.NoFileExists(t, filepath.Join(v.dir, name))
	}
}

// What a dead test process left mounted goes with its loop device, and what a
// living one has mounted stays.
func TestVolume_DetachesStale(t *testing.T) {
	v := newVolume(t)
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	stale := filepath.Join(filepath.Dir(v.dir), volumeName+strconv.Itoa(gone.Process.Pid))
	require.NoError(t, os.Mkdir(stale, 0o700))
	require.NoError(t, command("mount", "--bind", v.dir, stale))
	require.Contains(t, detachStale(t), stale)
	require.NotContains(t, detachStale(t), stale)
	require.DirExists(t, filepath.Join(v.dir, "lost+found"))
	require.NoError(t, detach(v.dir))
	loops, err := exec.Command("losetup", "--associated", v.image).CombinedOutput()
	require.NoError(t, err)
	require.Empty(t, string(loops))
}
