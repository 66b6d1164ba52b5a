package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

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

// The bounds of a verification in time.
const (
	probeTime   = 12 * time.Second
	wholeTime   = 55 * time.Second
	cleanupTime = 4 * time.Second
)

// probe is one scene, and the rules it is about.
type probe struct {
	name     string
	rules    []string
	renames  map[string]string
	writes   int64 // bytes written, about
	compacts bool
	run      func(s *scene)
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
	r := &runner{subject: subject, facts: subject.Facts(), o: o, tally: newTally()}
	silent := 0
	for i := range probes {
		p := &probes[i]
		if p.compacts && !r.facts.Private && !o.Compaction {
			r.lack(p.rules, "needs --allow-compaction")
			continue
		}
		if silent >= 2 {
			r.lack(p.rules, "the target no longer answers")
			continue
		}
		if o.Began != nil {
			o.Began(p.name)
		}
		err := r.probe(whole, p)
		switch {
		case ctx.Err() != nil:
			return r.report(began), context.Cause(ctx)
		case err == nil:
			silent = 0
		case r.dead(whole):
			silent++
		}
	}
	report := r.report(began)
	report.CleanUp = r.cleanUp(ctx)
	return report, nil
}

type runner struct {
	subject Subject
	facts   Facts
	o       Options
	tally   *tally
}

func (r *runner) lack(rules []string, why string) {
	for _, rule := range rules {
		r.tally.lacking(rule, why)
	}
}

// probe runs one probe and returns why it could not be finished, or nil.
func (r *runner) probe(whole context.Context, p *probe) error {
	ctx, cancel := context.WithTimeout(whole, probeTime)
	defer cancel()
	s := &scene{
		ctx: ctx, subject: r.subject, facts: r.facts, tally: r.tally,
		prefix: r.o.Prefix + p.name + "/", renames: p.renames,
	}
	s.book = newBook(0)
	s.book = newBook(s.rev())
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
	if !s.failed() {
		return nil
	}
	why := s.err.Error()
	if errors.Is(s.err, context.DeadlineExceeded) {
		what, _, _ := strings.Cut(why, ":")
		why = fmt.Sprintf("%s: no answer within %v", what, probeTime)
		if whole.Err() != nil {
			why = fmt.Sprintf("no time was left after %v", wholeTime)
		}
	}
	r.lack(p.rules, why)
	return s.err
}

// dead reports whether the subject does not even answer a read.
func (r *runner) dead(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s := &scene{ctx: ctx, subject: r.subject, prefix: r.o.Prefix}
	s.rev()
	return s.failed()
}

// cleanUp deletes what was written.
func (r *runner) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	end := strings.TrimSuffix(r.o.Prefix, "/") + "0"
	_, err := r.subject.Delete(ctx, []byte(r.o.Prefix), []byte(end))
	return err
}
