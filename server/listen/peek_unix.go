//go:build unix

package listen

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// speaksHTTP2 waits until conn has said whether it speaks HTTP/2 with prior
// knowledge, until it ends or until its deadline. It returns the connection to
// go on with, which still has everything that came.
func speaksHTTP2(conn net.Conn) (net.Conn, bool, error) {
	bare, ok := conn.(syscall.Conn)
	if !ok {
		return readHTTP2(conn)
	}
	raw, err := bare.SyscallConn()
	if err != nil {
		return nil, false, err
	}
	var (
		is      bool
		peekErr error
	)
	// Told to wait, the runtime waits for more bytes than there were: it hears of
	// new bytes, not of bytes that are there.
	err = raw.Read(func(fd uintptr) bool {
		var first [len(prior)]byte
		n, _, err := unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		for err == unix.EINTR {
			n, _, err = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		}
		switch {
		case err == unix.EAGAIN:
			return false
		case err != nil:
			peekErr = err
			return true
		case n == 0:
			peekErr = io.EOF
			return true
		}
		var decided bool
		is, decided = startsHTTP2(first[:n])
		return decided
	})
	if err == nil {
		err = peekErr
	}
	return conn, is, err
}
