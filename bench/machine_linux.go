package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

func memoryTotal() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

func osRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "linux"
	}
	release := unix.ByteSliceToString(name.Release[:])
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return "linux " + release
	}
	return "linux " + parts[0] + "." + strings.SplitN(parts[1], "-", 2)[0]
}

// filesystems names the magic numbers of the file systems people put data on.
var filesystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs",
	unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs", 0x01021997: "9p", 0x65735546: "fuse",
}

func filesystem(dir string) string {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return ""
	}
	if name, ok := filesystems[int64(stat.Type)]; ok {
		return name
	}
	return fmt.Sprintf("file system %#x", int64(stat.Type))
}

// residentBytes is the process's resident memory now.
func residentBytes() int64 {
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// writtenBytes is what this process has given to disks so far; -1 if unknown.
func writtenBytes() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return -1
	}
	return u.Oublock * blockBytes
}

// blockBytes is the unit of the kernel's counters of blocks.
const blockBytes = 512
