package bench

import "time"

// Pacer is an open-loop schedule: put n is due at a time that depends on
// nothing but n, so that a slow answer delays no later put and is charged to
// every put it holds up. A rate of 0 has no schedule.
type Pacer struct {
	PerS float64
}

// Due is when put n, counted from 0, is due after the start.
func (p Pacer) Due(n int64) time.Duration {
	if p.PerS <= 0 {
		return 0
	}
	return time.Duration(float64(n) / p.PerS * float64(time.Second))
}

// Between counts the puts due in [from, to).
func (p Pacer) Between(from, to time.Duration) int64 {
	return p.before(to) - p.before(from)
}

// before counts the puts due before t: the smallest n whose Due is not.
func (p Pacer) before(t time.Duration) int64 {
	if p.PerS <= 0 || t <= 0 {
		return 0
	}
	n := int64(t.Seconds() * p.PerS)
	for p.Due(n) < t {
		n++
	}
	for n > 0 && p.Due(n-1) >= t {
		n--
	}
	return n
}
