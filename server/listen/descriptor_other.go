//go:build !unix

package listen

import (
	"math"
	"net"
)

// descriptor would be the number of conn's descriptor; here numbers tell
// nothing.
func descriptor(net.Conn) int { return 0 }

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int { return math.MaxInt32 }
