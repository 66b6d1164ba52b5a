package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/pflag"
	etcd "go.etcd.io/etcd/api/v3/version"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/gateway"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/watch"
)

// patience is how long calls that are under way may take when the program is
// told to stop. Watches are ended at once.
const patience = 10 * time.Second

// start reads what was given and serves until ctx ends.
func start(ctx context.Context, flags *pflag.FlagSet, environ []string) (err error) {
	g, err := gather(flags, environ)
	if err != nil {
		return err
	}
	log, closeLog, err := newLogger(g.config.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	logGRPC(log)
	for _, n := range g.notes {
		log.Warn(n.text, n.args...)
	}
	err = run(ctx, g.config, log)
	if err != nil && !slices.Contains(canonicalOutputs(g.config.log.outputs), "stderr") {
		log.Error("watchd ends", "error", err) // main says it on stderr
	}
	return err
}

// run opens the data, serves them, and closes everything in reverse.
func run(ctx context.Context, c *config, log *slog.Logger) (err error) {
	at, err := findPlace(c.directory(), c.backend)
	if err != nil {
		return err
	}
	if err := at.prepare(log); err != nil {
		return err
	}
	var closers closers
	defer func() {
		err = errors.Join(err, closers.close(log))
		if err == nil {
			log.Info("stopped")
		}
	}()
	engine, err := at.open(log)
	if err != nil {
		return err
	}
	closers.add("engine", engine.Close)
	banner(log, c, at, engine)
	if c.fromEtcd != "" {
		if err := fromEtcd(ctx, engine, c, log); err != nil {
			return err
		}
	}
	parts, err := openParts(c, engine, log, &closers)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		log.Info("stopping before anything was served", "reason", context.Cause(ctx))
		return nil
	}
	doors, err := openFront(ctx, c, log)
	if err != nil {
		return err
	}
	srv, err := server.New(parts, serverConfig(c, doors, log))
	if err != nil {
		return errors.Join(err, doors.closeDoors())
	}
	closers.add("server", srv.Close)
	return serve(ctx, c, srv, doors, parts.Store, log)
}

// serverConfig is what of the settings is the API's.
func serverConfig(c *config, doors *front, log *slog.Logger) server.Config {
	urls := urlTexts(c.advertise)
	if len(urls) == 0 {
		urls = doors.urls()
	}
	return server.Config{
		Name: c.name, ClientURLs: urls,
		MaxRequestBytes: int(c.maxRequestBytes), MaxTxnOps: int(c.maxTxnOps), MaxConcurrentStreams: uint32(c.maxStreams),
		KeepAlive:            server.KeepAlive{MinTime: orOff(c.keepAliveMin), Interval: orOff(c.keepAliveInterval), Timeout: orOff(c.keepAliveTimeout)},
		ScratchDir:           c.scratch(),
		WatchMaxLagRevisions: c.maxLagRevisions, WatchMaxLagBytes: c.maxLagBytes,
		Metrics: metrics.Config{
			Extensive: c.metrics == "extensive", SlowApply: c.slowApply, Identity: metrics.Identity{Program: "watchd " + version},
		},
		Logger: log,
	}
}

// leastRecordBytes is mvcc's own default. A request that is let in may be one
// record.
const leastRecordBytes = 8 << 20

// maxResponseOver keeps what is sent of history below the limit of responses,
// which is max-request-bytes and 512 KiB (S5).
const maxResponseOver = 256 << 10

// orOff is a duration of a flag, 0 being off, as server.KeepAlive has it.
func orOff(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// openParts opens what stands between the engine and the API.
func openParts(c *config, engine backend.Engine, log *slog.Logger, closers *closers) (server.Parts, error) {
	compact, err := c.autoCompact()
	if err != nil {
		return server.Parts{}, err
	}
	store, err := mvcc.Open(engine, mvcc.Config{
		Durability: c.durability, QuotaBytes: c.quota(), MinFreeBytes: c.minFreeBytes, AutoCompact: compact, Logger: log,
		MaxRecordBytes: int(max(leastRecordBytes, c.maxRequestBytes)),
	})
	if err != nil {
		return server.Parts{}, failed("--data-dir %q: %v", c.directory(), err)
	}
	closers.add("store", store.Close)
	hub, err := watch.NewHub(store, watch.Config{
		ProgressInterval: c.progressInterval, OutboxBytes: c.outboxBytes, MaxResponseBytes: int(min(1<<20, c.maxRequestBytes+maxResponseOver)),
		MaxWatches: int(c.maxWatches), MaxWatchesPerStream: int(c.maxStreamWatches), Logger: log,
	})
	if err != nil {
		return server.Parts{}, err
	}
	closers.add("hub", hub.Close)
	lessor, err := lease.Open(store, lease.Config{Logger: log})
	if err != nil {
		return server.Parts{}, failed("--data-dir %q: %v", c.directory(), err)
	}
	closers.add("leases", lessor.Close)
	return server.Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, nil
}

// banner is the line that tells what runs here.
func banner(log *slog.Logger, c *config, at place, engine backend.Engine) {
	args := []any{
		"watchd-version", version, "etcd-version", etcd.Version, "go-version", runtime.Version(),
		"backend", at.driver.Name, "backend-version", engine.Stats().Version, "durability", c.durability.String(), "data-dir", at.dir, "fresh", at.fresh,
		"name", c.name, "quota-bytes", c.quota(), "pid", os.Getpid(),
	}
	if sha := commit(); sha != "" {
		args = append(args, "git-sha", sha)
	}
	log.Info("starting watchd", args...)
	if at.driver.Volatile {
		log.Warn("this engine keeps nothing: stopping loses all data", "backend", at.driver.Name)
	}
}

// serve serves until ctx ends, then tells the watches, lets calls finish and
// returns. An error of a listener ends it too.
func serve(ctx context.Context, c *config, srv *server.Server, doors *front, store *mvcc.Store, log *slog.Logger) (err error) {
	limit := c.slowRequest
	if limit == 0 {
		limit = defaults().slowRequest // as in etcd
	}
	g := grpc.NewServer(slices.Concat(doors.grpcOptions(), []grpc.ServerOption{grpc.ChainUnaryInterceptor(logSlow(limit, log))}, srv.GRPCOptions())...)
	srv.Register(g)
	json, err := gateway.New(g, gateway.Config{MaxRequestBytes: int(c.maxRequestBytes), Access: c.access(), Logger: log})
	if err != nil {
		return errors.Join(err, doors.closeDoors())
	}
	doors.serve(g, clientPages(c, srv, json, log), statsPages(srv))
	log.Info("ready to serve client requests", "address", doors.address())
	tell(log, daemon.SdNotifyReady)
	select {
	case err = <-doors.failed:
		log.Error("serving failed", "error", err)
		err = fmt.Errorf("serving failed: %w", err)
	case <-ctx.Done():
		log.Info("stopping", "reason", context.Cause(ctx))
	}
	tell(log, daemon.SdNotifyStopping)
	srv.EndStreams()
	err = errors.Join(err, doors.stop(patience), json.Close())
	if text := store.Stats().Failed; text != "" {
		err = errors.Join(err, failed("writing had ended before: %s", text))
	}
	return err
}

// tell tells systemd, if it listens.
func tell(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told", "state", state, "error", err)
	}
}

// closers close what was opened, the last first.
type closers []struct {
	what  string
	close func() error
}

func (c *closers) add(what string, f func() error) {
	*c = append(*c, struct {
		what  string
		close func() error
	}{what, f})
}

func (c *closers) close(log *slog.Logger) (err error) {
	for i := len(*c) - 1; i >= 0; i-- {
		one := (*c)[i]
		if e := one.close(); e != nil {
			log.Error("not closed cleanly", "what", one.what, "error", e)
			err = errors.Join(err, fmt.Errorf("%s: %w", one.what, e))
		}
	}
	*c = nil
	return err
}
