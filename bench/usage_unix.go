//go:build unix

package bench

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used of all processors so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuUnmeasured is why cpuTime says nothing here; empty where it does.
const cpuUnmeasured = ""

// occupied is what a file takes on disk: sparse parts do not count.
func occupied(info os.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(stat.Blocks) * 512
	}
	return info.Size()
}
