// Package testca issues certificates to tests: an authority, what it signed and
// what it revoked, as files in a test's own directory.
package testca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CA is an authority of one test.
type CA struct {
	Dir  string // where all files go
	File string // its certificate, PEM

	t      testing.TB
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// New returns an authority called name, whose files go into a directory of t.
func New(t testing.TB, name string) *CA {
	t.Helper()
	dir := t.TempDir()
	ca := &CA{Dir: dir, File: filepath.Join(dir, "ca.pem"), t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: ca.nextSerial(), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key)
	require.NoError(t, err)
	ca.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	writePEM(t, ca.File, "CERTIFICATE", der)
	return ca
}

// Pair is a certificate and its key, for servers and clients.
type Pair struct {
	Cert, Key string // files, PEM
	Serial    *big.Int
}

// Issue signs a certificate with the common name cn for 127.0.0.1, localhost
// and hosts, and writes it to file.pem and file-key.pem, over what was there.
func (ca *CA) Issue(file, cn string, hosts ...string) Pair {
	ca.t.Helper()
	key := newKey(ca.t)
	template := &x509.Certificate{
		SerialNumber: ca.nextSerial(), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    append([]string{"localhost"}, hosts...),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	require.NoError(ca.t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(ca.t, err)
	pair := Pair{
		Cert: filepath.Join(ca.Dir, file+".pem"), Key: filepath.Join(ca.Dir, file+"-key.pem"), Serial: template.SerialNumber,
	}
	writePEM(ca.t, pair.Cert, "CERTIFICATE", der)
	writePEM(ca.t, pair.Key, "EC PRIVATE KEY", keyDER)
	return pair
}

// Revoke writes the revocation list (DER, as etcd reads it) of pairs to file
// and returns its path.
func (ca *CA) Revoke(file string, pairs ...Pair) string {
	ca.t.Helper()
	list := &x509.RevocationList{Number: ca.nextSerial(), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for _, p := range pairs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: p.Serial, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	require.NoError(ca.t, err)
	path := filepath.Join(ca.Dir, file)
	require.NoError(ca.t, os.WriteFile(path, der, 0o600))
	return path
}

// Client returns what a client needs that trusts the authority. It shows its
// certificate to whoever asks; a zero Pair shows none.
func (ca *CA) Client(own Pair) *tls.Config {
	ca.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if own.Cert != "" {
		cfg.Certificates = []tls.Certificate{own.Load(ca.t)}
	}
	return cfg
}

// Load returns the pair as crypto/tls takes it.
func (p Pair) Load(t testing.TB) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	require.NoError(t, err)
	return cert
}

func (ca *CA) nextSerial() *big.Int {
	ca.serial++
	return big.NewInt(time.Now().Unix()<<16 + ca.serial)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
