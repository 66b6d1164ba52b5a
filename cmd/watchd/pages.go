package main

import (
	"net/http"
	"net/http/pprof"

	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/metrics"
)

// clientPages is what HTTP clients of the API are served.
func clientPages(c *config, srv *server.Server) http.Handler {
	mux := http.NewServeMux()
	addStats(mux, srv)
	if c.pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// statsPages is what --listen-metrics-urls has.
func statsPages(srv *server.Server) http.Handler {
	mux := http.NewServeMux()
	addStats(mux, srv)
	return mux
}

func addStats(mux *http.ServeMux, srv *server.Server) {
	mux.Handle("/metrics", srv.Metrics().Page())
	mux.Handle(metrics.WatchersPath, srv.Metrics().WatchersPage())
}
