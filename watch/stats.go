package watch

// Stats are figures of a hub, summed over its shards. Counters only grow.
type Stats struct {
	Streams int
	// Watches by state. Synced includes those that wait for a revision not
	// reached yet.
	Synced, Unsynced, Victims int

	// VictimsEver counts each time an event met the full outbox of a synced
	// or unsynced watch, once per watch. Offers counts, per watch, the offers
	// of a run of events, taken or not: VictimsEver of Offers is the share.
	VictimsEver int64
	Offers      int64

	// EventsDispatched counts events offered live, per watch; the others what
	// catch-up delivered by each way.
	EventsDispatched int64
	CatchUp          [WayCount]WayStats
	// ChunksRead counts chunks of history read by scans, and EntriesScanned
	// the entries in them.
	ChunksRead, EntriesScanned int64

	// PendingBytes waits in outboxes now, and PendingBytesMax is the most
	// that ever waited in one stream's outbox.
	PendingBytes    int64
	PendingBytesMax int64
	// PendingEvents waits in outboxes now, counted for each watch.
	PendingEvents int64
	// PrevKVMissing counts events whose previous value is compacted.
	PrevKVMissing int64
	// Plans counts how often the catch-up chose each way for watches whose
	// history is not in memory.
	PlansIndex, PlansScan int64
	// PlansRevised counts watches that read by the index until so many had
	// joined that a scan was cheaper for all together.
	PlansRevised int64
	// OfferedRevision is the lowest revision offered by all shards.
	OfferedRevision int64
	// VictimNext and UnsyncedNext are about the lowest revision that such a
	// watch still needs, 0 if there is none: of the longest waiting victim of
	// every stream, and of at most 256 unsynced ones.
	VictimNext, UnsyncedNext int64
}

// Way is a way of catching up.
type Way int

// The ways of catching up.
const (
	WayMemory Way = iota // the recent log
	WayIndex             // point reads of what the key index names
	WayScan              // one scan of history for many
	WayCount
)

// String is the way's name in lower case.
func (w Way) String() string { return [...]string{"memory", "index", "scan"}[w] }

// WayStats is what one way of catching up delivered, per watch.
type WayStats struct {
	Events int64
	Bytes  int64
}

// State is where a watch stands.
type State uint8

// The states of a watch.
const (
	// Synced: it has been offered everything the hub was.
	Synced State = iota
	// Unsynced: it is reading history.
	Unsynced
	// Victim: its stream's outbox was full; it keeps its place, not its events.
	Victim

	parked // waits for its start revision; shown as Synced
)

// String is the state's name in lower case.
func (s State) String() string { return [...]string{"synced", "unsynced", "victim", "waiting"}[s] }

// WatchInfo describes one watch, for people and tools.
type WatchInfo struct {
	Stream      int64  // number of the stream in its hub
	StreamName  string // as given to NewStream
	ID          int64
	Key, End    []byte // as a normalized range: End empty is the single key, one byte 0x00 is no end
	State       State
	Next        int64 // the first revision it still wants
	Lag         int64 // revisions between Next and the visible one
	LagBytes    int64 // what was written meanwhile, as far as known
	Policy      Policy
	QueuedBytes int64 // in its stream's outbox, for all of its watches
}
