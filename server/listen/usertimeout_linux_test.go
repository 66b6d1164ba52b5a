package listen_test

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/watchkv/watchkv/internal/testca"
	"github.com/watchkv/watchkv/server/listen"
)

// TestUserTimeout: under TLS gRPC does not see the socket, so the port bounds
// what is not acknowledged.
func TestUserTimeout(t *testing.T) {
	ca := testca.New(t, "watchd test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := listen.New(l, listen.Config{TLS: serverTLS(t, ca, ca.Issue("server", "watchd")), UserTimeout: 7 * time.Second})
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, p.Serve()) })
	defer running.Wait()
	defer p.Close()
	running.Go(func() {
		c, err := tls.Dial("tcp", l.Addr().String(), ca.Client(testca.Pair{}))
		if assert.NoError(t, err) {
			c.Close()
		}
	})
	conn, err := p.HTTP().Accept()
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.(*tls.Conn).NetConn().(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	var set int
	require.NoError(t, raw.Control(func(fd uintptr) { set, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }))
	require.NoError(t, err)
	require.Equal(t, 7000, set)
}
