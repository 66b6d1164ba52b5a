package pebble

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// events carries what pebble reports to the program's log.
type events struct{ log *slog.Logger }

func newEvents(log *slog.Logger) events {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return events{log.With("engine", "pebble")}
}

func (e events) Infof(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) }

func (e events) Errorf(format string, args ...any) { e.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf ends the goroutine that called: pebble has lost a write to its log
// or an invariant, and would acknowledge the write if this returned.
func (e events) Fatalf(format string, args ...any) {
	err := fmt.Errorf("pebble: fatal: "+format, args...)
	e.log.Error(err.Error())
	panic(err)
}

// listener reports damage instead of dying of it, as pebble does by default:
// the read that met it returns the error.
func (e events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { e.log.Error("background work failed", "error", err) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.log.Error("data damaged", "file", info.Path, "error", info.Details)
		},
		DiskSlow:        func(info pebble.DiskSlowInfo) { e.log.Warn("disk slow", "detail", info.String()) },
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) { e.log.Warn("writes stall", "reason", info.Reason) },
		WriteStallEnd:   func() { e.log.Info("writes go on") },
	}
}
