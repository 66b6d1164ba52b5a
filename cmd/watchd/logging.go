package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

var logFormats = []string{"json", "console", "auto"}

func logLevels() []string { return []string{"debug", "info", "warn", "error", "panic", "fatal"} }

// newLogger opens what is logged to. close gives the files back.
func newLogger(l logSettings) (logger *slog.Logger, closeFiles func() error, err error) {
	var writers []io.Writer
	var files []*os.File
	closeFiles = func() (err error) {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	terminal := false
	for _, output := range slices.Compact(slices.Sorted(slices.Values(canonicalOutputs(l.outputs)))) {
		switch output {
		case "stderr":
			writers = append(writers, os.Stderr)
			terminal = terminal || term.IsTerminal(int(os.Stderr.Fd()))
		case "stdout":
			writers = append(writers, os.Stdout)
			terminal = terminal || term.IsTerminal(int(os.Stdout.Fd()))
		default:
			file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return nil, nil, errors.Join(misused("--log-outputs %q: %v; stderr, stdout or a file that can be written", output, bare(err)), closeFiles())
			}
			files, writers = append(files, file), append(writers, file)
		}
	}
	out := io.MultiWriter(writers...)
	level := levelOf(l.level)
	if l.format == "console" || l.format == "auto" && terminal {
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})), closeFiles, nil
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: likeEtcd})), closeFiles, nil
}

func canonicalOutputs(outputs []string) (all []string) {
	for _, output := range outputs {
		if output == "default" || output == "systemd/journal" {
			output = "stderr" // which systemd gives to its journal
		}
		all = append(all, output)
	}
	if len(all) == 0 {
		all = append(all, "stderr")
	}
	return all
}

func levelOf(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error", "panic", "fatal":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// likeEtcd names what every line has as etcd does, and writes durations so
// that people can read them.
func likeEtcd(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch {
	case a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime:
		return slog.String("ts", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000000Z0700"))
	case a.Key == slog.LevelKey:
		return slog.String("level", strings.ToLower(a.Value.String()))
	case a.Value.Kind() == slog.KindDuration:
		return slog.String(a.Key, a.Value.Duration().Round(time.Microsecond).String())
	}
	if err, ok := a.Value.Any().(error); ok {
		return slog.String(a.Key, err.Error())
	}
	return a
}
