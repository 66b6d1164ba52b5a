//go:build !linux

package bench

import "time"

// metronome is needed where idle programs notice their timers late.
func metronome(time.Duration) (stop func()) { return func() {} }
