package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/watchkv/watchkv/mvcc"
)

// HealthPages are etcd's pages of health by their paths: /health, /livez and
// /readyz with a page for each of their checks. They ask the store, never the
// Authorizer.
func (s *Server) HealthPages() map[string]http.Handler {
	pages := map[string]http.Handler{"/health": onlyGet(s.cfg.Logger, s.serveHealth)}
	for kind, checks := range s.healthChecks() {
		pages["/"+kind] = onlyGet(s.cfg.Logger, func(w http.ResponseWriter, r *http.Request) {
			s.serveChecks(w, r, kind, without(s.cfg.Logger, checks, r.URL.Query()["exclude"]))
		})
		for _, c := range checks {
			pages["/"+kind+"/"+c.name] = onlyGet(s.cfg.Logger, func(w http.ResponseWriter, r *http.Request) {
				s.serveChecks(w, r, kind, []healthCheck{c})
			})
		}
	}
	return pages
}

// VersionPage is /version: the API that is spoken, as etcd's clients ask for
// it.
func (s *Server) VersionPage() http.Handler {
	cluster := version.Cluster(version.Version) + ".0"
	text, err := json.Marshal(version.Versions{Server: version.Version, Cluster: cluster, Storage: cluster})
	return onlyGet(nil, func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	})
}

// onlyGet refuses other methods. log may be nil.
func onlyGet(log *slog.Logger, page http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			if log != nil {
				log.Warn(r.URL.Path+" error", "status-code", http.StatusMethodNotAllowed)
			}
			return
		}
		page(w, r)
	})
}

// serveHealth is /health: an alarm or a store that cannot be used is 503.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	reason := s.unhealthy(r.Context(), r.URL.Query())
	s.metrics.Health(reason == "")
	text, err := json.Marshal(struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}{fmt.Sprint(reason == ""), reason})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if reason != "" {
		http.Error(w, string(text), http.StatusServiceUnavailable)
		s.cfg.Logger.Warn("/health error", "output", string(text), "status-code", http.StatusServiceUnavailable)
		return
	}
	w.Write(text)
}

// unhealthy returns why the server is not healthy, in etcd's words.
func (s *Server) unhealthy(ctx context.Context, query url.Values) string {
	excluded := query["exclude"]
	for _, a := range s.activeAlarms() {
		if name := a.Alarm.String(); !slices.Contains(excluded, name) {
			if _, known := pb.AlarmType_name[int32(a.Alarm)]; !known {
				name = "UNKNOWN"
			}
			return "ALARM " + name
		}
	}
	if err := s.checkRead(ctx, query.Get("serializable") == "true"); err != nil {
		return "RANGE ERROR:" + err.Error()
	}
	return ""
}

// healthCheck is one line of /livez or /readyz.
type healthCheck struct {
	name string
	run  func(ctx context.Context) error
}

func (s *Server) healthChecks() map[string][]healthCheck {
	serializable := healthCheck{"serializable_read", func(ctx context.Context) error { return s.checkRead(ctx, true) }}
	return map[string][]healthCheck{
		"livez": {serializable},
		"readyz": {
			{"data_corruption", s.checkCorrupt},
			serializable,
			{"linearizable_read", func(ctx context.Context) error { return s.checkRead(ctx, false) }},
			{"non_learner", func(context.Context) error { return nil }}, // it stands alone
		},
	}
}

func (s *Server) checkCorrupt(context.Context) error {
	for _, a := range s.activeAlarms() {
		if a.Alarm == pb.AlarmType_CORRUPT {
			return fmt.Errorf("alarm activated: %s", a.Alarm)
		}
	}
	return nil
}

// checkRead reads the first key. A store that has failed still reads what is
// there, which is all that a serializable read asks for; it stands in for a
// cluster that has lost its quorum.
func (s *Server) checkRead(_ context.Context, serializable bool) error {
	store := s.parts.Store
	if failed := store.Stats().Failed; failed != "" && !serializable {
		return errors.New(failed)
	}
	first := []byte{0}
	if _, err := store.Range(first, first, mvcc.RangeOptions{Limit: 1, KeysOnly: true, NoCount: true}); err != nil {
		return toGRPC(err)
	}
	return nil
}

// serveChecks runs checks and tells how they ended: each that failed, and all
// of them if asked to.
func (s *Server) serveChecks(w http.ResponseWriter, r *http.Request, kind string, checks []healthCheck) {
	var lines strings.Builder
	healthy := true
	for _, c := range checks {
		err := c.run(r.Context())
		s.metrics.HealthCheck(kind, c.name, err == nil)
		if err != nil {
			healthy = false
			fmt.Fprintf(&lines, "[-]%s failed: %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(&lines, "[+]%s ok\n", c.name)
	}
	if !healthy {
		http.Error(w, lines.String(), http.StatusServiceUnavailable)
		s.cfg.Logger.Error("Health check error", "path", r.URL.Path, "reason", lines.String(), "status-code", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Has("verbose") {
		fmt.Fprint(w, lines.String())
	}
	fmt.Fprint(w, "ok\n")
}

// without leaves out what is excluded. A name that is no check does not fail
// the request: another version may know it.
func without(log *slog.Logger, checks []healthCheck, excluded []string) (kept []healthCheck) {
	known := make(map[string]bool)
	for _, c := range checks {
		known[c.name] = true
		if !slices.Contains(excluded, c.name) {
			kept = append(kept, c)
		}
	}
	for _, name := range excluded {
		if name != "" && !known[name] {
			log.Warn("some health checks cannot be excluded", "missing-health-checks", name)
		}
	}
	return kept
}
