package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// patience is how long a run waits for what must come by itself before it
// calls that a hang.
const patience = 30 * time.Second

// Variant is what may differ between runs of one list without changing the
// history.
type Variant struct {
	Driver backend.Driver
	Store  mvcc.Config
	Hub    watch.Config
}

// Outcome is what a run came to.
type Outcome struct {
	// Answers is every answer and every history read, as text; equal lists
	// must give equal answers.
	Answers []string
	// Counts is what the checker looked at, Hub the hub's figures summed over
	// all reopens.
	Counts watchtest.Counts
	Hub    watch.Stats
	Rev    int64
}

// Run performs the operations, with data at dir. The error names the
// operation that did not go as the model says, or the promise that broke.
func Run(ops []Op, v Variant, dir string) (Outcome, error) {
	r := &runner{
		variant: v, dir: dir, model: model.New(),
		history: watchtest.NewHistory(watchtest.HistoryConfig{}),
	}
	err := r.run(ops)
	if closing := r.close(); err == nil && closing != nil {
		err = fmt.Errorf("close: %w", closing)
	}
	r.outcome.Counts.Add(r.history.Counts())
	r.outcome.Rev = r.model.Rev()
	return r.outcome, err
}

type runner struct {
	variant Variant
	dir     string

	model   *model.Store
	history *watchtest.History
	outcome Outcome

	engine  backend.Engine
	store   *mvcc.Store
	hub     *watch.Hub
	streams []*consumer
	highest int64 // the highest start any watch waits for
}

func (r *runner) run(ops []Op) error {
	if err := r.open(); err != nil {
		return err
	}
	for i := range ops {
		err := r.step(&ops[i])
		if err == nil {
			err = r.broken()
		}
		if err != nil {
			return &Failure{Index: i, Op: ops[i], Err: err}
		}
	}
	for i, last := range []Op{{Do: "settle"}, {Do: "reopen"}, {Do: "settle"}} {
		if err := r.step(&last); err != nil {
			return &Failure{Index: len(ops) - 1, Op: last, Err: fmt.Errorf("last %d: %w", i, err)}
		}
	}
	return nil
}

// Failure is an operation that went wrong.
type Failure struct {
	Index int // in the list
	Op    Op
	Err   error
}

func (f *Failure) Error() string {
	return fmt.Sprintf("operation %d, %s: %v", f.Index, f.Op, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

func (r *runner) open() (err error) {
	if r.engine == nil {
		if r.engine, err = r.variant.Driver.Open(filepath.Join(r.dir, "data"), backend.Options{}); err != nil {
			return err
		}
	}
	if r.store, err = mvcc.Open(r.engine, r.variant.Store); err != nil {
		return err
	}
	if r.hub, err = watch.NewHub(r.store, r.variant.Hub); err != nil {
		return err
	}
	old := r.streams
	r.streams = nil
	for i := range streamCount {
		c, err := newConsumer(r, i)
		if err != nil {
			return err
		}
		r.streams = append(r.streams, c)
		if old != nil {
			if err := c.resume(old[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// close closes in reverse order; the streams keep what they were told.
func (r *runner) close() error {
	var errs []error
	for _, c := range r.streams {
		errs = append(errs, c.close())
		r.outcome.Counts.Add(c.check.Counts())
	}
	if r.hub != nil {
		s := r.hub.Stats()
		r.outcome.Hub.VictimsEver += s.VictimsEver
		r.outcome.Hub.Offers += s.Offers
		r.outcome.Hub.EventsDispatched += s.EventsDispatched
		for way := range s.CatchUp {
			r.outcome.Hub.CatchUp[way].Events += s.CatchUp[way].Events
		}
		errs = append(errs, r.hub.Close())
		r.hub = nil
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
		r.store = nil
	}
	if r.engine != nil && !r.variant.Driver.Volatile {
		errs = append(errs, r.engine.Close())
		r.engine = nil
	}
	return errors.Join(errs...)
}

func (r *runner) broken() error {
	for _, c := range r.streams {
		if err := c.failed(); err != nil {
			return err
		}
	}
	return nil
}

// step performs one operation on the store and on the model.
func (r *runner) step(op *Op) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch op.Do {
	case "put":
		rev, err := r.store.Put(ctx, []byte(op.Key), []byte(op.Value))
		return r.wrote(rev, err, func(tx *model.Tx) error { tx.Put([]byte(op.Key), []byte(op.Value), 0); return nil })
	case "delete":
		return r.delete(ctx, op)
	case "txn":
		return r.txn(ctx, op)
	case "update":
		return r.update(ctx, op)
	case "range":
		return r.ranges(op)
	case "compact":
		return r.compact(ctx, op)
	case "bump":
		return r.bump(ctx, op)
	case "hash":
		return r.hash(ctx, max(r.store.CompactRev(), r.store.Rev()-op.Back))
	case "watch":
		return r.stream(op).watch(op.request(r.store.Rev()))
	case "rewatch":
		return r.stream(op).rewatch(op.N, op.request(r.store.Rev()))
	case "cancel":
		return r.stream(op).cancel(op.N)
	case "progress":
		return r.stream(op).askProgress()
	case "recv":
		return r.stream(op).receive(op.N)
	case "settle":
		return r.settle()
	case "reopen":
		if err := r.close(); err != nil {
			return err
		}
		if err := r.open(); err != nil {
			return err
		}
		return r.compareHistory()
	}
	return fmt.Errorf("no such operation %q", op.Do)
}

func (r *runner) stream(op *Op) *consumer { return r.streams[op.Stream%len(r.streams)] }

// settle brings every stream to the current revision and checks that all of
// it was delivered.
func (r *runner) settle() error {
	// A watch is owed no progress before its start is reached; one that was
	// resumed starts right above the present.
	for first := true; first || r.store.Rev() < r.highest; first = false {
		if err := r.step(&Op{Do: "put", Key: "fill"}); err != nil {
			return err
		}
	}
	for _, c := range r.streams {
		if err := c.watchProbe(); err != nil {
			return err
		}
		if err := c.settle(r.store.Rev()); err != nil {
			return err
		}
	}
	s := r.hub.Stats()
	if s.Unsynced != 0 || s.Victims != 0 {
		return fmt.Errorf("every stream has progress at %d, but %d watches are unsynced and %d are victims", r.store.Rev(), s.Unsynced, s.Victims)
	}
	return nil
}

// compareHistory holds the whole history of the store against the model's,
// and the present too. It is for a store just opened, whose engine has it all.
func (r *runner) compareHistory() error {
	if r.store.Rev() != r.model.Rev() || r.store.CompactRev() != r.model.CompactRev() {
		return fmt.Errorf("revision %d compacted at %d, the model has %d and %d", r.store.Rev(), r.store.CompactRev(), r.model.Rev(), r.model.CompactRev())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	from := max(r.store.CompactRev(), 2)
	want := r.model.Events(mvcc.SpanOf([]byte{0}, []byte{0}), from)
	for from <= r.store.Rev() {
		chunk, err := r.store.History(ctx, mvcc.HistoryQuery{From: from, To: r.store.Rev(), MaxEvents: 50})
		if err != nil {
			return fmt.Errorf("history from %d: %w", from, err)
		}
		if chunk.Next <= from {
			return fmt.Errorf("history from %d does not move on", from)
		}
		for i := range chunk.Events {
			if len(want) == 0 {
				return fmt.Errorf("history has %s, which the model has not", eventText(chunk.Events[i]))
			}
			w := want[0]
			w.Prev = nil
			if got, want := eventText(chunk.Events[i]), eventText(w); got != want {
				return fmt.Errorf("history has %s, the model has %s", got, want)
			}
			r.note(eventText(w))
			want = want[1:]
		}
		from = chunk.Next
	}
	if len(want) > 0 {
		return fmt.Errorf("history ends before %s, which the model has", eventText(want[0]))
	}
	if err := r.ranges(&Op{Key: "\x00", End: "\x00"}); err != nil {
		return err
	}
	for lease := int64(1); lease < 5; lease++ {
		got, want := fmt.Sprintf("%q", r.store.LeaseKeys(lease)), fmt.Sprintf("%q", r.model.LeaseKeys(lease))
		if got != want {
			return fmt.Errorf("lease %d has the keys %s, the model says %s", lease, got, want)
		}
		r.note("lease", lease, got)
	}
	return r.hash(ctx, r.store.Rev())
}

func (r *runner) hash(ctx context.Context, rev int64) error {
	got, err := r.store.HashKV(ctx, rev)
	if err != nil {
		return fmt.Errorf("hash at %d: %w", rev, err)
	}
	r.note("hash", got.Hash, got.CompactRev, got.HashRev)
	return nil
}

// note keeps an answer.
func (r *runner) note(parts ...any) {
	r.outcome.Answers = append(r.outcome.Answers, strings.TrimSpace(fmt.Sprintln(parts...)))
}
