//go:build !linux

package listen

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the system has no such bound.
func setUserTimeout(net.Conn, time.Duration) {}
