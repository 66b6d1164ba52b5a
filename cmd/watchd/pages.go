package main

import (
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/gateway"
	"github.com/watchkv/watchkv/server/metrics"
)

// access says which web pages and host names may use HTTP.
func (c *config) access() gateway.Access {
	return gateway.Access{Origins: c.cors, Hosts: c.hostWhitelist}
}

// clientPages is what HTTP clients of the API are served.
func clientPages(c *config, srv *server.Server, json http.Handler, log *slog.Logger) http.Handler {
	mux := statsPages(srv)
	mux.Handle("/version", srv.VersionPage())
	if c.gateway {
		mux.Handle(gateway.Prefix, json)
	}
	if c.pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return gateway.Guard(mux, c.access(), log)
}

// statsPages is what --listen-metrics-urls has, and clients too.
func statsPages(srv *server.Server) *http.ServeMux {
	mux := http.NewServeMux()
	for path, page := range srv.HealthPages() {
		mux.Handle(path, page)
	}
	mux.Handle("/metrics", srv.Metrics().Page())
	mux.Handle(metrics.WatchersPath, srv.WatchersPage())
	return mux
}
