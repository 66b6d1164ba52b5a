package target_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/peers/etcd"
)

// certificates makes an authority and a certificate by it, for loopback, in
// files of dir.
func certificates(t *testing.T, dir string) *etcd.TLS {
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return &etcd.TLS{
		CA: write("ca.pem", "CERTIFICATE", caDER), Cert: write("cert.pem", "CERTIFICATE", leafDER), Key: write("key.pem", "EC PRIVATE KEY", keyDER),
	}
}

func quick(endpoint string) []string {
	return slices.Concat([]string{"run", "--target", endpoint, "-s", "notify", "--shape", "one-key", "-d", "300ms", "--warmup", "0s", "--dial-timeout", "2s"}, small)
}

// A server with TLS and client certificates, by flags and by etcdctl's
// variables; every mistake in one line.
func TestRun_TLS(t *testing.T) {
	t.Parallel()
	files := certificates(t, t.TempDir())
	server := startServer(t, etcd.Config{TLS: files})
	secure, plain := "etcds://"+server.Endpoint(), "etcd://"+server.Endpoint()
	variables := []string{"ETCDCTL_CACERT=" + files.CA, "ETCDCTL_CERT=" + files.Cert, "ETCDCTL_KEY=" + files.Key}

	r := watchbench(t, variables, quick(plain)...)
	require.Equal(t, 0, r.code, r)
	assert.Contains(t, r.errOut, "taken    ETCDCTL_CACERT · ETCDCTL_CERT · ETCDCTL_KEY")
	assert.Contains(t, r.out, "all promises kept")
	r = watchbench(t, nil, append(quick(secure), "--insecure-skip-tls-verify", "--cert", files.Cert, "--key", files.Key)...)
	require.Equal(t, 0, r.code, r)

	for _, c := range []struct {
		what, target, want string
		more               []string
	}{
		{"unknown authority", secure, "its certificate is signed by an authority that is not known here; name its file by --cacert", nil},
		{"no client certificate", secure, "a client certificate is given by --cert and --key", []string{"--cacert", files.CA}},
		{"plain", plain, "if it speaks TLS, write " + secure, nil},
	} {
		r := watchbench(t, nil, append(quick(c.target), c.more...)...)
		assert.Equal(t, 3, r.code, "%s: %v", c.what, r)
		assert.Contains(t, r.last(), c.want, c.what)
	}
	assert.Zero(t, left(t, server.Client))
}

// TLS towards a server that speaks none.
func TestRun_TLSToPlainServer(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	r := watchbench(t, nil, quick("etcds://"+server.Endpoint())...)
	assert.Equal(t, 3, r.code, r)
	assert.Contains(t, r.last(), "if it speaks none, write etcd://"+server.Endpoint())
}

// A server with users: one that may write under the prefix, and no more.
func TestRun_Users(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	auth, ctx := server.Client.Auth, t.Context()
	must := func(_ any, err error) { require.NoError(t, err) }
	must(auth.RoleAdd(ctx, "bench"))
	must(auth.RoleGrantPermission(ctx, "bench", "watchbench/", clientv3.GetPrefixRangeEnd("watchbench/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	must(auth.UserAdd(ctx, "root", "top"))
	must(auth.UserGrantRole(ctx, "root", "root"))
	must(auth.UserAdd(ctx, "ann", "geheim"))
	must(auth.UserGrantRole(ctx, "ann", "bench"))
	must(auth.UserAdd(ctx, "bob", "nothing"))
	must(auth.AuthEnable(ctx))
	target := "etcd://" + server.Endpoint()

	file := filepath.Join(t.TempDir(), "out.json")
	r := watchbench(t, []string{"ETCDCTL_PASSWORD=geheim"}, append(quick(target), "--user", "ann", "--json", file)...)
	require.Equal(t, 0, r.code, r)
	assert.Contains(t, r.errOut, "taken    ETCDCTL_PASSWORD")
	r = watchbench(t, nil, append(quick(target), "--user", "ann:geheim", "--json", file)...)
	require.Equal(t, 0, r.code, r)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "geheim")
	assert.NotContains(t, r.out+r.errOut, "geheim")

	for _, c := range []struct {
		what, want string
		more       []string
	}{
		{"wrong password", `user "ann" is not known there, or the password is wrong`, []string{"--user", "ann", "--password", "x"}},
		{"nobody", "it asks for a user; give --user, and the password by ETCDCTL_PASSWORD", nil},
		{"not granted", "permission denied; the user needs readwrite on the prefix", []string{"--user", "bob", "--password", "nothing"}},
	} {
		r := watchbench(t, nil, append(quick(target), c.more...)...)
		assert.Equal(t, 3, r.code, "%s: %v", c.what, r)
		assert.Contains(t, r.last(), c.want, c.what)
	}
	root, err := clientv3.New(clientv3.Config{Endpoints: server.Client.Endpoints(), Username: "root", Password: "top", DialTimeout: 5 * time.Second})
	require.NoError(t, err)
	defer root.Close()
	assert.Zero(t, left(t, root))
}
