package listen

import (
	"io"
	"net"
)

// prior is how a client begins that knows beforehand that the server speaks
// HTTP/2 (RFC 9113, 3.4). No method of HTTP/1.1 begins like it.
const prior = "PRI"

// startsHTTP2 judges the first bytes of a connection; decided is false while
// more are needed.
func startsHTTP2(first []byte) (is, decided bool) {
	n := min(len(first), len(prior))
	if string(first[:n]) != prior[:n] {
		return false, true
	}
	return n == len(prior), n == len(prior)
}

// readHTTP2 is speaksHTTP2 by reading, for connections that cannot be looked
// at.
func readHTTP2(conn net.Conn) (net.Conn, bool, error) {
	first := make([]byte, 0, len(prior))
	for {
		n, err := conn.Read(first[len(first):cap(first)])
		first = first[:len(first)+n]
		is, decided := startsHTTP2(first)
		if decided {
			return &readConn{Conn: conn, first: first}, is, nil
		}
		if err != nil {
			return nil, false, err
		}
		if n == 0 {
			return nil, false, io.ErrNoProgress
		}
	}
}

// readConn is a connection whose first bytes were read already. Like any
// connection it has one reader at a time.
type readConn struct {
	net.Conn
	first []byte
}

func (c *readConn) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
