package mvcc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
)

var ctx = context.Background()

type stepKind int

const (
	stepPut stepKind = iota
	stepDelete
	stepUpdate
	stepTxn
	stepCompact
	stepBump
	stepReopen
	stepCheck
	numSteps
)

// step is one thing done to the store and to the model. Revisions are given
// in thousandths of what is there, so that a list of steps means something on
// any history.
type step struct {
	kind      stepKind
	key, end  []byte
	value     []byte
	permille  int64
	writes    []mvcc.Op // stepUpdate: puts and deletes
	fail      bool      // stepUpdate: the closure ends with an error
	nested    bool      // stepUpdate: txn runs in it, before the writes
	beside    []string  // stepUpdate: records outside history that it sets, or deletes
	txn       mvcc.Txn
	switchDur bool // stepReopen: with the other durability
}

var (
	genKey   = rapid.Map(rapid.SampledFrom([]string{"a", "ab", "b", "c", "ca", "d", "\x00", "\xff"}), func(s string) []byte { return []byte(s) })
	genEnd   = rapid.Map(rapid.SampledFrom([]string{"", "", "", "b", "cb", "e", "\x00"}), func(s string) []byte { return []byte(s) })
	genValue = rapid.SliceOfN(rapid.Byte(), 0, 6)
)

func genOp(depth int) *rapid.Generator[mvcc.Op] {
	return rapid.Custom(func(t *rapid.T) mvcc.Op {
		kinds := []mvcc.OpType{mvcc.OpPut, mvcc.OpPut, mvcc.OpPut, mvcc.OpDeleteRange, mvcc.OpRange}
		if depth > 0 {
			kinds = append(kinds, mvcc.OpTxn)
		}
		op := mvcc.Op{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Key: genKey.Draw(t, "key")}
		switch op.Type {
		case mvcc.OpPut:
			op.Value = genValue.Draw(t, "value")
			op.Lease = rapid.Int64Range(0, 2).Draw(t, "lease")
			op.PrevKV = rapid.Bool().Draw(t, "prev")
		case mvcc.OpDeleteRange:
			op.End = genEnd.Draw(t, "end")
			op.PrevKV = rapid.Bool().Draw(t, "prev")
		case mvcc.OpRange:
			op.End = genEnd.Draw(t, "end")
			op.Range = mvcc.RangeOptions{
				Limit:     rapid.Int64Range(0, 3).Draw(t, "limit"),
				CountOnly: rapid.Bool().Draw(t, "count"),
				KeysOnly:  rapid.Bool().Draw(t, "keys"),
			}
		case mvcc.OpTxn:
			txn := genTxn(depth-1).Draw(t, "txn")
			op.Txn = &txn
		}
		return op
	})
}

func genTxn(depth int) *rapid.Generator[mvcc.Txn] {
	return rapid.Custom(func(t *rapid.T) mvcc.Txn {
		compare := rapid.Custom(func(t *rapid.T) mvcc.Compare {
			return mvcc.Compare{
				Target:   mvcc.Target(rapid.IntRange(0, 4).Draw(t, "target")),
				Relation: mvcc.Relation(rapid.IntRange(0, 3).Draw(t, "relation")),
				Key:      genKey.Draw(t, "key"), End: genEnd.Draw(t, "end"),
				Value: genValue.Draw(t, "value"), Int: rapid.Int64Range(0, 5).Draw(t, "int"),
			}
		})
		return mvcc.Txn{
			If:   rapid.SliceOfN(compare, 0, 2).Draw(t, "if"),
			Then: rapid.SliceOfN(genOp(depth), 0, 3).Draw(t, "then"),
			Else: rapid.SliceOfN(genOp(depth), 0, 3).Draw(t, "else"),
		}
	})
}

var genStep = rapid.Custom(func(t *rapid.T) step {
	kinds := []stepKind{stepPut, stepPut, stepPut, stepDelete}
	for k := stepKind(0); k < numSteps; k++ {
		kinds = append(kinds, k)
	}
	return step{
		kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
		key:  genKey.Draw(t, "key"), end: genEnd.Draw(t, "end"), value: genValue.Draw(t, "value"),
		permille:  rapid.Int64Range(0, 1000).Draw(t, "permille"),
		writes:    rapid.SliceOfN(genOp(0), 0, 4).Draw(t, "writes"),
		fail:      rapid.IntRange(0, 3).Draw(t, "fail") == 0,
		nested:    rapid.Bool().Draw(t, "nested"),
		beside:    rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3"}), 0, 3).Draw(t, "beside"),
		txn:       genTxn(2).Draw(t, "txn"),
		switchDur: rapid.Bool().Draw(t, "switch"),
	}
})

// world is a store on some engine beside the model.
type world struct {
	t       require.TestingT
	open    func() backend.Engine // nil keeps the engine over a reopen
	engine  backend.Engine
	relaxed bool
	store   *mvcc.Store
	model   *model.Store
	beside  map[string]string // as the model has it
}

func (w *world) start() {
	cfg := mvcc.Config{RecentBytes: 2000}
	if w.relaxed {
		cfg.Durability = mvcc.Relaxed(time.Millisecond)
	}
	s, err := mvcc.Open(w.engine, cfg)
	require.NoError(w.t, err)
	w.store = s
}

func (w *world) stop() { require.NoError(w.t, w.store.Close()) }

var errSpoilt = errors.New("spoilt")

func (w *world) do(st step) {
	t, s, m := w.t, w.store, w.model
	switch st.kind {
	case stepPut:
		got, err := s.Put(ctx, st.key, st.value)
		require.NoError(t, err)
		want, _ := m.Update(func(tx *model.Tx) error { tx.Put(st.key, st.value, 0); return nil })
		require.Equal(t, want, got)
	case stepDelete:
		got, err := s.DeleteRange(ctx, st.key, st.end)
		require.NoError(t, err)
		var gone int
		want, _ := m.Update(func(tx *model.Tx) error { gone = len(tx.Delete(mvcc.SpanOf(st.key, st.end))); return nil })
		require.Equal(t, mvcc.DeleteResult{Deleted: int64(gone), Rev: want}, got)
	case stepUpdate:
		w.update(st)
	case stepTxn:
		got, err := s.Txn(ctx, st.txn)
		want, wantErr := m.Txn(st.txn)
		require.Equal(t, wantErr != nil, err != nil, "%v against %v", err, wantErr)
		if err != nil {
			require.ErrorIs(t, err, mvcc.ErrDuplicateKey)
			return
		}
		require.Equal(t, plainTxn(want, want.Rev), plainTxn(got, got.Rev))
	case stepCompact:
		rev := m.Rev() * st.permille / 1000
		require.Equal(t, m.Compact(rev), s.Compact(ctx, rev))
	case stepBump:
		by := st.permille%5 + 1
		require.NoError(t, s.Bump(ctx, by))
		m.Bump(by)
	case stepReopen:
		w.stop()
		if w.open != nil {
			require.NoError(t, w.engine.Close())
			w.engine = w.open()
		}
		w.relaxed = w.relaxed != st.switchDur
		w.start()
	case stepCheck:
		w.check()
	}
}

// update runs the same writes in a closure of the store and of the model.
func (w *world) update(st step) {
	var wantTxn mvcc.TxnResult
	var wantKeys [][]byte
	want, wantErr := w.model.Update(func(tx *model.Tx) (err error) {
		if st.nested {
			if wantTxn, err = tx.Txn(st.txn); err != nil {
				return err
			}
		}
		for _, op := range st.writes {
			span := mvcc.SpanOf(op.Key, op.End)
			switch op.Type {
			case mvcc.OpPut:
				if !tx.Written(op.Key) {
					tx.Put(op.Key, op.Value, op.Lease)
				}
			case mvcc.OpDeleteRange:
				if !writtenAlive(tx, span) {
					tx.Delete(span)
				}
			}
		}
		for _, key := range st.beside {
			if len(tx.Beside()[key])%2 == 0 {
				tx.PutBeside(key, tx.Beside()[key]+"v")
			} else {
				tx.DeleteBeside(key)
			}
		}
		wantKeys = tx.LeaseKeys(1)
		if st.fail {
			return errSpoilt
		}
		return nil
	})
	beside := maps.Clone(w.beside)
	got, err := w.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		if st.nested {
			got, err := tx.Txn(st.txn)
			if err != nil {
				require.ErrorIs(w.t, err, mvcc.ErrDuplicateKey)
				return err
			}
			require.Equal(w.t, plainTxn(wantTxn, 0), plainTxn(got, 0))
		}
		for _, key := range st.beside {
			if len(beside[key])%2 == 0 {
				beside[key] += "v"
				require.NoError(w.t, tx.PutBeside(backend.SpaceLease, []byte(key), []byte(beside[key])))
			} else {
				delete(beside, key)
				require.NoError(w.t, tx.DeleteBeside(backend.SpaceLease, []byte(key)))
			}
		}
		for _, op := range st.writes {
			var err error
			switch op.Type {
			case mvcc.OpPut:
				err = tx.Put(op.Key, op.Value, op.Lease)
			case mvcc.OpDeleteRange:
				_, err = tx.DeleteRange(op.Key, op.End)
			case mvcc.OpRange:
				_, err = tx.Range(op.Key, op.End, op.Range)
			}
			if err != nil && !errors.Is(err, mvcc.ErrDuplicateKey) {
				return err
			}
		}
		require.Equal(w.t, wantKeys, tx.LeaseKeys(1))
		if st.fail {
			return errSpoilt
		}
		return nil
	})
	if errors.Is(wantErr, mvcc.ErrDuplicateKey) {
		require.ErrorIs(w.t, err, mvcc.ErrDuplicateKey)
		return
	}
	require.Equal(w.t, wantErr, err)
	require.Equal(w.t, want, got)
	if err == nil {
		w.beside = beside
	}
}

// writtenAlive reports whether a delete would meet a key that was put in the
// transaction.
func writtenAlive(tx *model.Tx, span mvcc.Span) bool {
	for _, kv := range tx.Keys(span) {
		if tx.Written(kv.Key) {
			return true
		}
	}
	return false
}

// plainTxn leaves of an answer what both must agree on.
func plainTxn(r mvcc.TxnResult, rev int64) mvcc.TxnResult {
	r.Rev = rev
	for i := range r.Results {
		o := &r.Results[i]
		o.Range.Rev = 0
		o.Range.KVs = plainKVs(o.Range.KVs)
		o.Prev = plainKVs(o.Prev)
		if o.Txn != nil {
			nested := plainTxn(*o.Txn, rev)
			o.Txn = &nested
		}
	}
	return r
}

func plainKV(kv mvcc.KeyValue) mvcc.KeyValue {
	if len(kv.Value) == 0 {
		kv.Value = nil
	}
	return kv
}

func plainKVs(kvs []mvcc.KeyValue) []mvcc.KeyValue {
	var out []mvcc.KeyValue
	for _, kv := range kvs {
		out = append(out, plainKV(kv))
	}
	return out
}

// check compares everything that can be read.
func (w *world) check() {
	t, s, m := w.t, w.store, w.model
	require.Equal(t, m.Rev(), s.Rev())
	require.Equal(t, m.CompactRev(), s.CompactRev())
	first := max(m.CompactRev(), 1)
	for rev := first; rev <= m.Rev(); rev += 1 + (m.Rev()-first)/10 {
		for _, o := range []mvcc.RangeOptions{{Rev: rev}, {Rev: rev, Limit: 2, KeysOnly: true}} {
			want, err := m.Range([]byte{0}, []byte{0}, o)
			require.NoError(t, err)
			got, err := s.Range([]byte{0}, []byte{0}, o)
			require.NoError(t, err)
			want.KVs, got.KVs = plainKVs(want.KVs), plainKVs(got.KVs)
			require.Equal(t, want, got)
		}
	}
	_, err := s.Range([]byte("a"), nil, mvcc.RangeOptions{Rev: m.Rev() + 1})
	require.ErrorIs(t, err, mvcc.ErrFutureRevision)
	if first > 1 {
		_, err := s.Range([]byte("a"), nil, mvcc.RangeOptions{Rev: first - 1})
		require.ErrorIs(t, err, mvcc.ErrCompacted)
	}
	if _, err := s.HashKV(ctx, 0); err != nil { // also makes all of Relaxed applied
		require.NoError(t, err)
	}
	w.checkEvents(first)
	for lease := int64(1); lease < 3; lease++ {
		require.Equal(t, m.LeaseKeys(lease), s.LeaseKeys(lease))
	}
	for {
		got := map[string]string{}
		require.NoError(t, s.ScanBeside(backend.SpaceLease, func(key, value []byte) bool {
			got[string(key)] = string(value)
			return true
		}))
		if w.relaxed && !maps.Equal(m.Beside(), got) {
			runtime.Gosched() // durable within the interval, or this never ends
			continue
		}
		require.Equal(t, m.Beside(), got)
		return
	}
}

func (w *world) checkEvents(first int64) {
	t, s, m := w.t, w.store, w.model
	everything := mvcc.SpanOf([]byte{0}, []byte{0})
	chunk, err := s.History(ctx, mvcc.HistoryQuery{From: first, To: m.Rev()})
	require.NoError(t, err)
	require.Equal(t, m.Rev()+1, chunk.Next)
	want := m.Events(everything, first)
	sameEvents(t, want, chunk.Events)
	var revs []mvcc.KeyRev
	for _, e := range chunk.Events {
		kr, ok := s.VersionAt(e.KV.Key, e.KV.ModRevision)
		require.True(t, ok)
		require.Equal(t, e.KV.ModRevision, kr.Main)
		revs = append(revs, kr)
	}
	inIndex, cut, _ := s.Revisions(nil, everything, first, m.Rev(), mvcc.RevLimits{})
	require.False(t, cut)
	require.Len(t, inIndex, len(want))
	_, err = s.ReadRevisions(ctx, nil, revs)
	require.NoError(t, err)

	commits, from, ok := s.Recent(nil, s.RecentFirst(), 1000)
	require.True(t, ok)
	var recent []mvcc.Event
	for _, c := range commits {
		recent = append(recent, c.Events...)
	}
	sameEvents(t, m.Events(everything, from), recent)

	var evs []*mvcc.Event
	for i := range chunk.Events {
		evs = append(evs, &chunk.Events[i])
	}
	prev, _, err := s.Previous(ctx, nil, evs)
	require.NoError(t, err)
	for i, e := range want {
		switch {
		case e.KV.ModRevision <= w.model.CompactRev() || e.Prev == nil || e.Type == mvcc.EventPut && e.KV.CreateRevision == e.KV.ModRevision:
			require.Nil(t, prev[i], "event %d at %d", i, e.KV.ModRevision)
		default:
			require.NotNil(t, prev[i], "event %d at %d", i, e.KV.ModRevision)
			require.Equal(t, plainKV(*e.Prev), plainKV(*prev[i]))
		}
	}
}

func sameEvents(t require.TestingT, want, got []mvcc.Event) {
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Type, got[i].Type)
		require.Equal(t, plainKV(want[i].KV), plainKV(got[i].KV))
	}
}

// The store does what the naive one does, over random puts, deletes,
// transactions, compactions, bumps and restarts, in both durabilities.
func TestModel(t *testing.T) {
	d, ok := engines.Lookup("mem")
	require.True(t, ok)
	rapid.Check(t, func(t *rapid.T) {
		engine, err := d.Open("", backend.Options{})
		require.NoError(t, err)
		w := &world{t: t, engine: engine, model: model.New(), beside: map[string]string{}, relaxed: rapid.Bool().Draw(t, "relaxed")}
		w.start()
		defer func() {
			w.stop()
			require.NoError(t, engine.Close())
		}()
		for _, st := range rapid.SliceOfN(genStep, 1, 60).Draw(t, "steps") {
			w.do(st)
		}
		w.check()
	})
}

// The same on engines that keep data, reopening them too. A failure names the
// seed, which makes the same steps each time.
func TestModel_OnDisk(t *testing.T) {
	for _, d := range engines.All() {
		if d.Volatile {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			for seed := range 3 {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					dir := t.TempDir()
					open := func() backend.Engine {
						engine, err := d.Open(dir, backend.Options{})
						require.NoError(t, err)
						return engine
					}
					w := &world{t: t, open: open, engine: open(), model: model.New(), beside: map[string]string{}, relaxed: seed%2 == 1}
					w.start()
					for _, st := range rapid.SliceOfN(genStep, 60, 60).Example(seed) {
						w.do(st)
					}
					w.check()
					w.stop()
					require.NoError(t, w.engine.Close())
				})
			}
		})
	}
}
