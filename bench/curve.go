package bench

import "time"

// Curve is how far catching up was at some moments, about evenly spread from
// its begin to its end: at most curvePoints of them, whether it took
// milliseconds or minutes.
type Curve struct {
	At     []time.Duration `json:"at_ns"`           // since the first watch was asked for
	Events []int64         `json:"events"`          // delivered until then, for each watch
	Synced []int           `json:"synced_watchers"` // had all of the history then
}

const (
	curvePoints = 200
	// curveStep is the time between two points at first. Whenever they are too
	// many, every second one is left out and the time doubles.
	curveStep = time.Millisecond
)

// partNames are the phases of a scenario, in order, for people.
func partNames(scenario string) []string {
	switch scenario {
	case Slow:
		return []string{"before", "stalled", "after"}
	case Storm:
		return []string{"before", "storm", "after"}
	case Interference:
		return []string{"quiet", "replaying"}
	case Churn:
		return []string{"quiet", "churning"}
	case Compaction:
		return []string{"before", "compacting", "after"}
	case FanOut:
		return []string{"alone", "watched"}
	}
	return []string{"measured"}
}

// partsOfSeries are the phases that began, as far as they came.
func (s *session) partsOfSeries() (parts []Part) {
	for i, name := range partNames(s.sc.Name) {
		from, to := s.rec.phases.marks[i].Load(), min(s.ended, s.rec.phases.marks[i+1].Load())
		if from < to {
			parts = append(parts, Part{name, time.Duration(from - s.sampledAt), time.Duration(to - s.sampledAt)})
		}
	}
	return parts
}

func (c *Curve) add(at time.Duration, events int64, synced int) {
	c.At, c.Events, c.Synced = append(c.At, at), append(c.Events, events), append(c.Synced, synced)
}

// thin leaves out every second point but the first, which is the begin.
func (c *Curve) thin() {
	n := 0
	for i := 0; i < len(c.At); i += 2 {
		c.At[n], c.Events[n], c.Synced[n] = c.At[i], c.Events[i], c.Synced[i]
		n++
	}
	c.At, c.Events, c.Synced = c.At[:n], c.Events[:n], c.Synced[:n]
}

// traceCatchUp notes how many watches of a class are synced and how much was
// delivered to them, until the function it returns is called; s.curve is what
// it saw. It reads counters that are kept anyway, 1000 times a second at most.
func (s *session) traceCatchUp(class int, synced func() int) (end func()) {
	delivered := func() int64 {
		return s.rec.total(func(l *lane) (sum int64) {
			for _, n := range l.events[class] {
				sum += n
			}
			return sum
		})
	}
	curve, began, before := &Curve{}, time.Now(), delivered()
	look := func() { curve.add(time.Since(began), delivered()-before, synced()) }
	curve.add(0, 0, 0)
	stop, done := make(chan struct{}), make(chan struct{}) // both only closed: by the caller, by the goroutine
	go func() {
		defer close(done)
		step := curveStep
		timer := time.NewTimer(step)
		defer timer.Stop()
		for {
			select {
			case <-stop:
				look()
				return
			case <-timer.C:
			}
			if look(); len(curve.At) >= curvePoints-1 { // the end needs a place
				curve.thin()
				step *= 2
			}
			timer.Reset(step)
		}
	}()
	return func() {
		close(stop)
		<-done
		s.curve = curve
	}
}
