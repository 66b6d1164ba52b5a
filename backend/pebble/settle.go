package pebble

import "time"

// settle moves what only the log holds into tables, whose every block has a
// checksum. In a log pebble cannot tell damage at the end from a write that a
// crash cut short, and drops what stands behind it; after a clean close
// nothing does. If that fails, or takes longer than the grace, the log stays
// as it is and keeps everything.
func (e *engine) settle() {
	if e.readOnly {
		return
	}
	_ = e.call(func() error { // whose failure is the engine's and told by Close
		flushed, err := e.db.AsyncFlush()
		if err != nil {
			return err
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-flushed:
		case <-e.failure.failed:
		case <-timer.C:
		}
		return nil
	})
}
