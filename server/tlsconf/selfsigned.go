package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// SelfSigned returns the files of a certificate in dir, as etcd's --auto-tls:
// cert.pem and key.pem. It makes them, for hosts (names or addresses, without
// port) and so many years, unless they are there and not expired. log may be
// nil.
func SelfSigned(dir string, hosts []string, years uint, log *slog.Logger) (certFile, keyFile string, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if years == 0 {
		return "", "", errors.New("--self-signed-cert-validity is 0; it must be 1 (year) or more")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", fmt.Errorf("--auto-tls: %w", err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case err == nil && time.Now().Before(cert.Leaf.NotAfter):
		return certFile, keyFile, nil
	case err == nil:
		log.Warn("the certificate of --auto-tls has expired, making a new one", "cert-file", certFile, "not-after", cert.Leaf.NotAfter)
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", fmt.Errorf("--auto-tls cannot use %s with %s (remove both to have new ones): %w", certFile, keyFile, err)
	}
	until := time.Now().AddDate(int(years), 0, 0)
	if err := makeSelfSigned(dir, certFile, keyFile, hosts, until); err != nil {
		return "", "", fmt.Errorf("--auto-tls: %w", err)
	}
	log.Warn("made a self-signed certificate: clients need its file, or must not verify", "cert-file", certFile, "hosts", hosts, "not-after", until.UTC().Truncate(time.Second))
	return certFile, keyFile, nil
}

func makeSelfSigned(dir, certFile, keyFile string, hosts []string, until time.Time) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"watchkv"}},
		NotBefore: time.Now(), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key first: a certificate without its key would be in the way.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644)
}
