package bench

import (
	"strings"
	"unicode/utf8"
)

// Word explains what the reports call something, or several things that
// belong together: help words and the foot of the page print these.
type Word struct {
	Name string
	Text string
}

// words in the order a reader meets them.
var words = []Word{
	{"notify latency", "from when a put was due by the schedule to the moment the watcher's consumer has its event."},
	{"acknowledged to event", "from the put's answer to the event; negative when the watcher knew first."},
	{"delivered", "the consumer has read the event's key, revision and value length; events/s counts that, for each watch."},
	{"watcher, stream, outbox", "one range being watched; one consumer with many watchers; its bounded queue."},
	{"synced, unsynced, victim", "has everything offered so far; is reading history; had a full outbox when an event came for it, and keeps its place, not its events. Victim rate: victims a second, and their share of all offers of an event to a watcher."},
	{"catch-up", "reading history for watchers that are behind, from memory, by index, or by one scan for many. Sync throughput: events (or MB) a second delivered to them until all are synced."},
	{"recovery", "from a stalled consumer reading again until all its watchers are synced. Tax: what the healthy pay, in latency, because others are slow."},
	{"revision, compaction", "one committed transaction's number; forgetting history below one. Behind: revisions between the newest and the next this watcher needs."},
	{"intended rate, open loop", "puts are due by the clock, whether or not earlier ones were answered. Late: how long after its due time the generator itself began a put; large means the client is the bottleneck."},
	{"durability", "sync, on disk before the answer; relaxed, at most one interval can be lost."},
	{"p50, p99", "half of all, or 99 of 100, were at least this fast."},
	{"promise kept, broken, not checked", "looked for and not violated; violated, with the record; not looked for, and why. Ours: a promise watchkv adds; shown on other servers, never counted against them."},
	{"no difference", "chance explains it (p ≥ 0.05); it does not mean equal. ±: 95% interval of the median."},
	{"cut short", "stopped before its end; the figures cover what was measured."},
}

// Words lists the words. The slice is the caller's.
func Words() []Word { return append([]Word(nil), words...) }

// WordsText is the list in lines of at most width columns.
func WordsText(width int) string {
	var b strings.Builder
	for _, word := range words {
		line := word.Name + ":"
		for _, w := range strings.Fields(word.Text) {
			if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > width {
				b.WriteString(line + "\n")
				line = " "
			}
			line += " " + w
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
