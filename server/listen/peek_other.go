//go:build !unix

package listen

import "net"

// speaksHTTP2 waits until conn has said whether it speaks HTTP/2 with prior
// knowledge, until it ends or until its deadline. It returns the connection to
// go on with, which still has everything that came.
func speaksHTTP2(conn net.Conn) (net.Conn, bool, error) { return readHTTP2(conn) }
