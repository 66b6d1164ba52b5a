package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench/etcd"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// serverFlags say which server is measured, how it is reached and what may be
// done to it. Names, and variables for those that etcdctl has, are its own.
type serverFlags struct {
	target                      string
	cacert, cert, key           string
	user, password              string
	skipVerify                  bool
	dialTimeout, commandTimeout string
	prefix, allowWrite          string
	allowCompaction             bool
	allowBroken                 string
	pid, metrics                string
	set                         *pflag.FlagSet

	getenv func(string) string
	taken  []string // variables that were used
}

// fromEtcdctl are the flags that have a variable, as in etcdctl.
var fromEtcdctl = []string{"cacert", "cert", "key", "user", "password", "insecure-skip-tls-verify", "dial-timeout", "command-timeout"}

func (f *serverFlags) define(set *pflag.FlagSet) {
	f.defineReach(set)
	server := options{set, groupServer}
	server.text(&f.pid, option{name: "server-pid", word: "PID", text: "its CPU and memory, on this machine"})
	server.text(&f.metrics, option{name: "server-metrics", word: "URL", text: "the same from its Prometheus page", more: "Such as http://127.0.0.1:2379/metrics."})
}

// defineReach defines how the server is reached and what may be done to it.
func (f *serverFlags) defineReach(set *pflag.FlagSet) {
	f.set, f.getenv = set, os.Getenv
	f.prefix = etcd.DefaultPrefix
	server := options{set, groupServer}
	variable := orVariable
	f.defineCertificates(server)
	server.text(&f.user, option{name: "user", word: "NAME", text: "user of the server", more: variable("user")})
	server.text(&f.password, option{
		name: "password", word: "WORD", text: "better in ETCDCTL_PASSWORD, or asked for",
		more: "It is never printed, and struck from the recorded command. Without it the variable ETCDCTL_PASSWORD is taken; on a terminal it is asked for.",
	})
	f.defineSkipVerify(server)
	server.text(&f.dialTimeout, option{name: "dial-timeout", word: "T", text: "for connecting", unset: "5s", more: variable("dial-timeout")})
	server.text(&f.commandTimeout, option{name: "command-timeout", word: "T", text: "for each request", unset: "5s", more: variable("command-timeout")})
	server.text(&f.prefix, option{
		name: "prefix", word: "PREFIX/", text: "of all keys written", unset: etcd.DefaultPrefix,
		more: "A random part of its own is added for each run, so that runs do not meet.",
	})
	server.text(&f.allowWrite, option{
		name: "allow-write", word: "SIZE", text: "may write more", unset: "10% of the free quota",
		more: "Deleted keys keep their space until compaction and defragmentation. Loads at full speed stop at the bound.",
	})
	server.on(&f.allowCompaction, option{
		name: "allow-compaction", text: "may compact: all clients lose history",
		more: "The scenario compaction compacts the server's whole history, not only its own keys: every client that wants an older revision is refused.",
	})
	server.text(&f.allowBroken, option{
		name: "allow-broken", word: "RULE[,RULE]", text: "promises that may break", list: true, values: ruleNames(),
		more: "The break is named and the figures are shown all the same.",
	})
}

// orVariable says that a flag has a variable.
func orVariable(flag string) string {
	return "Without it the variable " + variableOf(flag) + " is taken, as by etcdctl."
}

func (f *serverFlags) defineCertificates(server options) {
	file := []string{"pem", "crt", "key"}
	server.text(&f.cacert, option{name: "cacert", word: "FILE", text: "authorities that sign the server's certificate", files: file, more: orVariable("cacert")})
	server.text(&f.cert, option{name: "cert", word: "FILE", text: "client certificate", files: file, more: orVariable("cert")})
	server.text(&f.key, option{name: "key", word: "FILE", text: "its key", files: file, more: orVariable("key")})
}

func (f *serverFlags) defineSkipVerify(server options) {
	server.on(&f.skipVerify, option{name: "insecure-skip-tls-verify", text: "take any certificate", more: orVariable("insecure-skip-tls-verify")})
}

// defineTarget is for commands that name one store by flags.
func (f *serverFlags) defineTarget(set *pflag.FlagSet) {
	options{set, groupWhat}.text(&f.target, option{
		name: "target", word: "etcd://HOST:PORT[,...]", text: "a server instead (etcds:// for TLS)",
		more: "Any etcd v3 endpoint. Nothing is touched there but keys under --prefix, which are deleted at the end.",
	})
}

// variableOf is etcdctl's variable for a flag.
func variableOf(flag string) string {
	return "ETCDCTL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ruleNames are the rules of class etcd: ours are promised by no other server.
func ruleNames() (names []string) {
	for _, r := range watchtest.Rules() {
		if r.Class == watchtest.Etcd {
			names = append(names, r.ID)
		}
	}
	return names
}

// serverOnly are the flags that mean nothing without a server.
var serverOnly = append(slices.Clone(fromEtcdctl), "prefix", "allow-write", "allow-compaction", "allow-broken", "server-pid", "server-metrics")

// storeOnly are flags that mean nothing to a server, with the reason.
var storeOnly = []struct{ flag, why string }{
	{"durability", "a server keeps its own durability; leave the flag out"},
	{"backend", "a server has its own engine; leave one of them out"},
	{"etcd-file", "a file is replayed in this process; leave one of them out"},
	{"dir", "a server keeps its own files; leave the flag out"},
}

// conflicts refuses flags that do not go together.
func (f *serverFlags) conflicts() error {
	if !f.set.Changed("target") {
		for _, flag := range serverOnly {
			if f.set.Changed(flag) {
				return misused("--%s without --target: there is no server; name one by --target etcd://HOST:PORT", flag)
			}
		}
		return nil
	}
	for _, s := range storeOnly {
		if f.set.Changed(s.flag) {
			return misused("--%s with --target: %s", s.flag, s.why)
		}
	}
	return nil
}

// needed refuses the flags for a server where none is among the targets.
func (f *serverFlags) needed(any bool) error {
	for _, flag := range serverOnly {
		if !any && f.set.Changed(flag) {
			return misused("--%s without a server: none of the targets is etcd://HOST:PORT", flag)
		}
	}
	return nil
}

// text is a flag's text: as given, or else from the variable that etcdctl has
// for it. from says where it came from; empty if neither.
func (f *serverFlags) text(flag string) (text, from string) {
	if f.set.Changed(flag) {
		return f.set.Lookup(flag).Value.String(), "--" + flag
	}
	name := variableOf(flag)
	if text = f.getenv(name); text == "" {
		return "", ""
	}
	if !slices.Contains(f.taken, name) {
		f.taken = append(f.taken, name)
	}
	return text, name
}

// config reads the flags for a server; flag is how its target was named, ask
// asks for a password.
func (f *serverFlags) config(flag, target string, ask func(user string) (string, error)) (c etcd.Config, err error) {
	f.taken = nil
	var secure bool
	if c.Endpoints, secure, err = etcd.ParseTarget(target); err != nil {
		return c, misused("%s %q: %v", flag, withoutLogin(target), err)
	}
	if c.TLS, err = f.tls(secure); err != nil {
		return c, err
	}
	if c.DialTimeout, err = f.time("dial-timeout"); err != nil {
		return c, err
	}
	if c.CommandTimeout, err = f.time("command-timeout"); err != nil {
		return c, err
	}
	if c.Prefix, err = f.ownPrefix(); err != nil {
		return c, err
	}
	c.AllowCompaction = f.allowCompaction
	if c.Meter, err = f.meter(c.TLS); err != nil {
		return c, err
	}
	if c.User, c.Password, err = f.login(ask); err != nil {
		return c, err
	}
	return c, nil
}

func (f *serverFlags) ownPrefix() (string, error) {
	switch {
	case f.prefix == "" || f.prefix == "/":
		return "", misused("--prefix %q: a prefix of its own is needed, so that nothing else is touched; the default is %s", f.prefix, etcd.DefaultPrefix)
	case len(f.prefix) > etcd.MaxPrefix:
		return "", misused("--prefix %q: %d bytes; at most %d are possible", f.prefix, len(f.prefix), etcd.MaxPrefix)
	case !strings.HasSuffix(f.prefix, "/"):
		return "", misused("--prefix %q: does not end in /; write %s/", f.prefix, f.prefix)
	}
	return f.prefix, nil
}

// longestTimeout of a single request or of connecting.
const longestTimeout = 10 * time.Minute

func (f *serverFlags) time(flag string) (time.Duration, error) {
	text, from := f.text(flag)
	if from == "" {
		return etcd.DefaultTimeout, nil
	}
	d, err := figure.ParseDuration(text)
	switch {
	case err != nil:
		return 0, misused("%s %q: %v", from, text, err)
	case d < 10*time.Millisecond || d > longestTimeout:
		return 0, misused("%s %q: from 10ms to %s is possible", from, text, figure.Short(longestTimeout))
	}
	return d, nil
}

// tls is how the server is spoken to: nil for plain. A certificate asks for it
// as well as the scheme.
func (f *serverFlags) tls(secure bool) (*tls.Config, error) {
	cacert, fromCA := f.text("cacert")
	cert, fromCert := f.text("cert")
	key, fromKey := f.text("key")
	skip, fromSkip := f.text("insecure-skip-tls-verify")
	if !secure && fromCA == "" && fromCert == "" && fromKey == "" && fromSkip == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skip == "true"}
	if fromSkip != "" && skip != "true" && skip != "false" {
		return nil, misused("%s %q: true or false", fromSkip, skip)
	}
	if fromCA != "" {
		pem, err := os.ReadFile(cacert)
		if err != nil {
			return nil, misused("%s %q: %v", fromCA, cacert, cause(err))
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, misused("%s %q: holds no certificate in PEM", fromCA, cacert)
		}
	}
	switch {
	case fromCert != "" && fromKey == "":
		return nil, misused("%s without --key: a client certificate needs both", fromCert)
	case fromCert == "" && fromKey != "":
		return nil, misused("%s without --cert: a client certificate needs both", fromKey)
	case fromCert != "":
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, misused("%s %q, %s %q: %v", fromCert, cert, fromKey, key, cause(err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// cause is what a file's error is about, without the path that is said anyway.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// connect connects to a server and asks for its status; flag is how it was
// named.
func (f *serverFlags) connect(ctx context.Context, t *terminal, flag, target string) (*serverSubject, error) {
	c, err := f.config(flag, target, t.askPassword)
	if err != nil {
		return nil, err
	}
	s := &serverSubject{taken: f.taken}
	if s.allow, err = f.allowed(); err != nil {
		return nil, err
	}
	if s.kind, err = etcd.Connect(ctx, c); err != nil {
		return nil, unmeasured("%v", err)
	}
	return s, nil
}

// meter is where CPU and memory of the server are read; nil if nowhere.
func (f *serverFlags) meter(tls *tls.Config) (etcd.Meter, error) {
	byPID, byPage := f.set.Changed("server-pid"), f.set.Changed("server-metrics")
	switch {
	case byPID && byPage:
		return nil, misused("--server-pid with --server-metrics: both tell the same; leave one of them out")
	case byPID:
		pid, err := strconv.Atoi(f.pid)
		if err != nil || pid < 1 {
			return nil, misused("--server-pid %q: not a process id; write 1234", f.pid)
		}
		m := etcd.PIDMeter{PID: pid}
		if _, err := m.Read(context.Background()); err != nil {
			return nil, misused("--server-pid %d: %v", pid, err)
		}
		return m, nil
	case byPage:
		page, err := url.Parse(f.metrics)
		if err != nil || page.Host == "" || page.Scheme != "http" && page.Scheme != "https" {
			return nil, misused("--server-metrics %q: not a URL; write http://127.0.0.1:2379/metrics", withoutLogin(f.metrics))
		}
		m := etcd.MetricsMeter{URL: f.metrics, Client: &http.Client{
			Timeout: etcd.DefaultTimeout, Transport: &http.Transport{TLSClientConfig: tls},
		}}
		if _, err := m.Read(context.Background()); err != nil {
			return nil, unmeasured("--server-metrics %s: %v", withoutLogin(f.metrics), err)
		}
		return m, nil
	}
	return nil, nil
}

// allowedRules are the rules of --allow-broken.
func (f *serverFlags) allowedRules() ([]string, error) {
	if !f.set.Changed("allow-broken") {
		return nil, nil
	}
	var rules []string
	known := ruleNames()
	for rule := range strings.SplitSeq(f.allowBroken, ",") {
		name := strings.ToUpper(strings.TrimSpace(rule))
		if !slices.Contains(known, name) {
			return nil, misused("--allow-broken %q: no rule that a server promises%s all: watchbench help run", rule, orSemicolon(didYouMean(name, known)))
		}
		rules = append(rules, name)
	}
	return rules, nil
}

// allowed is the size of --allow-write; 0 if it is not given.
func (f *serverFlags) allowed() (int64, error) {
	if !f.set.Changed("allow-write") {
		return 0, nil
	}
	n, err := figure.ParseSize(f.allowWrite)
	if err == nil && n <= 0 {
		err = errors.New("not above 0; write 500MiB or 2GiB")
	}
	if err != nil {
		return 0, misused("--allow-write %q: %v", f.allowWrite, err)
	}
	return n, nil
}

// askPassword reads a password without showing it.
func (t *terminal) askPassword(user string) (string, error) {
	if t.readPassword == nil {
		return "", misused("--user %q without a password: set ETCDCTL_PASSWORD", user)
	}
	fmt.Fprintf(t.err, "Password of %s: ", user)
	password, err := t.readPassword()
	fmt.Fprintln(t.err)
	if err != nil {
		return "", unmeasured("no password was read: %v", err)
	}
	if password == "" {
		return "", misused("--user %q: the password is empty", user)
	}
	return password, nil
}
