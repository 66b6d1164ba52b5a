package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// scene is one probe at work: a prefix of its own, what was written below it,
// and its streams. The first failure ends it: every method called after that
// does nothing. It belongs to the goroutine of its probe, but for writes and
// failures, which any may make.
type scene struct {
	ctx     context.Context
	subject Subject
	facts   Facts
	tally   *tally
	prefix  string // ends in a slash
	book    *book
	lanes   []*lane
	// renames brings breaks of one rule under another, that this scene is
	// about.
	renames map[string]string

	mu  sync.Mutex // guards err; a leaf
	err error
}

func (s *scene) key(name string) []byte { return []byte(s.prefix + name) }

// end is the first key behind all of the scene.
func (s *scene) end() []byte { return []byte(strings.TrimSuffix(s.prefix, "/") + "0") }

// short is a key as a record shows it.
func (s *scene) short(key []byte) string { return strings.TrimPrefix(string(key), s.prefix) }

// failed reports whether the scene has come to its end too early.
func (s *scene) failed() bool { return s.failure() != nil }

func (s *scene) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *scene) fail(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (s *scene) must(what string, err error) {
	if err != nil {
		s.fail(what, err)
	}
}

// broke reports a break; the last line is the one that shows it.
func (s *scene) broke(rule, detail string, record ...Line) {
	s.tally.broke(rule, detail, record)
}

func (s *scene) brokeWatch(w *watched, b *watchtest.Broken) {
	rule, detail := b.ID, b.Detail
	if as := s.renames[rule]; as != "" {
		rule, detail = as, b.ID+": "+b.Detail
	}
	s.tally.broke(rule, detail, shortest(w, b))
}

// open opens a stream.
func (s *scene) open() *lane {
	l := &lane{s: s, open: map[int64]*watched{}, ended: map[int64]*watched{}}
	s.lanes = append(s.lanes, l)
	if !s.failed() {
		var err error
		l.stream, err = s.subject.NewStream(s.ctx)
		s.must("open a stream", err)
	}
	if l.stream == nil {
		l.stream = noStream{}
	}
	return l
}

// prefixed asks for everything of the scene.
func (s *scene) prefixed() Request { return s.between(s.key(""), s.end()) }

func (s *scene) between(key, end []byte) (r Request) {
	r.Key, r.End = key, end
	return r
}

// rev is the revision the store has now.
func (s *scene) rev() int64 {
	if s.failed() {
		return 0
	}
	r, err := s.subject.Range(s.ctx, s.key(""), nil, mvcc.RangeOptions{CountOnly: true})
	s.must("read", err)
	return r.Rev
}

// write does one write and notes it in the book.
func (s *scene) write(do func() (rev int64, err error), changes ...watchtest.Change) (int64, error) {
	w := s.book.begin()
	rev, err := do()
	if err != nil {
		changes = nil
	}
	s.book.end(w, rev, changes)
	return rev, err
}

func (s *scene) put(name, value string) (rev int64) {
	if s.failed() {
		return 0
	}
	rev, err := s.tryPut(name, value)
	s.must("put", err)
	return rev
}

func (s *scene) tryPut(name, value string) (int64, error) {
	key := s.key(name)
	return s.write(func() (int64, error) { return s.subject.Put(s.ctx, key, []byte(value), 0) },
		watchtest.Change{Key: key, Value: []byte(value)})
}

func (s *scene) delete(name string) (rev int64) {
	if s.failed() {
		return 0
	}
	key := s.key(name)
	rev, err := s.write(func() (int64, error) {
		r, err := s.subject.Delete(s.ctx, key, nil)
		return r.Rev, err
	}, watchtest.Change{Type: mvcc.EventDelete, Key: key})
	s.must("delete", err)
	return rev
}

// compact forgets history below rev.
func (s *scene) compact(rev int64) {
	if s.failed() {
		return
	}
	s.book.history.Compacting(rev)
	s.must("compact", s.subject.Compact(s.ctx, rev))
}

// each does the same on every stream at once, and waits.
func (s *scene) each(do func(l *lane)) {
	var group sync.WaitGroup
	for _, l := range s.lanes {
		group.Go(func() { do(l) })
	}
	group.Wait()
}

// settle waits until the store has served history n times anew: whoever waits
// for history, or for word of compaction, has had as many turns since.
func (s *scene) settle(n int) {
	for range n {
		if s.failed() {
			return
		}
		l := &lane{s: s, open: map[int64]*watched{}, ended: map[int64]*watched{}}
		var err error
		l.stream, err = s.subject.NewStream(s.ctx)
		if err != nil {
			s.fail("open a stream", err)
			return
		}
		r := s.prefixed()
		r.StartRevision = s.book.last()
		w := l.create(r)
		l.until("history", func() bool { return w.events > 0 || w.failed || w.check != nil && w.check.Ended() })
		l.stream.Close()
	}
}

// counted counts what a response shows by itself.
func (s *scene) counted(r *Response) {
	together := int64(0)
	for i := 1; i < len(r.Events); i++ {
		if r.Events[i].KV.ModRevision == r.Events[i-1].KV.ModRevision {
			together++
		}
	}
	for _, rule := range []string{"G4", "G8", "E1"} {
		s.tally.saw(rule, together)
	}
}

// fillers is how many writes of a fill are under way at once.
const fillers = 32

// fill makes n puts as fast as it can.
func (s *scene) fill(n int, put func(i int) (name, value string)) {
	if s.failed() {
		return
	}
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, fillers)
	for f := range fillers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && errs[f] == nil; i = next.Add(1) - 1 {
				name, value := put(int(i))
				_, errs[f] = s.tryPut(name, value)
			}
		})
	}
	group.Wait()
	s.must("write a history", errors.Join(errs...))
}

// beside runs fn beside the probe until the returned function is called, which
// waits for it. fn ends when its context does.
func (s *scene) beside(fn func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			s.fail("write beside", err)
		}
	}
}

// close ends the streams and adds up what their watches were checked for.
func (s *scene) close() {
	for _, l := range s.lanes {
		l.stream.Close()
		for _, w := range l.all {
			if w.check != nil {
				s.tally.checked(w.check.Counts())
			}
		}
	}
}

// pause waits, unless the scene has failed.
func (s *scene) pause(d time.Duration) {
	if s.failed() {
		return
	}
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
		s.fail("wait", s.ctx.Err())
	}
}

// noStream stands for a stream that could not be opened.
type noStream struct{}

func (noStream) Create(Request) error                     { return nil }
func (noStream) Cancel(int64) error                       { return nil }
func (noStream) RequestProgress() error                   { return nil }
func (noStream) Recv(context.Context) ([]Response, error) { return nil, nil }
func (noStream) Close() error                             { return nil }
