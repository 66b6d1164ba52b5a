package bench

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// metronome wakes the scheduler at every interval until it is stopped. An
// idle Go program notices its own timers up to a millisecond late, because it
// waits in epoll, which counts milliseconds; a timerfd is one of the things
// epoll wakes up for at once. Without one the generator is late, and says so.
func metronome(interval time.Duration) (stop func()) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return func() {}
	}
	file := os.NewFile(uintptr(fd), "metronome")
	spec := unix.NsecToTimespec(int64(interval))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: spec, Value: spec}, nil); err != nil {
		_ = file.Close()
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var ticks [8]byte
		for {
			if _, err := file.Read(ticks[:]); err != nil {
				return // closed by stop
			}
		}
	}()
	return func() {
		_ = file.Close()
		<-done
	}
}
