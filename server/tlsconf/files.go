package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// files is what was read.
type files struct {
	cert    tls.Certificate
	clients *x509.CertPool      // nil: the system's
	revoked map[string]struct{} // serial numbers
}

func (c Config) files() (*files, error) {
	var (
		f   files
		err error
	)
	if f.cert, err = readPair(c.CertFile, c.KeyFile); err != nil {
		return nil, err
	}
	if c.TrustedCAFile != "" {
		if f.clients, err = readAuthorities(c.TrustedCAFile); err != nil {
			return nil, err
		}
	}
	if c.CRLFile != "" {
		if f.revoked, err = readRevoked(c.CRLFile); err != nil {
			return nil, err
		}
	}
	return &f, nil
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot read --cert-file: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot read --key-file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot use --cert-file %s with --key-file %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// readAuthorities reads all certificates of a PEM file.
func readAuthorities(path string) (*x509.CertPool, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --trusted-ca-file: %w", err)
	}
	pool, found := x509.NewCertPool(), false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot use --trusted-ca-file %s: %w", path, err)
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, fmt.Errorf("cannot use --trusted-ca-file %s: it has no certificate in PEM", path)
	}
	return pool, nil
}

func readRevoked(path string) (map[string]struct{}, error) {
	der, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --client-crl-file: %w", err)
	}
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("cannot use --client-crl-file %s: %w", path, err)
	}
	revoked := make(map[string]struct{}, len(list.RevokedCertificateEntries))
	for _, entry := range list.RevokedCertificateEntries {
		revoked[string(entry.SerialNumber.Bytes())] = struct{}{}
	}
	return revoked, nil
}

// config returns fixed with what was read.
func (f *files) config(fixed *tls.Config, hostnames []string) *tls.Config {
	cfg := fixed.Clone()
	cfg.Certificates = []tls.Certificate{f.cert}
	cfg.ClientCAs = f.clients
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if err := f.checkRevoked(state.PeerCertificates); err != nil {
			return err
		}
		return checkHostname(state.PeerCertificates, hostnames)
	}
	return cfg
}

func (f *files) checkRevoked(certs []*x509.Certificate) error {
	for _, cert := range certs {
		if _, is := f.revoked[string(cert.SerialNumber.Bytes())]; is {
			return fmt.Errorf("the client's certificate with serial number %x is revoked", cert.SerialNumber)
		}
	}
	return nil
}

func checkHostname(certs []*x509.Certificate, allowed []string) error {
	if len(allowed) == 0 {
		return nil
	}
	if len(certs) == 0 {
		return errors.New("the client shows no certificate")
	}
	for _, name := range allowed {
		if certs[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("the client's certificate (%s) is for none of the allowed host names %q", certs[0].Subject, allowed)
}
