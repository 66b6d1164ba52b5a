package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench/etcd"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

// watchersPath is the page of watches, as a watchd serves it, and watchersSchema
// its layout that is understood here.
const (
	watchersPath   = "/debug/watchers"
	watchersSchema = "watchkv.watchers/1"
)

// topFlags say which server is asked, and what is shown of it.
type topFlags struct {
	server          serverFlags
	url             string
	state, match    string
	limit, interval string
	once, json      bool
	color           string
}

func newTop(t *terminal) *cobra.Command {
	f := topFlags{limit: "200", interval: "1s", color: "auto"}
	cmd := &cobra.Command{Use: "top", Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), t) }}
	f.define(cmd.Flags())
	return cmd
}

func (f *topFlags) define(set *pflag.FlagSet) {
	f.server.set, f.server.getenv = set, os.Getenv
	which := options{set, groupWhat}
	which.text(&f.server.target, option{name: "target", word: "etcd://HOST:PORT", text: "a client endpoint (etcds:// for TLS)", more: "The pages are asked for over HTTP on the same port."})
	which.text(&f.url, option{name: "url", word: "URL", text: "instead: where its pages are", more: "For a server with a port of its own for metrics or HTTP: http://127.0.0.1:2381."})
	shown := options{set, groupShown}
	shown.text(&f.state, option{name: "state", word: "STATE", text: "only watches that are victim, unsynced, synced or behind", values: watchStates})
	shown.text(&f.match, option{name: "match", word: "TEXT", text: "only those with it in the range or the client"})
	shown.text(&f.limit, option{name: "limit", word: "N", text: "most watches that are asked for", unset: "200"})
	shown.text(&f.interval, option{name: "interval", word: "T", text: "between two looks", unset: "1s"})
	shown.on(&f.once, option{name: "once", text: "print a table and end", more: "Without a terminal it is so anyway."})
	shown.on(&f.json, option{name: "json", text: "print the server's answer as it is, and end"})
	shown.text(&f.color, option{name: "color", word: "auto|always|never", unset: "auto", values: []string{"auto", "always", "never"}})
	server := options{set, groupServer}
	f.server.defineCertificates(server)
	f.server.defineSkipVerify(server)
	server.text(&f.server.commandTimeout, option{name: "command-timeout", word: "T", text: "for each request", unset: "5s", more: orVariable("command-timeout")})
}

var watchStates = []string{"victim", "unsynced", "synced", "behind"}

// asked is what the flags ask for, understood.
type asked struct {
	name     string // of the server, for people
	base     url.URL
	query    url.Values
	interval time.Duration
	client   *http.Client
}

func (f *topFlags) understand() (a asked, err error) {
	secure := false
	switch {
	case f.server.target != "" && f.url != "":
		return a, misused("--target with --url: both name the server; leave one of them out")
	case f.url != "":
		secure, err = a.takeURL(f.url)
	case f.server.target != "":
		secure, err = a.takeTarget(f.server.target)
	default:
		err = misused("top needs a server; name one by --target etcd://HOST:PORT")
	}
	if err != nil {
		return a, err
	}
	if err := f.takeShown(&a); err != nil {
		return a, err
	}
	tls, err := f.server.tls(secure)
	if err != nil {
		return a, err
	}
	if tls != nil {
		a.base.Scheme = "https"
	}
	timeout, err := f.server.time("command-timeout")
	if err != nil {
		return a, err
	}
	a.client = &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: tls}}
	return a, nil
}

func (a *asked) takeURL(text string) (secure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, misused("--url %q: not a URL; write http://127.0.0.1:2379", withoutLogin(text))
	}
	a.name, a.base = withoutLogin(text), *u
	a.base.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, watchersPath), "/")
	a.base.RawQuery, a.base.Fragment = "", ""
	return u.Scheme == "https", nil
}

func (a *asked) takeTarget(text string) (secure bool, err error) {
	endpoints, secure, err := etcd.ParseTarget(text)
	switch {
	case err != nil:
		return false, misused("--target %q: %v", withoutLogin(text), err)
	case len(endpoints) > 1:
		return false, misused("--target %q: watches are of one server; name one of the %d", withoutLogin(text), len(endpoints))
	}
	a.name, a.base = withoutLogin(text), url.URL{Scheme: "http", Host: endpoints[0]}
	return secure, nil
}

func (f *topFlags) takeShown(a *asked) error {
	a.query = url.Values{}
	limit, err := positive(f.limit)
	if err == nil && limit > 10_000 {
		err = errors.New("at most 10000 are possible")
	}
	if err != nil {
		return misused("--limit %q: %v", f.limit, err)
	}
	a.query.Set("limit", fmt.Sprint(limit))
	if f.state != "" {
		if nearest := nearest(f.state, watchStates); nearest != f.state {
			return misused("--state %q: one of %s", f.state, strings.Join(watchStates, ", "))
		}
		a.query.Set("state", f.state)
	}
	if f.match != "" {
		a.query.Set("match", f.match)
	}
	if a.interval, err = figure.ParseDuration(f.interval); err == nil && a.interval < 100*time.Millisecond {
		err = errors.New("at least 100ms is needed")
	}
	if err != nil {
		return misused("--interval %q: %v", f.interval, err)
	}
	switch f.color {
	case "auto", "always", "never":
		return nil
	}
	return misused("--color %q: one of auto, always, never", f.color)
}

func (f *topFlags) run(ctx context.Context, t *terminal) error {
	a, err := f.understand()
	if err != nil {
		return err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer a.client.CloseIdleConnections()
	if f.json {
		text, err := a.page(ctx)
		if err != nil {
			return unmeasured("%s: %v", a.name, err)
		}
		_, err = t.rawOut.Write(text)
		return err
	}
	first := a.sample(ctx)
	if first.Failed != nil {
		return unmeasured("%s: %v", a.name, first.Failed)
	}
	view := live.TopView{Target: a.name}.With(first)
	if f.once || t.screen == nil || !t.outTTY {
		width := 0
		if t.outWidth != nil {
			width = t.outWidth()
		}
		if width == 0 {
			width = 120
		}
		style := live.Style{Color: t.colors(f.color, t.outTTY), ASCII: t.plain}
		_, err := fmt.Fprintln(t.out, view.Table(width, 1<<20, style))
		return err
	}
	style := live.Style{Color: t.colors(f.color, t.errTTY), ASCII: t.plain}
	if err := live.Top(ctx, t.screen, style, view, a.interval, a.sample); err != nil {
		return unmeasured("no live view: %v", err)
	}
	return nil
}

// errNoPage is the answer of a server that has no page of watches.
var errNoPage = errors.New("no page " + watchersPath + ": is it a watchd, and is this where it serves HTTP?")

// sample asks the server once.
func (a *asked) sample(ctx context.Context) live.Sample {
	s := live.Sample{At: time.Now()}
	text, err := a.page(ctx)
	switch {
	case err == nil:
		s.Page, err = parseWatchers(text)
	case errors.Is(err, errNoPage):
		s.Totals, err = a.totals(ctx)
	}
	s.Failed = err
	return s
}

// page is the page of watches as it came.
func (a *asked) page(ctx context.Context) ([]byte, error) {
	at := *a.base.JoinPath(watchersPath)
	at.RawQuery = a.query.Encode()
	return a.get(ctx, at.String())
}

// mostPage bounds what is read of a page.
const mostPage = 16 << 20

func (a *asked) get(ctx context.Context, at string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, plainly(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, mostPage))
	switch {
	case response.StatusCode == http.StatusNotFound:
		return nil, errNoPage
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is %s: %s", response.Status, printable(strings.TrimSpace(string(text[:min(len(text), 200)]))))
	}
	return text, err
}

// plainly says why a server did not answer.
func plainly(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused; is watchd running there?")
	case errors.As(err, &network) && network.Timeout():
		return errors.New("no answer in time; see --command-timeout")
	}
	return err
}

func parseWatchers(text []byte) (*live.Watchers, error) {
	page := &live.Watchers{}
	if err := json.Unmarshal(text, page); err != nil {
		return nil, fmt.Errorf("%s is no JSON: %w", watchersPath, err)
	}
	if page.Schema != watchersSchema {
		return nil, fmt.Errorf("%s has the schema %q, this program knows %s; update watchbench", watchersPath, page.Schema, watchersSchema)
	}
	page.Server.Program, page.Server.Engine = printable(page.Server.Program), printable(page.Server.Engine)
	for i := range page.Watches {
		w := &page.Watches[i]
		w.State, w.Range, w.Client = printable(w.State), printable(w.Range), printable(w.Client)
	}
	return page, nil
}

// printable keeps what a server says from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// totals are what an etcd tells on its page of metrics.
func (a *asked) totals(ctx context.Context) (*live.Totals, error) {
	text, err := a.get(ctx, a.base.JoinPath("/metrics").String())
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil || page["etcd_debugging_mvcc_watcher_total"] == nil {
		return nil, errNoPage
	}
	t := &live.Totals{
		Streams: figureOf(page["etcd_debugging_mvcc_watch_stream_total"]), Watches: figureOf(page["etcd_debugging_mvcc_watcher_total"]),
		Slow: figureOf(page["etcd_debugging_mvcc_slow_watcher_total"]), PendingEvents: figureOf(page["etcd_debugging_mvcc_pending_events_total"]),
		Revision: figureOf(page["etcd_debugging_mvcc_current_revision"]), Event: figureOf(page["etcd_debugging_mvcc_events_total"]),
	}
	for _, m := range page["etcd_server_version"].GetMetric() {
		for _, l := range m.GetLabel() {
			t.Version = printable(l.GetValue())
		}
	}
	return t, nil
}

// figureOf is the value of a family with one metric.
func figureOf(f *dto.MetricFamily) (v float64) {
	for _, m := range f.GetMetric() {
		v += m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return v
}
