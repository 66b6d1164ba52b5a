package pebble

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// events carries what pebble reports to the program's log.
type events struct {
	log     *slog.Logger
	failure *failure
}

func newEvents(log *slog.Logger, f *failure) events {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return events{log.With("engine", "pebble"), f}
}

func (e events) Infof(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) }

func (e events) Errorf(format string, args ...any) { e.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf fails the engine and does not return: pebble has lost a write to its
// log or an invariant, and would go on if it did.
func (e events) Fatalf(format string, args ...any) {
	err := fmt.Errorf("fatal: "+format, args...)
	e.log.Error(err.Error())
	e.failure.fatal(err)
}

// listener reports damage instead of dying of it, as pebble does by default:
// the read that met it returns the error.
func (e events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { e.log.Error("background work failed", "error", err) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.log.Error("data damaged", "file", info.Path, "error", info.Details)
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			if e.failure.err() == nil { // after a failure what waits is not the disk
				e.log.Warn("disk slow", "detail", info.String())
			}
		},
		CompactionEnd: func(info pebble.CompactionInfo) { e.failure.merged(info.Err) },
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.log.Warn("writes stall", "reason", info.Reason)
			e.failure.stalls(info.Reason)
		},
		WriteStallEnd: func() { e.log.Info("writes go on") },
	}
}
