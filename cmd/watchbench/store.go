package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/mvcc"
)

const (
	defaultBackend = "pebble"
	defaultRelaxed = 100 * time.Millisecond
)

// storeFlags choose the one store that run, max and verify look at.
type storeFlags struct {
	backend, durability string
	server              serverFlags
	set                 *pflag.FlagSet
}

func (f *storeFlags) define(set *pflag.FlagSet) {
	f.defineStore(set)
	f.server.define(set)
}

// defineStore leaves out what is about a server's own matters.
func (f *storeFlags) defineStore(set *pflag.FlagSet) {
	f.set = set
	f.backend, f.durability = defaultBackend, "sync"
	what := options{set, groupWhat}
	what.text(&f.backend, option{
		name: "backend", short: "b", word: strings.Join(engineNames(), "|"), text: "engine, in this process",
		unset: defaultBackend, values: engineNames(),
	})
	what.text(&f.durability, option{
		name: "durability", word: "sync|relaxed[:100ms]", text: "on disk before the answer, or not", unset: "sync",
		values: []string{"sync", "relaxed", "relaxed:100ms"},
		more:   "relaxed answers at once and flushes within the interval, from 1ms to 1m; a crash loses at most that.",
	})
	f.server.defineTarget(set)
}

// subject is the store that the flags choose. A server is connected to, and
// asked for its status; it must be released.
func (f *storeFlags) subject(ctx context.Context, t *terminal) (subject, error) {
	if err := f.server.conflicts(); err != nil {
		return nil, err
	}
	if f.set.Changed("target") {
		return f.server.connect(ctx, t, "--target", f.server.target)
	}
	k, err := embeddedOf("--backend", f.backend, f.durability)
	if err != nil {
		return nil, err
	}
	return &engineSubject{kind: k}, nil
}

// embeddedOf is a store in this process; flag is how its engine was named.
func embeddedOf(flag, engine, durability string) (bench.Embedded, error) {
	driver, ok := engines.Lookup(engine)
	if !ok {
		names := engineNames()
		suggestion := "; one of " + strings.Join(names, ", ")
		if word := nearest(engine, names); word != "" {
			suggestion = fmt.Sprintf("; did you mean %q? all: %s", word, strings.Join(names, ", "))
		}
		return bench.Embedded{}, misused("%s %q: not an engine here%s", flag, engine, suggestion)
	}
	d, err := durabilityOf(durability)
	return bench.Embedded{Driver: driver, Durability: d}, err
}

func engineNames() (names []string) {
	for _, d := range engines.All() {
		names = append(names, d.Name)
	}
	return names
}

func durabilityOf(text string) (mvcc.Durability, error) {
	mode, interval, given := strings.Cut(text, ":")
	switch {
	case mode == "sync" && !given:
		return mvcc.Sync(), nil
	case mode == "relaxed" && !given:
		return mvcc.Relaxed(defaultRelaxed), nil
	case mode == "relaxed":
		d, err := figure.ParseDuration(interval)
		if err != nil {
			return mvcc.Durability{}, misused("--durability %q: %v", text, err)
		}
		if d < time.Millisecond || d > time.Minute {
			return mvcc.Durability{}, misused("--durability %q: from 1ms to 1m is possible", text)
		}
		return mvcc.Relaxed(d), nil
	}
	return mvcc.Durability{}, misused("--durability %q: unknown; sync, or relaxed:100ms with the most a crash may lose", text)
}
