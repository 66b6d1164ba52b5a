package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/internal/testca"
)

// authority has the files of a watchd whose clients show certificates.
type authority struct {
	*testca.CA
	server, alice, bob testca.Pair
	revoked            string
}

func newAuthority(t *testing.T) authority {
	ca := testca.New(t, "test authority")
	a := authority{CA: ca, server: ca.Issue("server", "first"), alice: ca.Issue("alice", "alice"), bob: ca.Issue("bob", "bob")}
	a.revoked = ca.Revoke("revoked.crl")
	return a
}

func (a authority) args() []string {
	return []string{
		"--backend", "mem", "--listen-client-urls", "https://127.0.0.1:0", "--cert-file", a.server.Cert, "--key-file", a.server.Key,
		"--client-cert-auth", "--trusted-ca-file", a.File, "--client-crl-file", a.revoked,
	}
}

// shown makes a connection and returns the name in the server's certificate,
// and what the client hears if it is refused.
func (p *process) shown(cfg *tls.Config) (string, error) {
	p.t.Helper()
	conn, err := tls.Dial("tcp", p.address, cfg)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	require.NoError(p.t, conn.SetDeadline(time.Now().Add(slow)))
	// In TLS 1.3 a client hears only with the first answer that it is refused.
	if _, err := io.WriteString(conn, "GET /version HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	if _, err := io.ReadAll(conn); err != nil {
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// TestSecure: one port under TLS serves the official client and HTTP, follows
// its certificates while it runs, and refuses who is revoked.
func TestSecure(t *testing.T) {
	a := newAuthority(t)
	p := up(t, append(a.args(), "--data-dir", t.TempDir())...)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + p.address}, TLS: a.Client(a.alice), Logger: zap.NewNop()})
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	events := client.Watch(ctx, "a")
	_, err = client.Put(ctx, "a", "1")
	require.NoError(t, err)

	web := &http.Client{Transport: &http.Transport{TLSClientConfig: a.Client(a.alice), ForceAttemptHTTP2: true}, Timeout: slow}
	defer web.CloseIdleConnections()
	for path, want := range map[string]string{"/version": `"etcdserver":"3.7.3"`, "/health": `"health":"true"`, "/metrics": "etcd_mvcc_put_total"} {
		res, err := web.Get("https://" + p.address + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, string(body), want)
	}
	res, err := web.Post("https://"+p.address+"/v3/kv/range", "application/json", strings.NewReader(`{"key":"YQ=="}`))
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, string(body), `"value":"MQ=="`)

	_, err = p.shown(a.Client(testca.Pair{}))
	require.ErrorContains(t, err, "certificate required")

	// Renewed, while the connection of before goes on.
	name, err := p.shown(a.Client(a.bob))
	require.NoError(t, err)
	require.Equal(t, "first", name)
	a.Issue("server", "second")
	name, err = p.shown(a.Client(a.bob))
	require.NoError(t, err)
	require.Equal(t, "second", name)

	a.Revoke("revoked.crl", a.bob)
	_, err = p.shown(a.Client(a.bob))
	require.ErrorContains(t, err, "bad certificate")
	require.Eventually(t, func() bool {
		rejected := p.find("rejected connection on client endpoint")
		return len(rejected) > 0 && strings.Contains(rejected[len(rejected)-1]["error"].(string), "is revoked")
	}, slow, 10*time.Millisecond)
	_, err = p.shown(a.Client(a.alice))
	require.NoError(t, err)

	require.Equal(t, "1", string((<-events).Events[0].Kv.Value))
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitStopped, p.wait())
}
