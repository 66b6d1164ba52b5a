package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Options say what a verification may do.
type Options struct {
	// Prefix is what all keys begin with; "" stands for a fresh one below
	// "watchbench/". Everything below it is deleted at the end.
	Prefix string
	// Compaction allows to compact a subject that is not private: all its
	// clients lose their history.
	Compaction bool
	// Allowed are rules whose break is accepted.
	Allowed []string
	// Began is told of each probe that begins; nil: nobody is.
	Began func(probe string)
}

// smallPut is what a put of a counter takes in a server's file, about.
const smallPut = 160

// The bounds of a verification in time.
const (
	probeTime   = 12 * time.Second
	wholeTime   = 55 * time.Second
	cleanupTime = 4 * time.Second
	answerTime  = 3 * time.Second
	patience    = 6 * time.Second
)

// probe is one scene, and the rules it is about.
type probe struct {
	name    string
	rules   []string
	renames map[string]string
	writes  int64 // bytes written, about
	// most is how many writes a server gets from one that writes for as long
	// as it watches; 0: the scene itself bounds them.
	most     int64
	compacts bool
	wire     bool // only where there is etcd's protocol
	inside   bool // only where the inside can be seen
	// limit is how long it may take where that is not probeTime.
	limit time.Duration
	run   func(s *scene)
}

// FreshPrefix is a prefix that nobody has.
func FreshPrefix() string {
	var id [4]byte
	rand.Read(id[:])
	return "watchbench/" + hex.EncodeToString(id[:]) + "/"
}

// Run provokes every rule that can be seen and says what came of each. A
// broken rule is no error; an error is a subject that could not be used at
// all. It takes less than a minute, whatever the subject does.
func Run(ctx context.Context, subject Subject, o Options) (*Report, error) {
	if o.Prefix == "" {
		o.Prefix = FreshPrefix()
	}
	began := time.Now()
	whole, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	r := &runner{subject: subject, facts: subject.Facts(), o: o, tally: newTally(), patience: patience}
	if err := r.answers(whole); err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", r.facts.Name, err)
	}
	r.all(whole)
	report := r.report(began)
	if err := r.cleanUp(ctx); err != nil {
		report.Left = fmt.Sprintf("keys stay under %s (%v); remove them: etcdctl del --prefix %s", o.Prefix, err, o.Prefix)
	}
	return report, context.Cause(ctx)
}

// errLate ends what was waited for beside the other probes.
var errLate = fmt.Errorf("no answer within %v after all others", probeTime)

// all runs every probe.
func (r *runner) all(ctx context.Context) {
	if r.facts.Private {
		r.inTurn(ctx, besides)
		r.inTurn(ctx, probes)
		return
	}
	done := make(chan struct{})
	beside, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for i := range besides {
		group.Go(func() { _ = r.probe(beside, &besides[i], done) }) // the reason is with its rules
	}
	r.inTurn(ctx, probes)
	close(done)
	timer := time.AfterFunc(probeTime, func() { cancel(errLate) })
	defer timer.Stop()
	group.Wait()
}

// inTurn runs probes one after the other.
func (r *runner) inTurn(ctx context.Context, list []probe) {
	silent := 0
	for i := range list {
		p := &list[i]
		switch {
		case ctx.Err() != nil:
			r.lack(p.rules, over(ctx))
			continue
		case silent >= 2:
			r.lack(p.rules, "the target no longer answers")
			continue
		case p.compacts && !r.facts.Private && !r.o.Compaction:
			r.lack(p.rules, needsCompaction)
			continue
		case p.wire && !r.facts.Wire || p.inside && r.facts.Wire:
			continue
		}
		if r.o.Began != nil {
			r.o.Began(p.name)
		}
		if err := r.probe(ctx, p, nil); err != nil && r.answers(ctx) != nil {
			silent++
		} else {
			silent = 0
		}
	}
}

type runner struct {
	subject  Subject
	facts    Facts
	o        Options
	tally    *tally
	patience time.Duration
	// compacted is the highest revision that a probe compacted at: those
	// beside it must not take that for somebody else's.
	compacted atomic.Int64
}

func (r *runner) lack(rules []string, why string) {
	for _, rule := range rules {
		r.tally.lacking(rule, why)
	}
}

// probe runs one probe and returns why it could not be finished, or nil.
func (r *runner) probe(whole context.Context, p *probe, done <-chan struct{}) error {
	limit := probeTime
	switch {
	case done != nil:
		limit = wholeTime
	case p.limit > 0:
		limit = p.limit
	}
	ctx, cancel := context.WithTimeout(whole, limit)
	defer cancel()
	s := &scene{
		ctx: ctx, cut: cancel, subject: r.subject, facts: r.facts, tally: r.tally,
		prefix: r.o.Prefix + p.name + "/", renames: p.renames, over: done, patience: r.patience, looked: map[string]bool{}, txns: map[int64]int{},
		compacted: &r.compacted,
	}
	if !r.facts.Private {
		s.most = p.most
	}
	s.floor = s.rev()
	s.book = newBook(s.floor)
	if !s.failed() {
		p.run(s)
	}
	s.close()
	var b *watchtest.Broken
	if err := s.book.broken(); errors.As(err, &b) {
		r.tally.broke(b.ID, b.Detail, []Line{{Mark: true, What: "write", Text: b.Detail}})
	} else if err != nil {
		s.fail("history", err)
	}
	err := s.failure()
	if err != nil {
		r.lack(p.rules, why(err, whole, limit))
	}
	return err
}

// why a probe could not be finished, in a few words.
func why(err error, whole context.Context, limit time.Duration) string {
	switch what, _, _ := strings.Cut(err.Error(), ":"); {
	case whole.Err() != nil:
		return over(whole)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Sprintf("%s: no answer within %v", what, limit)
	case errors.Is(err, errNotProvoked), errors.Is(err, errStrangers):
		return errors.Unwrap(err).Error()
	}
	return err.Error()
}

// over says why nothing more can be looked at.
func over(whole context.Context) string {
	switch {
	case errors.Is(context.Cause(whole), errLate):
		return errLate.Error()
	case errors.Is(whole.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("no time was left after %v", wholeTime)
	}
	return "stopped"
}

// answers reports whether the subject answers a read.
func (r *runner) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := r.subject.Range(ctx, []byte(r.o.Prefix), nil, mvcc.RangeOptions{CountOnly: true})
	return err
}

// cleanUp deletes what was written.
func (r *runner) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	end := strings.TrimSuffix(r.o.Prefix, "/") + "0"
	_, err := r.subject.Delete(ctx, []byte(r.o.Prefix), []byte(end))
	return err
}

// Plan is what a verification of a subject would write, in bytes, and whether
// it would compact.
func Plan(f Facts, o Options) (bytes int64, compacts bool) {
	for _, p := range slices.Concat(probes, besides) {
		switch {
		case p.wire && !f.Wire, p.inside && f.Wire:
		case p.compacts && !f.Private && !o.Compaction:
		default:
			bytes += max(p.writes, 64<<10)
			compacts = compacts || p.compacts
		}
	}
	return bytes, compacts
}
