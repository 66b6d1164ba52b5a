package gateway

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Access says which web pages and host names may use a server's HTTP, as
// etcd's --cors and --host-whitelist do. An empty list, and one with "*",
// allows all.
type Access struct {
	Origins []string // such as https://example.com
	Hosts   []string // names of this server in requests without TLS, without port
}

func (a Access) originAllowed(origin string) bool { return allowed(a.Origins, origin) }

func allowed(list []string, one string) bool {
	return len(list) == 0 || slices.Contains(list, "*") || slices.Contains(list, one)
}

// Guard returns next behind what etcd does before each page: a request without
// TLS must name a host that is allowed, which keeps web pages from reaching the
// server by a name of their own (CVE-2018-5702); answers allow the origins of
// Access to read them; OPTIONS is answered; and /v3beta/ is /v3/. log may be
// nil.
func Guard(next http.Handler, access Access, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, old := strings.CutPrefix(r.URL.Path, "/v3beta/"); old {
			r.URL.Path = Prefix + rest
		}
		if host := hostname(r); r.TLS == nil && !allowed(access.Hosts, host) {
			log.Warn("rejecting HTTP request to prevent DNS rebinding attacks", "host", host)
			http.Error(w, unknownHost(host), http.StatusMisdirectedRequest)
			return
		}
		if origin := r.Header.Get("Origin"); access.originAllowed("*") {
			allowOrigin(w.Header(), "*")
		} else if access.originAllowed(origin) {
			allowOrigin(w.Header(), origin)
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusOK)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func allowOrigin(h http.Header, origin string) {
	h.Add("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE")
	h.Add("Access-Control-Allow-Origin", origin)
	h.Add("Access-Control-Allow-Headers", "accept, content-type, authorization")
}

// hostname is the host that r names, without port.
func hostname(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		return r.Host
	}
	return host
}

func unknownHost(host string) string {
	return fmt.Sprintf(`watchd received the request, but does not go by the name in its Host header.

Either of these lets such requests in:
- TLS: every https request is taken.
- The name in the list of allowed ones: watchd --host-whitelist %q

This keeps web pages from reaching the server by "DNS rebinding" (CVE-2018-5702).
`, host)
}
