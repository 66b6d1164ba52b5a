package listen_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/server/listen"
)

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		url, network, address string
		secure                bool
		wrong                 string // part of the error
	}{
		{url: "http://127.0.0.1:2379", network: "tcp", address: "127.0.0.1:2379"},
		{url: "https://[::1]:2379/", network: "tcp", address: "[::1]:2379", secure: true},
		{url: "unix:///run/watchd.sock", network: "unix", address: "/run/watchd.sock"},
		{url: "unixs://localhost:2379", network: "unix", address: "localhost:2379", secure: true},
		{url: "http://127.0.0.1", wrong: "has no port; write http://HOST:PORT"},
		{url: "http://127.0.0.1:2379/v3", wrong: "has a path; write http://127.0.0.1:2379"},
		{url: "unix://", wrong: "has no path"},
		{url: "tcp://127.0.0.1:2379", wrong: `has the scheme "tcp"; it must be http, https, unix or unixs`},
	} {
		t.Run(c.url, func(t *testing.T) {
			network, address, secure, err := listen.Address(parse(t, c.url))
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []any{c.network, c.address, c.secure}, []any{network, address, secure})
		})
	}
}

func TestOpenReplacesADeadSocketOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	l, err = listen.Open(t.Context(), parse(t, "unix://"+path))
	require.NoError(t, err)
	require.NoError(t, l.Close())

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = listen.Open(t.Context(), parse(t, "unix://"+path))
	require.ErrorContains(t, err, "no socket")

	_, err = listen.Open(t.Context(), parse(t, "http://256.0.0.1:1"))
	require.ErrorContains(t, err, "cannot listen on http://256.0.0.1:1")
}
