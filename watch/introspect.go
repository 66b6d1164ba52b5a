package watch

// Stats reads the hub's figures.
func (h *Hub) Stats() Stats {
	var sum Stats
	for i, sh := range h.shards {
		s := sh.readStats()
		sum.Streams += s.Streams
		sum.Synced += s.Synced
		sum.Unsynced += s.Unsynced
		sum.Victims += s.Victims
		sum.VictimsEver += s.VictimsEver
		sum.Offers += s.Offers
		sum.EventsDispatched += s.EventsDispatched
		for w := range sum.CatchUp {
			sum.CatchUp[w].Events += s.CatchUp[w].Events
			sum.CatchUp[w].Bytes += s.CatchUp[w].Bytes
		}
		sum.ChunksRead += s.ChunksRead
		sum.EntriesScanned += s.EntriesScanned
		sum.PendingBytes += s.PendingBytes
		sum.PendingEvents += s.PendingEvents
		sum.PendingBytesMax = max(sum.PendingBytesMax, s.PendingBytesMax)
		sum.PrevKVMissing += s.PrevKVMissing
		sum.PlansIndex += s.PlansIndex
		sum.PlansScan += s.PlansScan
		sum.PlansRevised += s.PlansRevised
		if i == 0 || s.OfferedRevision < sum.OfferedRevision {
			sum.OfferedRevision = s.OfferedRevision
		}
		sum.VictimNext = lower(sum.VictimNext, s.VictimNext)
		sum.UnsyncedNext = lower(sum.UnsyncedNext, s.UnsyncedNext)
	}
	return sum
}

func (sh *shard) readStats() Stats {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.stats
	s.Streams = len(sh.streams)
	for _, f := range sh.waiting {
		if !f.w.dead() {
			s.Synced++
		}
	}
	for st := range sh.streams {
		bytes, peak, events := st.box.pending()
		s.PendingEvents += events
		s.PendingBytes += bytes
		s.PendingBytesMax = max(s.PendingBytesMax, peak)
		for _, victim := range st.victims {
			if victim.live() > 0 {
				s.VictimNext = lower(s.VictimNext, victim.behind.next)
				break // the others wait for less long
			}
		}
	}
	for i := 0; i < len(sh.unsynced); i += 1 + len(sh.unsynced)/unsyncedLooks {
		if st := sh.unsynced[i]; !st.gone && st.state == Unsynced && st.live() > 0 {
			s.UnsyncedNext = lower(s.UnsyncedNext, st.behind.next)
		}
	}
	s.OfferedRevision = sh.offered
	return s
}

// unsyncedLooks bounds how many seats Stats looks at under the lock.
const unsyncedLooks = 256

// lower is the lower of two revisions; 0 is none.
func lower(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Watches describes every watch, in no order; those of one stream as of one
// moment. It holds up dispatch while it copies a stream, about a microsecond
// for each of its watches: for people, not for a tight loop.
func (h *Hub) Watches() []WatchInfo {
	var out []WatchInfo
	for _, sh := range h.shards {
		out = sh.describe(out)
	}
	return out
}

func (sh *shard) describe(out []WatchInfo) []WatchInfo {
	for _, s := range sh.openStreams() {
		out = sh.describeStream(out, s)
	}
	return out
}

func (sh *shard) describeStream(out []WatchInfo, s *Stream) []WatchInfo {
	current := sh.source.Rev()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return out
	}
	queued, _, _ := s.box.pending()
	for _, at := range s.watches.all() {
		w := s.watches.watcher(at)
		if w == nil {
			w = &sh.wakenLocked(rangeRef(at)).watcher // as it would be
		}
		out = append(out, sh.describeLocked(s, w, current, queued))
	}
	return out
}

func (sh *shard) describeLocked(s *Stream, w *watcher, current, queued int64) WatchInfo {
	st := w.seat
	keys := st.group.keys.clone()
	info := WatchInfo{
		Stream: s.number, StreamName: s.name, ID: w.id,
		Key: keys.span().Lo, End: keys.end(),
		State: st.state, Next: w.start, Policy: st.group.policy, QueuedBytes: queued,
	}
	switch st.state {
	case parked:
		info.State = Synced
	case Synced:
		info.Next = sh.offered + 1
	default:
		info.Next = st.behind.next
		_, info.LagBytes = sh.lagLocked(st)
	}
	info.Lag = max(current+1-info.Next, 0)
	return info
}
