package badger

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// closeGrace is how long badger may take to close after a fault: its flush
// tries again once a second, for ever.
const closeGrace = 5 * time.Second

// fault is the first error that badger only logged and that it cannot get
// over: it would acknowledge what is not synced, or tries again for ever
// until writers stand still.
type fault struct {
	met   chan struct{} // closed once cause is set
	once  sync.Once
	cause error
}

func newFault() *fault { return &fault{met: make(chan struct{})} }

func (f *fault) set(cause error) {
	f.once.Do(func() {
		f.cause = cause
		close(f.met)
	})
}

// err is the cause, nil while all is well.
func (f *fault) err() error {
	select {
	case <-f.met:
		return f.cause
	default:
		return nil
	}
}

// grave are the formats of those messages: a sync of the value log, which
// badger drops; a memtable that cannot be flushed; tables that cannot be
// merged.
var grave = [...]string{"Error while curlf sync", "error flushing memtable to disk", "LOG Compact FAILED"}

// logger carries badger's messages to the program's log, and grave ones to
// the engine.
type logger struct {
	log   *slog.Logger
	fault *fault
}

func newLogger(log *slog.Logger, f *fault) logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return logger{log.With("engine", "badger"), f}
}

func (l logger) text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}

// heed fails the engine if the message is grave. The text of a compaction's
// goes on about its tables, so only the errors are kept.
func (l logger) heed(format string, args []any) {
	for _, g := range grave {
		if !strings.Contains(format, g) {
			continue
		}
		for _, arg := range args {
			if err, ok := arg.(error); ok {
				l.fault.set(fmt.Errorf("%s: %w", g, err))
			}
		}
	}
}

func (l logger) Errorf(format string, args ...any) {
	l.heed(format, args)
	l.log.Error(l.text(format, args))
}

func (l logger) Warningf(format string, args ...any) {
	l.heed(format, args)
	l.log.Warn(l.text(format, args))
}

func (l logger) Infof(format string, args ...any)  { l.log.Debug(l.text(format, args)) }
func (l logger) Debugf(format string, args ...any) { l.log.Debug(l.text(format, args)) }

// finish commits, or leaves the commit to itself when a fault comes first. A
// fault that comes with the commit is the commit's: what badger then calls
// committed may not be synced.
func (e *engine) finish(txn *badger.Txn) error {
	done := make(chan error, 1)
	txn.CommitWith(func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return err
		}
		return e.fault.err()
	case <-e.fault.met:
		return e.fault.cause
	}
}

// closeDB waits for badger, after a fault no longer than the grace.
func (e *engine) closeDB() error {
	closed := make(chan error, 1)
	go func() { closed <- e.db.Close() }()
	select {
	case err := <-closed:
		return err
	case <-e.fault.met:
	}
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case err := <-closed:
		if err == nil {
			err = e.fault.cause
		}
		return err
	case <-timer.C:
		return fmt.Errorf("badger does not close, the directory stays locked until the process ends: %w", e.fault.cause)
	}
}
