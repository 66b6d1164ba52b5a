//go:build unix

package listen

import (
	"math"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptor returns the number of conn's descriptor, 0 if it shows none. The
// system gives the lowest that is free, so a high one means that all below are
// in use.
func descriptor(conn net.Conn) int {
	bare, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := bare.SyscallConn()
	if err != nil {
		return 0
	}
	var number uintptr
	if err := raw.Control(func(fd uintptr) { number = fd }); err != nil {
		return 0
	}
	return int(number)
}

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
