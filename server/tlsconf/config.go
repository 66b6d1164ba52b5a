package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/tlsutil"
)

// Config says where the files are and what is asked of clients. The names in
// its errors are the flags of etcd that set it.
type Config struct {
	CertFile, KeyFile string // of the server, PEM; both are needed

	// TrustedCAFile holds the authorities whose clients are let in, PEM. With it
	// or ClientCertAuth every client must show a certificate; without it, one
	// that the system's authorities signed.
	TrustedCAFile  string
	ClientCertAuth bool
	// CRLFile lists revoked certificates, DER (as etcd) or PEM.
	CRLFile string
	// AllowedHostnames are host names or addresses of which a client's
	// certificate must carry one. Empty allows all.
	AllowedHostnames []string

	// CipherSuites are for TLS 1.2, by the names of crypto/tls. Empty is Go's
	// choice.
	CipherSuites []string
	// MinVersion and MaxVersion are "TLS1.2" or "TLS1.3". Empty is TLS 1.2 and
	// the newest.
	MinVersion, MaxVersion string

	// Logger hears of renewed and of unusable files. Nil is silent.
	Logger *slog.Logger
}

// Empty reports whether no certificate is given: the server is plain.
func (c Config) Empty() bool { return c.CertFile == "" && c.KeyFile == "" }

// New returns the configuration for a server. It reads all files once, so that
// what is wrong with them is told at start. Protocols (ALPN) are left to who
// serves.
func New(c Config) (*tls.Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	fixed, err := c.fixed()
	if err != nil {
		return nil, err
	}
	s := &source{cfg: c, fixed: fixed}
	if _, err := s.load(); err != nil {
		return nil, err
	}
	outer := fixed.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current(), nil }
	return outer, nil
}

// fixed returns what does not change while the server runs.
func (c Config) fixed() (*tls.Config, error) {
	switch {
	case c.CertFile == "" && c.KeyFile == "":
		return nil, errors.New("TLS needs a certificate and its key: --cert-file and --key-file")
	case c.KeyFile == "":
		return nil, fmt.Errorf("--cert-file %s is given without --key-file", c.CertFile)
	case c.CertFile == "":
		return nil, fmt.Errorf("--key-file %s is given without --cert-file", c.KeyFile)
	case len(c.AllowedHostnames) > 0 && !c.asksClients():
		return nil, errors.New("--client-cert-allowed-hostname needs --client-cert-auth: without it clients show no certificate")
	case c.CRLFile != "" && !c.asksClients():
		return nil, errors.New("--client-crl-file needs --client-cert-auth: without it clients show no certificate")
	}
	lowest, err := version("--tls-min-version", c.MinVersion)
	if err != nil {
		return nil, err
	}
	highest, err := version("--tls-max-version", c.MaxVersion)
	if err != nil {
		return nil, err
	}
	if lowest == 0 {
		lowest = tls.VersionTLS12
	}
	if highest != 0 && highest < lowest {
		return nil, fmt.Errorf("--tls-min-version %s is above --tls-max-version %s", c.MinVersion, c.MaxVersion)
	}
	if lowest == tls.VersionTLS13 && len(c.CipherSuites) > 0 {
		return nil, errors.New("--cipher-suites cannot be chosen for TLS 1.3; leave them out, or allow TLS 1.2 with --tls-min-version")
	}
	suites, err := suites(c.CipherSuites)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: lowest, MaxVersion: highest, CipherSuites: suites}
	if c.asksClients() {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

func (c Config) asksClients() bool { return c.TrustedCAFile != "" || c.ClientCertAuth }

func version(flag, name string) (uint16, error) {
	v, err := tlsutil.GetTLSVersion(name)
	if err != nil {
		return 0, fmt.Errorf("%s is %q; it must be TLS1.2 or TLS1.3", flag, name)
	}
	return v, nil
}

func suites(names []string) ([]uint16, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ids, err := tlsutil.GetCipherSuites(names)
	if err != nil {
		return nil, fmt.Errorf("--cipher-suites: %w; known for TLS 1.2: %s", err, strings.Join(knownSuites(), ", "))
	}
	return ids, nil
}

// knownSuites names the suites that are worth choosing: secure ones that can
// be chosen at all.
func knownSuites() []string {
	var names []string
	for _, s := range tls.CipherSuites() {
		if s.SupportedVersions[0] <= tls.VersionTLS12 {
			names = append(names, s.Name)
		}
	}
	return names
}
