// Command watchd serves the etcd v3 API over the storage engine of choice.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "watchd:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	engine  string
	dataDir string
	clients string
}

func command() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use: "watchd", Short: "Serve the etcd v3 API over the storage engine of choice.",
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c.Context(), s) },
	}
	c.Flags().StringVar(&s.engine, "backend", "pebble", "engine: "+strings.Join(engineNames(), ", "))
	c.Flags().StringVar(&s.dataDir, "data-dir", "default.watchkv", "directory of the data")
	c.Flags().StringVar(&s.clients, "listen-client-urls", "http://127.0.0.1:2379", "where clients are served")
	return c
}

func engineNames() []string {
	var names []string
	for _, d := range engines.All() {
		names = append(names, d.Name)
	}
	return names
}

func serve(ctx context.Context, s settings) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	driver, ok := engines.Lookup(s.engine)
	if !ok {
		return fmt.Errorf("--backend %q: it is one of %s", s.engine, strings.Join(engineNames(), ", "))
	}
	at, err := url.Parse(s.clients)
	if err != nil {
		return fmt.Errorf("--listen-client-urls: %w", err)
	}
	engine, err := driver.Open(s.dataDir, backend.Options{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	store, err := mvcc.Open(engine, mvcc.Config{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	hub, err := watch.NewHub(store, watch.Config{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Close()) }()
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub},
		server.Config{ClientURLs: []string{s.clients}, Logger: log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", at.Host)
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	served := make(chan error, 1) // one send, by the goroutine that serves
	go func() { served <- g.Serve(listener) }()
	log.Info("ready to serve client requests", "address", listener.Addr().String(), "backend", driver.Name)
	select {
	case err = <-served:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	err = srv.Close()
	g.GracefulStop()
	return errors.Join(err, <-served)
}
