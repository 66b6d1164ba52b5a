package bench

import "golang.org/x/sys/unix"

func cpuModel() string {
	name, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return ""
	}
	return name
}

func memoryTotal() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}

func osRelease() string {
	release, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return "darwin"
	}
	return "macOS " + release
}

func filesystem(dir string) string {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return ""
	}
	return unix.ByteSliceToString(stat.Fstypename[:])
}

// residentBytes cannot be read without asking the kernel in ways that only
// cgo offers.
func residentBytes() int64 { return 0 }

// writtenBytes is not known here.
func writtenBytes() int64 { return -1 }
