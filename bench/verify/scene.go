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
	cut     context.CancelFunc // ends ctx
	subject Subject
	facts   Facts
	tally   *tally
	prefix  string // ends in a slash
	book    *book
	lanes   []*lane
	txns    map[int64]int // of txn: how many changes a revision has
	// renames brings breaks of one rule under another, that this scene is
	// about.
	renames  map[string]string
	patience time.Duration   // how long those that nothing holds up may take
	over     <-chan struct{} // of a probe beside the others: closed when they are done
	// compacted is the highest revision that a probe compacted at, of all that
	// run on this subject.
	compacted *atomic.Int64
	most      int64 // of a probe, on a server
	written   atomic.Int64

	mu     sync.Mutex // guards the rest; a leaf
	err    error
	floor  int64           // history from here on was there when it began
	looked map[string]bool // rules for which strangers were looked for
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
	if as := s.renames[rule]; as != "" {
		rule = as
	}
	if !s.strangersCompacted(rule) {
		s.tally.broke(rule, detail, record)
	}
}

// errStrangers: history went away that this scene was about.
var errStrangers = errors.New("somebody else compacted meanwhile")

// strangersCompacted reports whether a break may be owed to a compaction by
// others. It ends the scene then. It asks once for each rule.
func (s *scene) strangersCompacted(rule string) bool {
	s.mu.Lock()
	floor, looked := max(s.floor, s.compacted.Load()), s.looked[rule]
	s.looked[rule] = true
	s.mu.Unlock()
	if s.facts.Private || looked {
		return errors.Is(s.failure(), errStrangers)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), answerTime)
	defer cancel()
	_, err := s.subject.Range(ctx, s.key(""), nil, mvcc.RangeOptions{Rev: floor, CountOnly: true})
	if errors.Is(err, mvcc.ErrCompacted) {
		s.fail("history", errStrangers)
		return true
	}
	return false
}

func (s *scene) brokeWatch(w *watched, b *watchtest.Broken) {
	rule, detail := b.ID, b.Detail
	if rule == "X1" && len(w.got) > 0 && len(w.got[len(w.got)-1].Events) > 0 {
		rule = "X3" // an event after Canceled; X1 is a second Canceled, or one unasked
	}
	if as := s.renames[rule]; as != "" {
		rule, detail = as, b.ID+": "+b.Detail
	}
	if !s.strangersCompacted(rule) {
		s.tally.broke(rule, strings.ReplaceAll(detail, s.prefix, ""), shortest(w, b))
	}
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

// wrote is the answer to a write.
type wrote struct {
	rev     int64
	changes []watchtest.Change // none: it made no revision
}

// write does one write and notes it in the book. The scene ends, as one that
// could not be provoked, when it has made as many as it may.
func (s *scene) write(do func() (wrote, error)) (int64, error) {
	if n := s.written.Add(1); s.most > 0 && n > s.most {
		s.fail("write", fmt.Errorf("%w within %d writes", errNotProvoked, s.most))
		s.cut() // for those who wait
		return 0, s.failure()
	}
	w := s.book.begin()
	got, err := do()
	s.book.end(w, got, err)
	return got.rev, err
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
	return s.write(func() (wrote, error) {
		rev, err := s.subject.Put(s.ctx, key, []byte(value), 0)
		return wrote{rev, []watchtest.Change{{Key: key, Value: []byte(value)}}}, err
	})
}

// delete deletes a key, which is there.
func (s *scene) delete(name string) (rev int64) {
	if s.failed() {
		return 0
	}
	key := s.key(name)
	rev, err := s.write(func() (wrote, error) {
		r, err := s.subject.Delete(s.ctx, key, nil)
		return wrote{r.Rev, []watchtest.Change{{Type: mvcc.EventDelete, Key: key}}}, err
	})
	s.must("delete", err)
	return rev
}

// opPut, opDelete and opDeleteTo are operations for txn.
func (s *scene) opPut(name, value string) mvcc.Op {
	return mvcc.Op{Type: mvcc.OpPut, Key: s.key(name), Value: []byte(value)}
}

func (s *scene) opDelete(name string) mvcc.Op {
	return mvcc.Op{Type: mvcc.OpDeleteRange, Key: s.key(name), PrevKV: true}
}

func (s *scene) opDeleteTo(from, to string) mvcc.Op {
	return mvcc.Op{Type: mvcc.OpDeleteRange, Key: s.key(from), End: s.key(to), PrevKV: true}
}

// txn does operations in one revision.
func (s *scene) txn(ops ...mvcc.Op) (rev int64) {
	if s.failed() {
		return 0
	}
	changed := 0
	rev, err := s.write(func() (wrote, error) {
		r, err := s.subject.Txn(s.ctx, mvcc.Txn{Then: ops})
		changes := changesOf(ops, r.Results)
		changed = len(changes)
		return wrote{r.Rev, changes}, err
	})
	if changed > 0 {
		s.txns[rev] = changed
	}
	s.must("transaction", err)
	return rev
}

// changesOf is what flat operations did, in their order. Deletes must ask for
// what was there.
func changesOf(ops []mvcc.Op, results []mvcc.OpResult) (out []watchtest.Change) {
	for i := range results {
		switch op := &ops[i]; op.Type {
		case mvcc.OpPut:
			out = append(out, watchtest.Change{Key: op.Key, Value: op.Value})
		case mvcc.OpDeleteRange:
			for _, kv := range results[i].Prev {
				out = append(out, watchtest.Change{Type: mvcc.EventDelete, Key: kv.Key})
			}
		}
	}
	return out
}

// compact forgets history below rev.
func (s *scene) compact(rev int64) {
	if s.failed() {
		return
	}
	s.book.history.Compacting(rev)
	// Probes that may compact run one after the other.
	s.compacted.Store(max(rev, s.compacted.Load()))
	for _, l := range s.lanes {
		l.note(everyID, Line{What: "compact", Text: fmt.Sprintf("at %d", rev)})
	}
	s.must("compact", s.subject.Compact(s.ctx, rev))
}

// each does the same on every stream at once, and waits.
func (s *scene) each(do func(i int, l *lane)) {
	var group sync.WaitGroup
	for i, l := range s.lanes {
		group.Go(func() { do(i, l) })
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
	for _, rule := range []string{"G4", "G8"} {
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

// errNotProvoked: the scene did not come about.
var errNotProvoked = errors.New("could not be provoked")

// noStream stands for a stream that could not be opened.
type noStream struct{}

func (noStream) Create(Request) error                     { return nil }
func (noStream) Cancel(int64) error                       { return nil }
func (noStream) RequestProgress() error                   { return nil }
func (noStream) Recv(context.Context) ([]Response, error) { return nil, nil }
func (noStream) Close() error                             { return nil }
