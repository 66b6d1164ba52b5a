package verify

import (
	"cmp"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/watch/watchtest"
)

// book is what was written below one prefix, made known to the history in the
// order of revisions. Others may write to the same store elsewhere: a revision
// that nobody here was answered with is theirs as soon as no write is under
// way that could still be answered with it.
type book struct {
	history *watchtest.History

	mu      sync.Mutex // guards all below; before the history's own
	writing map[*write]struct{}
	waiting []commit
	acked   int64 // the highest revision answered
	err     error
}

// write is one that is not answered yet. It will get a revision above after.
type write struct{ after int64 }

type commit struct {
	rev     int64
	changes []watchtest.Change
}

// newBook begins after a revision that the store has reached.
func newBook(after int64) *book {
	return &book{
		history: watchtest.NewHistory(watchtest.HistoryConfig{After: after}),
		writing: map[*write]struct{}{}, acked: after,
	}
}

func (b *book) begin() *write {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &write{after: b.acked}
	b.writing[w] = struct{}{}
	return w
}

// end tells what became of a write. After one with an unknown outcome the
// history stands still.
func (b *book) end(w *write, got wrote, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		return // w stays under way
	case len(got.changes) > 0:
		b.acked = max(b.acked, got.rev)
		b.waiting = append(b.waiting, commit(got))
	}
	delete(b.writing, w)
	b.settleLocked()
}

// settleLocked hands over everything that no write under way can precede.
func (b *book) settleLocked() {
	safe := b.acked
	for w := range b.writing {
		safe = min(safe, w.after)
	}
	slices.SortFunc(b.waiting, func(x, y commit) int { return cmp.Compare(x.rev, y.rev) })
	n := 0
	for ; n < len(b.waiting) && b.waiting[n].rev <= safe && b.err == nil; n++ {
		c := &b.waiting[n]
		if c.rev > b.history.Through()+1 {
			b.err = b.history.Skip(c.rev - 1)
		}
		if b.err == nil {
			b.err = b.history.Commit(c.rev, c.changes...)
		}
	}
	b.waiting = slices.Delete(b.waiting, 0, n)
}

// broken is the first answer that contradicts another.
func (b *book) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// last is the highest revision that a write was answered with.
func (b *book) last() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acked
}
