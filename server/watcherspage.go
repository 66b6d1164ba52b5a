package server

import (
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/server/metrics"
)

// WatchersPage is the handler of metrics.WatchersPath. If there is an
// Authorizer it is asked for ActionAdmin, with the path as the method and who
// calls in the context, as for a call of grpc: the page names every range that
// is watched, and by whom.
func (s *Server) WatchersPage() http.Handler {
	page := s.metrics.WatchersPage()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Authorizer != nil {
			ctx := metadata.NewIncomingContext(r.Context(), callerOf(r))
			ctx = peer.NewContext(ctx, peerOf(r))
			if err := s.authorizeAdmin(ctx, metrics.WatchersPath); err != nil {
				http.Error(w, status.Convert(err).Message(), http.StatusForbidden)
				return
			}
		}
		page.ServeHTTP(w, r)
	})
}

// callerOf is the token of a request over HTTP, as the gateway takes it.
func callerOf(r *http.Request) metadata.MD {
	token := r.Header.Get("Authorization")
	if token == "" {
		return metadata.MD{}
	}
	return metadata.Pairs("token", strings.TrimPrefix(token, "Bearer "))
}

// peerOf is where a request over HTTP comes from, with its certificate.
func peerOf(r *http.Request) *peer.Peer {
	p := &peer.Peer{Addr: httpAddr(r.RemoteAddr)}
	if r.TLS != nil {
		p.AuthInfo = credentials.TLSInfo{State: *r.TLS}
	}
	return p
}

// httpAddr is the address as net/http tells it.
type httpAddr string

func (httpAddr) Network() string  { return "tcp" }
func (a httpAddr) String() string { return string(a) }

var _ net.Addr = httpAddr("")
