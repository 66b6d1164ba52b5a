package bench

import "time"

// Tick is what a run looks like at one moment, for whoever watches it. A tick
// comes every half second; its rates and latencies are those of the second
// that ends with it. Where something cannot be seen the figure is -1.
type Tick struct {
	Elapsed time.Duration // since the run began
	// Second: one whole second has gone by since the last such tick, so who
	// shows a line a second passes over the others.
	Second bool

	Scenario   string // with its shape
	Planned    int    // its number in Plan.Scenarios
	Repetition int    // from 1
	// Stage says what goes on: "writing history", "warm-up", "5 of 50 streams
	// stalled". Empty is the plain measurement.
	Stage string
	// Into the scenario's load, or into the stage before it, and what that is
	// planned to take with its warm-up; 0 is until all is done.
	Into, Length time.Duration
	// Done is the part of a work without a planned time that is done.
	Done float64

	Puts   float64 // answered per second
	Events float64 // delivered per second, for each watch
	// Intended puts per second; 0 when there is no schedule.
	Intended float64
	// Notify latency and the generator's own delay; -1 when nothing came.
	P50, P99, Max, Late time.Duration

	// Watches by state, and how many met a full outbox since the scenario
	// began.
	Synced, Unsynced, Victims int
	VictimsSoFar              int64
	// Live and CatchUp are events per second that synced watches were offered
	// and that catch-up delivered, by its ways: memory, index, scan.
	Live    float64
	CatchUp [3]float64
	// Revisions between the newest one and what the furthest behind of each
	// state needs next.
	SyncedBehind, UnsyncedBehind, VictimBehind int64

	Checked int64 // events held against the promises, in the whole run
	Errors  int64 // in the whole run

	CPU           float64 // processors used in this second, generator and checker included
	MemoryBytes   int64   // resident, or the heap where that cannot be read
	OutboxBytes   int64   // waiting in outboxes, part of it
	DiskBytesPerS float64 // written by this process

	// Server is what the server used when it was last looked at; nil if
	// nobody looks.
	Server *ServerUsage
}

// ServerUsage is what a server uses at one moment. -1 is what is not told.
type ServerUsage struct {
	CPU          float64 // processors, since the look before
	MemoryBytes  int64
	SlowWatchers int64 // watchers that are not synced, by the gauge of etcd
}

// ServerTeller is a Metered target that tells meanwhile what it has read.
type ServerTeller interface {
	// ServerNow is nil if nothing was read yet. The usage is not changed later.
	ServerNow() *ServerUsage
}

// Stages that every scenario has; others are its own.
const (
	StageFilling = "writing history"
	StageWarmup  = "warm-up"
	StageEnd     = "waiting for the last events"
)

// tick says what the second that ends now was like.
func (s *sampler) tick(now mark, whole bool) Tick {
	before := s.marks[0]
	t := Tick{
		Second: whole, Elapsed: now.at.Sub(s.session.began), Scenario: s.session.sc.Title(),
		Planned: s.session.number, Repetition: s.session.repetition,
		Intended: s.intended, Length: s.length, Into: now.at.Sub(s.meter.start), Done: s.part(),
		P50: -1, P99: -1, Max: -1, Late: -1,
		Checked: s.session.checked(), Errors: s.session.errors.Load(),
		MemoryBytes: s.meter.memory(), CPU: -1, DiskBytesPerS: -1,
	}
	seconds := now.at.Sub(before.at).Seconds()
	t.Stage = s.stageAt(t.Into)
	t.Puts, t.Events = float64(s.second.puts)/seconds, float64(s.second.events)/seconds
	if s.second.notify.TotalCount() > 0 {
		t.P50 = time.Duration(s.second.notify.ValueAtQuantile(50))
		t.P99 = time.Duration(s.second.notify.ValueAtQuantile(99))
		t.Max = time.Duration(s.second.notify.Max())
	}
	if s.second.late.TotalCount() > 0 {
		t.Late = time.Duration(s.second.late.ValueAtQuantile(99))
	}
	if cpuUnmeasured == "" {
		t.CPU = (now.cpu - before.cpu).Seconds() / seconds
	}
	if now.written >= 0 {
		t.DiskBytesPerS = float64(now.written-before.written) / seconds
	}
	s.inside(&t, now, before, seconds)
	if teller, ok := s.session.target.(ServerTeller); ok {
		t.Server = teller.ServerNow()
	}
	return t
}

// inside adds what a target shows that can be looked into.
func (s *sampler) inside(t *Tick, now, before mark, seconds float64) {
	if !now.known {
		t.Synced, t.Unsynced, t.Victims, t.VictimsSoFar = -1, -1, -1, -1
		t.SyncedBehind, t.UnsyncedBehind, t.VictimBehind = -1, -1, -1
		t.Live, t.CatchUp, t.OutboxBytes = -1, [3]float64{-1, -1, -1}, -1
		return
	}
	t.Synced, t.Unsynced, t.Victims = now.stats.Synced, now.stats.Unsynced, now.stats.Victims
	t.VictimsSoFar = now.stats.VictimsEver - s.began.stats.VictimsEver
	t.Live = float64(now.stats.EventsDispatched-before.stats.EventsDispatched) / seconds
	for way := range t.CatchUp {
		t.CatchUp[way] = float64(now.stats.CatchUp[way].Events-before.stats.CatchUp[way].Events) / seconds
	}
	newest := max(s.session.rev.Load(), now.stats.OfferedRevision)
	t.SyncedBehind = newest - now.stats.OfferedRevision
	t.UnsyncedBehind = behind(newest, now.stats.UnsyncedNext)
	t.VictimBehind = behind(newest, now.stats.VictimNext)
	t.OutboxBytes = now.stats.PendingBytes
}

// behind is how many revisions up to the newest somebody still needs; next is
// 0 if there is nobody.
func behind(newest, next int64) int64 {
	if next == 0 {
		return 0
	}
	return max(0, newest+1-next)
}

// stageAt is what goes on at a moment of the load.
func (s *sampler) stageAt(into time.Duration) string {
	said := s.session.stage.Load()
	switch {
	case s.stage != "":
		return s.stage
	case said != nil:
		return *said
	case s.length > 0 && into > s.length+lead:
		return StageEnd
	case into < s.session.sc.Warmup:
		return StageWarmup
	}
	return ""
}
