package tlsconf_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/internal/testca"
	"github.com/watchkv/watchkv/server/tlsconf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shake makes one handshake and returns what both sides say of it.
func shake(t *testing.T, server, client *tls.Config) (seen tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer near.Close()
	far, err := l.Accept()
	require.NoError(t, err)
	client = client.Clone()
	if client.ServerName == "" {
		client.ServerName = "localhost"
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer far.Close()
		conn := tls.Server(far, server)
		if serverErr = conn.Handshake(); serverErr == nil {
			// The client takes its ticket, and hears whether its certificate was.
			_, serverErr = conn.Write([]byte("hello"))
		}
	})
	conn := tls.Client(near, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 5))
	}
	seen = conn.ConnectionState()
	near.Close()
	both.Wait()
	return seen, serverErr, clientErr
}

func requireShake(t *testing.T, server, client *tls.Config) tls.ConnectionState {
	t.Helper()
	seen, serverErr, clientErr := shake(t, server, client)
	require.NoError(t, serverErr)
	require.NoError(t, clientErr)
	return seen
}

// logged is a log that may be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func TestRenewedCertificateIsUsed(t *testing.T) {
	ca := testca.New(t, "authority")
	pair := ca.Issue("server", "first")
	log := &logged{}
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key, Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	client := ca.Client(testca.Pair{})
	name := func() string { return requireShake(t, cfg, client).PeerCertificates[0].Subject.CommonName }
	require.Equal(t, "first", name())

	ca.Issue("server", "second")
	require.Equal(t, "second", name())
	require.Equal(t, 1, log.count("using changed TLS files"))

	// A pair that does not fit keeps the old one, and is told once.
	require.NoError(t, os.Rename(pair.Key, pair.Key+".old"))
	ca.Issue("other", "other")
	data, err := os.ReadFile(filepath.Join(ca.Dir, "other-key.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pair.Key, data, 0o600))
	for range 3 {
		require.Equal(t, "second", name())
	}
	require.Equal(t, 1, log.count("private key does not match public key"))
	require.Equal(t, 1, log.count("the old ones stay in force"))

	// So does a missing file, until it is back.
	require.NoError(t, os.Remove(pair.Key))
	require.Equal(t, "second", name())
	require.NoError(t, os.Rename(pair.Key+".old", pair.Key))
	require.Equal(t, "second", name())
	ca.Issue("server", "third")
	require.Equal(t, "third", name())
}

// TestSettledFilesAreReadOnce: old files are not read for every handshake.
func TestSettledFilesAreReadOnce(t *testing.T) {
	ca := testca.New(t, "authority")
	pair := ca.Issue("server", "first")
	past := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(pair.Cert, past, past))
	require.NoError(t, os.Chtimes(pair.Key, past, past))
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key})
	require.NoError(t, err)
	one, err := cfg.GetConfigForClient(nil)
	require.NoError(t, err)
	two, err := cfg.GetConfigForClient(nil)
	require.NoError(t, err)
	require.Same(t, one, two)
}

// TestTurnedLink: as Kubernetes renews a mounted secret; time and size may be the
// same.
func TestTurnedLink(t *testing.T) {
	ca := testca.New(t, "authority")
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour)
	place := func(pair testca.Pair, to string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, to), 0o700))
		for from, name := range map[string]string{pair.Cert: "tls.crt", pair.Key: "tls.key"} {
			data, err := os.ReadFile(from)
			require.NoError(t, err)
			data = append(data, bytes.Repeat([]byte("\n"), 4096-len(data))...)
			file := filepath.Join(dir, to, name)
			require.NoError(t, os.WriteFile(file, data, 0o600))
			require.NoError(t, os.Chtimes(file, at, at))
		}
	}
	link := func(to string) {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, "new")))
		require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "now")))
	}
	place(ca.Issue("one", "one"), "1")
	place(ca.Issue("two", "two"), "2")
	link("1")
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: filepath.Join(dir, "now", "tls.crt"), KeyFile: filepath.Join(dir, "now", "tls.key")})
	require.NoError(t, err)
	name := func() string {
		return requireShake(t, cfg, ca.Client(testca.Pair{})).PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "one", name())
	link("2")
	require.Equal(t, "two", name())
}

func TestClientsMustShowTheirCertificate(t *testing.T) {
	ca, strangers := testca.New(t, "authority"), testca.New(t, "strangers")
	pair := ca.Issue("server", "watchd")
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key, TrustedCAFile: ca.File})
	require.NoError(t, err)
	requireShake(t, cfg, ca.Client(ca.Issue("user", "alice")))

	_, serverErr, clientErr := shake(t, cfg, ca.Client(testca.Pair{}))
	require.ErrorContains(t, serverErr, "client didn't provide a certificate")
	require.Error(t, clientErr)

	stranger := ca.Client(testca.Pair{})
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		own := strangers.Issue("user", "mallory").Load(t)
		return &own, nil
	}
	_, serverErr, _ = shake(t, cfg, stranger)
	require.ErrorContains(t, serverErr, "unknown authority")

	// A new authority is let in once it is in the file.
	both, err := os.ReadFile(ca.File)
	require.NoError(t, err)
	more, err := os.ReadFile(strangers.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca.File, append(both, more...), 0o600))
	requireShake(t, cfg, stranger)
}

func TestRevokedClientIsRefused(t *testing.T) {
	ca := testca.New(t, "authority")
	pair, alice, bob := ca.Issue("server", "watchd"), ca.Issue("alice", "alice"), ca.Issue("bob", "bob")
	list := ca.Revoke("revoked.crl", bob)
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key, TrustedCAFile: ca.File, CRLFile: list})
	require.NoError(t, err)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ca.Revoke("revoked.crl", bob)
			client := ca.Client(alice)
			client.MaxVersion = version
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			requireShake(t, cfg, client)
			require.True(t, requireShake(t, cfg, client).DidResume)

			_, serverErr, _ := shake(t, cfg, ca.Client(bob))
			require.ErrorContains(t, serverErr, "is revoked")

			// Revoked while it has a session that it could resume.
			ca.Revoke("revoked.crl", bob, alice)
			_, serverErr, _ = shake(t, cfg, client)
			require.ErrorContains(t, serverErr, "is revoked")

			// A list that cannot be read lets nobody in again.
			require.NoError(t, os.WriteFile(list, []byte("damaged"), 0o600))
			_, serverErr, _ = shake(t, cfg, ca.Client(alice))
			require.ErrorContains(t, serverErr, "is revoked")
		})
	}
}

func TestAllowedHostnames(t *testing.T) {
	ca := testca.New(t, "authority")
	pair := ca.Issue("server", "watchd")
	cfg, err := tlsconf.New(tlsconf.Config{
		CertFile: pair.Cert, KeyFile: pair.Key, TrustedCAFile: ca.File, ClientCertAuth: true,
		AllowedHostnames: []string{"api.example.com", "10.1.2.3"},
	})
	require.NoError(t, err)
	requireShake(t, cfg, ca.Client(ca.Issue("api", "api", "api.example.com")))
	_, serverErr, _ := shake(t, cfg, ca.Client(ca.Issue("other", "other", "other.example.com")))
	require.ErrorContains(t, serverErr, `is for none of the allowed host names ["api.example.com" "10.1.2.3"]`)
}

func TestVersionsAndSuites(t *testing.T) {
	ca := testca.New(t, "authority")
	pair := ca.Issue("server", "watchd")
	cfg, err := tlsconf.New(tlsconf.Config{
		CertFile: pair.Cert, KeyFile: pair.Key, MaxVersion: "TLS1.2",
		CipherSuites: []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
	})
	require.NoError(t, err)
	seen := requireShake(t, cfg, ca.Client(testca.Pair{}))
	require.Equal(t, uint16(tls.VersionTLS12), seen.Version)
	require.Equal(t, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, seen.CipherSuite)

	cfg, err = tlsconf.New(tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key, MinVersion: "TLS1.3"})
	require.NoError(t, err)
	old := ca.Client(testca.Pair{})
	old.MaxVersion = tls.VersionTLS12
	_, serverErr, _ := shake(t, cfg, old)
	require.ErrorContains(t, serverErr, "unsupported versions")
}

func TestWrongConfigSaysWhat(t *testing.T) {
	ca := testca.New(t, "authority")
	pair, other := ca.Issue("server", "watchd"), ca.Issue("other", "other")
	good := tlsconf.Config{CertFile: pair.Cert, KeyFile: pair.Key}
	for name, c := range map[string]struct {
		change func(c *tlsconf.Config)
		wrong  string
	}{
		"nothing":   {func(c *tlsconf.Config) { *c = tlsconf.Config{} }, "--cert-file and --key-file"},
		"no key":    {func(c *tlsconf.Config) { c.KeyFile = "" }, "is given without --key-file"},
		"no cert":   {func(c *tlsconf.Config) { c.CertFile = "" }, "is given without --cert-file"},
		"missing":   {func(c *tlsconf.Config) { c.CertFile += ".gone" }, "cannot read --cert-file: open " + pair.Cert + ".gone"},
		"key gone":  {func(c *tlsconf.Config) { c.KeyFile += ".gone" }, "cannot read --key-file: open " + pair.Key + ".gone"},
		"no match":  {func(c *tlsconf.Config) { c.KeyFile = other.Key }, "cannot use --cert-file " + pair.Cert + " with --key-file " + other.Key},
		"ca gone":   {func(c *tlsconf.Config) { c.TrustedCAFile = "gone" }, "cannot read --trusted-ca-file: open gone"},
		"no ca":     {func(c *tlsconf.Config) { c.TrustedCAFile = ca.Revoke("list") }, "has no certificate in PEM"},
		"crl alone": {func(c *tlsconf.Config) { c.CRLFile = "list" }, "--client-crl-file needs --client-cert-auth"},
		"crl gone":  {func(c *tlsconf.Config) { c.CRLFile, c.ClientCertAuth = "gone", true }, "cannot read --client-crl-file: open gone"},
		"no crl":    {func(c *tlsconf.Config) { c.CRLFile, c.ClientCertAuth = pair.Cert, true }, "cannot use --client-crl-file " + pair.Cert},
		"names":     {func(c *tlsconf.Config) { c.AllowedHostnames = []string{"a"} }, "--client-cert-allowed-hostname needs --client-cert-auth"},
		"version":   {func(c *tlsconf.Config) { c.MinVersion = "TLS1.1" }, `--tls-min-version is "TLS1.1"; it must be TLS1.2 or TLS1.3`},
		"order":     {func(c *tlsconf.Config) { c.MinVersion, c.MaxVersion = "TLS1.3", "TLS1.2" }, "is above --tls-max-version"},
		"suites":    {func(c *tlsconf.Config) { c.CipherSuites = []string{"ROT13"} }, `unexpected TLS cipher suite "ROT13"; known for TLS 1.2: TLS_`},
		"suites13": {func(c *tlsconf.Config) {
			c.CipherSuites, c.MinVersion = []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}, "TLS1.3"
		}, "cannot be chosen for TLS 1.3"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := tlsconf.New(cfg)
			require.ErrorContains(t, err, c.wrong)
		})
	}
	require.True(t, tlsconf.Config{}.Empty())
	require.False(t, good.Empty())
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fixtures", "client")
	certFile, keyFile, err := tlsconf.SelfSigned(dir, []string{"127.0.0.1", "watchd.example.com"}, 1, nil)
	require.NoError(t, err)
	cfg, err := tlsconf.New(tlsconf.Config{CertFile: certFile, KeyFile: keyFile})
	require.NoError(t, err)
	cert := requireShake(t, cfg, &tls.Config{InsecureSkipVerify: true}).PeerCertificates[0]
	require.NoError(t, cert.VerifyHostname("127.0.0.1"))
	require.NoError(t, cert.VerifyHostname("watchd.example.com"))
	require.WithinDuration(t, time.Now().AddDate(1, 0, 0), cert.NotAfter, time.Hour)

	// The same is used again, and what is damaged is not replaced in silence.
	before, err := os.ReadFile(certFile)
	require.NoError(t, err)
	_, _, err = tlsconf.SelfSigned(dir, nil, 5, nil)
	require.NoError(t, err)
	after, err := os.ReadFile(certFile)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, os.WriteFile(keyFile, []byte("damaged"), 0o600))
	_, _, err = tlsconf.SelfSigned(dir, nil, 1, nil)
	require.ErrorContains(t, err, "remove both to have new ones")

	_, _, err = tlsconf.SelfSigned(dir, nil, 0, nil)
	require.ErrorContains(t, err, "it must be 1 (year) or more")
}
