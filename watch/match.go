package watch

import "github.com/watchkv/watchkv/mvcc"

// matched is the scratch of one target of a matcher: the events of the
// current batch that it takes, as a list in the matcher's refs.
type matched[T any] struct {
	batch      uint32 // the batch the rest belongs to
	head, tail int32
	count      int32
}

// ref names an event of the batch: commit and place in it.
type ref struct {
	commit, event int32
	next          int32 // in refs; -1 ends
}

// matcher collects which events of a batch each target takes, without
// allocating for each. Targets embed a matched. Used by one goroutine.
type matcher[T any] struct {
	batch   uint32 // 0 is nobody's
	refs    []ref
	touched []T
}

func (m *matcher[T]) begin() {
	if m.batch++; m.batch == 0 {
		m.batch = 1
	}
	m.refs = m.refs[:0]
	clear(m.touched)
	m.touched = m.touched[:0]
}

func (m *matcher[T]) add(target T, at *matched[T], commit, event int) {
	n := int32(len(m.refs))
	m.refs = append(m.refs, ref{int32(commit), int32(event), -1})
	if at.batch != m.batch {
		*at = matched[T]{batch: m.batch, head: n, tail: n, count: 1}
		m.touched = append(m.touched, target)
		return
	}
	m.refs[at.tail].next = n
	at.tail = n
	at.count++
}

// events returns the events of a target as one slice: a commit's own where it
// takes all of that, else a new one, which does not keep the others alive.
func (m *matcher[T]) events(at *matched[T], commits []mvcc.Commit) []mvcc.Event {
	first, last := m.refs[at.head], m.refs[at.tail]
	if whole := commits[first.commit].Events; first.commit == last.commit && int(at.count) == len(whole) {
		return whole
	}
	out := make([]mvcc.Event, 0, at.count)
	for i := at.head; i >= 0; i = m.refs[i].next {
		out = append(out, commits[m.refs[i].commit].Events[m.refs[i].event])
	}
	return out
}

// originals appends to dst the events of a target where they are in commits.
func (m *matcher[T]) originals(dst []*mvcc.Event, at *matched[T], commits []mvcc.Commit) []*mvcc.Event {
	for i := at.head; i >= 0; i = m.refs[i].next {
		dst = append(dst, &commits[m.refs[i].commit].Events[m.refs[i].event])
	}
	return dst
}

// withPrevious returns copies of the events of a target with their previous
// values, found by the originals.
func (m *matcher[T]) withPrevious(at *matched[T], commits []mvcc.Commit, prevs map[*mvcc.Event]*mvcc.KeyValue) []mvcc.Event {
	out := make([]mvcc.Event, 0, at.count)
	for i := at.head; i >= 0; i = m.refs[i].next {
		original := &commits[m.refs[i].commit].Events[m.refs[i].event]
		out = append(out, *original)
		out[len(out)-1].Prev = prevs[original]
	}
	return out
}

// runsOf cuts ascending events into runs of a weight of at most max each,
// between revisions only; the last is complete up to rev, the others up to
// their own last event.
func runsOf(dst []run, events []mvcc.Event, rev, max int64) []run {
	start, bytes := 0, int64(0)
	for i := 0; i < len(events); {
		size, end := int64(0), i
		for end < len(events) && events[end].KV.ModRevision == events[i].KV.ModRevision {
			size += int64(events[end].Size())
			end++
		}
		if i > start && bytes+size+int64(end-start)*eventWeight+runWeight > max {
			dst = append(dst, run{events: events[start:i:i], rev: events[i-1].KV.ModRevision, bytes: bytes})
			start, bytes = i, 0
		}
		bytes += size
		i = end
	}
	return append(dst, run{events: events[start:], rev: rev, bytes: bytes})
}
