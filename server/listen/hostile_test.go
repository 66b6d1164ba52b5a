package listen_test

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/internal/testca"
	"github.com/watchkv/watchkv/server/listen"
)

// TestSilentConnectionsAreClosed: a client that says nothing, or half of a
// handshake, is gone after the timeout.
func TestSilentConnectionsAreClosed(t *testing.T) {
	ca := testca.New(t, "watchd test")
	server := serverTLS(t, ca, ca.Issue("server", "watchd"))
	for name, c := range map[string]struct {
		cfg  listen.Config
		says string
	}{
		"plain, nothing":      {},
		"plain, half":         {says: "PR"},
		"tls, nothing":        {cfg: listen.Config{TLS: server}},
		"tls, half handshake": {cfg: listen.Config{TLS: server}, says: "\x16\x03\x01\x02\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.DecideTimeout = 20 * time.Millisecond
			s := serve(t, c.cfg)
			conn := dial(t, s.addr)
			write(t, conn, c.says)
			_, err := io.Copy(io.Discard, conn)
			requireEnded(t, err)
		})
	}
}

// TestSilentConnectionsKeepNobodyOut: of too many undecided connections the
// oldest goes, and who speaks is served.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	s := serve(t, listen.Config{MaxUndecided: 8, DecideTimeout: time.Hour})
	var silent []net.Conn
	for range 20 {
		silent = append(silent, dial(t, s.addr))
	}
	require.NoError(t, callGRPC(t, s.addr, insecure.NewCredentials()))
	body, err := fetch(t, "http://"+s.addr, &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/1.1", body)
	for _, conn := range silent[:12] {
		_, err := io.Copy(io.Discard, conn)
		requireEnded(t, err)
	}
	// One of the youngest still may say what it wants.
	write(t, silent[19], "GET / HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(silent[19])
	require.NoError(t, err)
	require.Contains(t, string(answer), "over HTTP/1.0")
}

// TestDescriptorsAreLeft: at the limit silent clients make room for those who
// speak; when all speak, newcomers are turned away until one leaves.
func TestDescriptorsAreLeft(t *testing.T) {
	spare, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	raw, err := spare.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	var next uintptr
	require.NoError(t, raw.Control(func(fd uintptr) { next = fd }))
	s := serve(t, listen.Config{MaxDescriptor: int(next) + 40, DecideTimeout: time.Hour})
	require.NoError(t, spare.Close())
	var silent []net.Conn
	for range 60 { // each has a descriptor at both ends, here
		silent = append(silent, dial(t, s.addr))
	}
	body, err := fetch(t, "http://"+s.addr, &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/1.1", body)
	_, err = io.Copy(io.Discard, silent[0])
	requireEnded(t, err)

	var speaking []net.Conn
	turnedAway := func() bool {
		conn := dial(t, s.addr)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		_, err := conn.Read(make([]byte, 1))
		speaking = append(speaking, conn)
		return err != nil
	}
	for !turnedAway() {
		require.Less(t, len(speaking), 100)
	}
	for _, conn := range append(silent, speaking...) {
		conn.Close()
	}
	require.Eventually(t, func() bool { return !turnedAway() }, 30*time.Second, 5*time.Millisecond)
}

// TestCloseEndsUndecided: closing does not wait for silent clients.
func TestCloseEndsUndecided(t *testing.T) {
	ca := testca.New(t, "watchd test")
	server := serverTLS(t, ca, ca.Issue("server", "watchd"))
	for name, cfg := range map[string]listen.Config{"plain": {}, "tls": {TLS: server}} {
		t.Run(name, func(t *testing.T) {
			cfg.DecideTimeout = time.Hour
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			p := listen.New(l, cfg)
			ended := make(chan error, 1)
			go func() { ended <- p.Serve() }()
			var conns []net.Conn
			for range 20 {
				conns = append(conns, dial(t, l.Addr().String()))
			}
			require.NoError(t, p.Close())
			require.NoError(t, <-ended)
			for _, conn := range conns {
				_, err := io.Copy(io.Discard, conn)
				requireEnded(t, err)
			}
			_, err = p.GRPC().Accept()
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, p.Close())
		})
	}
}

// TestNobodyAccepts: a connection for a server that stopped is closed.
func TestNobodyAccepts(t *testing.T) {
	s := serve(t, listen.Config{})
	require.NoError(t, s.HTTP().Close())
	conn := dial(t, s.addr)
	write(t, conn, "GET / HTTP/1.1\r\n\r\n")
	_, err := io.Copy(io.Discard, conn)
	requireEnded(t, err)
	require.NoError(t, callGRPC(t, s.addr, insecure.NewCredentials()))
}

// TestServeReturnsTheListenersError: a listener that fails ends the port.
func TestServeReturnsTheListenersError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	broken := &passing{Listener: l, fail: 2}
	p := listen.New(broken, listen.Config{})
	require.ErrorIs(t, p.Serve(), io.ErrUnexpectedEOF)
	_, err = p.HTTP().Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// passing fails some times in passing, then for good.
type passing struct {
	net.Listener
	fail int
}

func (p *passing) Accept() (net.Conn, error) {
	if p.fail > 0 {
		p.fail--
		return nil, temporary{}
	}
	return nil, io.ErrUnexpectedEOF
}

type temporary struct{}

func (temporary) Error() string   { return "too many open files" }
func (temporary) Temporary() bool { return true }

// TestThousandConnections: many connections of all kinds at once, each served.
func TestThousandConnections(t *testing.T) {
	ca := testca.New(t, "watchd test")
	plain := serve(t, listen.Config{})
	secure := serve(t, listen.Config{TLS: serverTLS(t, ca, ca.Issue("server", "watchd"))})
	var running sync.WaitGroup
	for i := range 1000 {
		running.Go(func() {
			conn, err := net.Dial("tcp", plain.addr)
			if !assert.NoError(t, err) {
				return
			}
			defer conn.Close()
			if i%2 == 0 {
				io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
				answer, err := io.ReadAll(conn)
				assert.NoError(t, err)
				assert.Contains(t, string(answer), "over HTTP/1.0")
			}
		})
	}
	for i := range 20 {
		running.Go(func() {
			if i%2 == 0 {
				assert.NoError(t, callGRPC(t, plain.addr, insecure.NewCredentials()))
				return
			}
			assert.NoError(t, callGRPC(t, secure.addr, credentials.NewTLS(ca.Client(testca.Pair{}))))
		})
	}
	running.Wait()
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchd.sock")
	at := parse(t, "unix://"+path)
	l, err := listen.Open(t.Context(), at)
	require.NoError(t, err)
	serveOn(t, l, listen.Config{})
	require.NoError(t, callGRPC(t, "unix://"+path, insecure.NewCredentials()))

	_, err = listen.Open(t.Context(), at)
	require.ErrorContains(t, err, "another process serves it")
}
