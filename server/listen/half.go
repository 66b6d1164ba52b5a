package listen

import (
	"net"
	"sync"
)

// half is the listener of one of a port's protocols.
type half struct {
	port      *Port
	conns     chan net.Conn
	closeOnce sync.Once
	done      chan struct{} // closed by Close
}

func newHalf(p *Port) *half {
	return &half{port: p, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
	case <-h.port.done:
	}
	return nil, &net.OpError{Op: "accept", Net: h.Addr().Network(), Addr: h.Addr(), Err: net.ErrClosed}
}

func (h *half) Close() error {
	h.closeOnce.Do(func() { close(h.done) })
	return nil
}

func (h *half) Addr() net.Addr { return h.port.Addr() }

// give hands conn to who accepts, or closes it when nobody will.
func (h *half) give(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.done:
		conn.Close()
	case <-h.port.done:
		conn.Close()
	}
}
