// Package etcd runs a real etcd server inside this process, on loopback and in
// a directory of the caller's choice, and hands out its own client.
package etcd

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// startTimeout bounds the wait for a single member to elect itself, which
// takes 1-2 s on an idle machine.
const startTimeout = 60 * time.Second

// Version is the etcd release that this module links, such as v3.7.3.
func Version() string { return "v" + version.Version }

// Config says how a Server runs. The zero value but for Dir is what etcd does
// by default.
type Config struct {
	Dir string // data directory; created, or continued where an earlier Server stopped

	// NoFsync leaves out every fsync: only for files that are thrown away if
	// the machine fails meanwhile.
	NoFsync bool

	// QuotaBytes bounds the file; 0 is etcd's default of 2 GiB.
	QuotaBytes int64

	// TLS is how clients are spoken to; nil is plain.
	TLS *TLS
}

// TLS names files in PEM. Clients must show a certificate that CA signed.
type TLS struct {
	CA        string // signs the server's certificate and those of clients
	Cert, Key string // of the server, and of its own Client
}

func (t *TLS) info() transport.TLSInfo {
	return transport.TLSInfo{CertFile: t.Cert, KeyFile: t.Key, TrustedCAFile: t.CA, ClientCertAuth: true}
}

// Server is one running member, the only one of its cluster.
type Server struct {
	Client *clientv3.Client

	dir  string
	etcd *embed.Etcd
}

// Start runs a member until Stop. Ports are chosen by the system.
func Start(ctx context.Context, config Config) (*Server, error) {
	loopback := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c := embed.NewConfig()
	c.Dir = config.Dir
	c.UnsafeNoFsync = config.NoFsync
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{loopback}, []url.URL{loopback}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{loopback}, []url.URL{loopback}
	c.QuotaBackendBytes = config.QuotaBytes
	scheme := "http://"
	clientConfig := clientv3.Config{Logger: zap.NewNop()}
	if config.TLS != nil {
		scheme = "https://"
		secure := loopback
		secure.Scheme = "https"
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{secure}, []url.URL{secure}
		c.ClientTLSInfo = config.TLS.info()
		info := config.TLS.info()
		var err error
		if clientConfig.TLS, err = info.ClientConfig(); err != nil {
			return nil, fmt.Errorf("start etcd in %s: %w", config.Dir, err)
		}
	}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())

	member, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", config.Dir, err)
	}
	select {
	case <-member.Server.ReadyNotify():
	case err := <-member.Err():
		member.Close()
		return nil, fmt.Errorf("start etcd in %s: %w", config.Dir, err)
	case <-time.After(startTimeout):
		member.Close()
		return nil, fmt.Errorf("etcd in %s was not ready within %v", config.Dir, startTimeout)
	case <-ctx.Done():
		member.Close()
		return nil, ctx.Err()
	}
	clientConfig.Endpoints = []string{scheme + member.Clients[0].Addr().String()}
	client, err := clientv3.New(clientConfig)
	if err != nil {
		member.Close()
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return &Server{Client: client, dir: config.Dir, etcd: member}, nil
}

// Endpoint is HOST:PORT of the member.
func (s *Server) Endpoint() string {
	_, endpoint, _ := strings.Cut(s.Client.Endpoints()[0], "://")
	return endpoint
}

// Stop ends client and member; what was acknowledged is in the file then.
func (s *Server) Stop() error {
	err := s.Client.Close()
	s.etcd.Close()
	return err
}

// File is the path of the member's bbolt file; read it only after Stop.
func (s *Server) File() string { return filepath.Join(s.dir, "member", "snap", "db") }

// Snapshot writes what etcdctl snapshot save would: the bbolt file, then its
// SHA-256 in 32 bytes.
func (s *Server) Snapshot(ctx context.Context, file string) (err error) {
	in, err := s.Client.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	defer in.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("snapshot to %s: %w", file, err)
	}
	return nil
}
