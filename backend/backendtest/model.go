package backendtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
)

// model is what an engine should hold: a map, and nothing clever.
type model map[backend.Space]map[string]string

func newModel() model {
	m := model{}
	for _, info := range backend.DefaultSpaces() {
		m[info.Space] = map[string]string{}
	}
	return m
}

func (m model) clone() model {
	c := model{}
	for s, entries := range m {
		c[s] = maps.Clone(entries)
	}
	return c
}

func (m model) apply(b *backend.Batch) {
	for _, op := range b.Ops() {
		if op.Kind == backend.OpDelete {
			delete(m[op.Space], string(op.Key))
		} else {
			m[op.Space][string(op.Key)] = string(op.Value)
		}
	}
}

// contents returns [lo, hi) as key, value, key, value...
func (m model) contents(s backend.Space, lo, hi []byte) []string {
	found := []string{}
	for _, key := range slices.Sorted(maps.Keys(m[s])) {
		if bytes.Compare([]byte(key), lo) >= 0 && (hi == nil || bytes.Compare([]byte(key), hi) < 0) {
			found = append(found, key, m[s][key])
		}
	}
	return found
}

// last returns the greatest key of a space.
func (m model) last(s backend.Space) string {
	last := ""
	for key := range m[s] {
		last = max(last, key)
	}
	return last
}

// failer is *testing.T or *rapid.T.
type failer interface {
	require.TestingT
	Helper()
}

// requireSame compares all that a view shows with the model.
func requireSame(t failer, want model, v backend.View) {
	t.Helper()
	for s := range want {
		got := []string{}
		require.NoError(t, v.Scan(s, nil, nil, func(key, value []byte) bool {
			got = append(got, string(key), string(value))
			return true
		}))
		require.Equal(t, want.contents(s, nil, nil), got, "space %d", s)
	}
}

// checkModel applies random batches and compares with the model after each,
// with views kept open, ranges, reopening.
func checkModel(t *testing.T, f *fixture) {
	f.open()
	rapid.Check(t, func(t *rapid.T) {
		clearAll(t, f.engine)
		run := &modelRun{t: t, f: f, model: newModel()}
		steps := rapid.IntRange(1, 12).Draw(t, "steps")
		for range steps {
			run.step()
		}
		run.closeViews()
		run.compare()
	})
}

// clearAll empties the engine, so that checks need not open one each.
func clearAll(t failer, e backend.Engine) {
	v, err := e.View()
	require.NoError(t, err)
	var b backend.Batch
	for _, info := range backend.DefaultSpaces() {
		require.NoError(t, v.Scan(info.Space, nil, nil, func(key, value []byte) bool {
			b.Delete(info.Space, bytes.Clone(key))
			return true
		}))
	}
	require.NoError(t, v.Close())
	require.NoError(t, e.Apply(&b, backend.NoSync))
}

type heldView struct {
	view backend.View
	want model
}

type modelRun struct {
	t     *rapid.T
	f     *fixture
	model model
	held  []heldView
}

func (r *modelRun) step() {
	switch rapid.SampledFrom([]string{"apply", "apply", "apply", "hold", "range", "release", "reopen"}).Draw(r.t, "step") {
	case "apply":
		b := r.batch()
		how := rapid.SampledFrom([]backend.Syncing{backend.NoSync, backend.Sync}).Draw(r.t, "syncing")
		require.NoError(r.t, r.f.engine.Apply(b, how))
		r.model.apply(b)
		r.compare()
	case "hold":
		v, err := r.f.engine.View()
		require.NoError(r.t, err)
		r.held = append(r.held, heldView{v, r.model.clone()})
	case "range":
		r.scanRange()
	case "release":
		r.closeViews()
	case "reopen":
		// One in four: an open costs more than all else here together.
		if r.f.driver.Volatile || rapid.IntRange(0, 3).Draw(r.t, "really") != 0 {
			return
		}
		r.closeViews()
		r.f.close()
		r.f.open()
		r.compare()
	}
}

func (r *modelRun) key() []byte {
	alphabet := []byte{0, 'a', 'b', 0xff}
	return rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 4).Draw(r.t, "key")
}

func (r *modelRun) space() backend.Space {
	return rapid.SampledFrom(backend.DefaultSpaces()).Draw(r.t, "space").Space
}

func (r *modelRun) batch() *backend.Batch {
	var b backend.Batch
	after := r.model.clone() // with the operations so far: what Append must exceed
	for range rapid.IntRange(0, 20).Draw(r.t, "operations") {
		s := r.space()
		var one backend.Batch
		switch rapid.SampledFrom([]backend.OpKind{backend.OpPut, backend.OpAppend, backend.OpDelete}).Draw(r.t, "kind") {
		case backend.OpPut:
			one.Put(s, r.key(), r.value())
		case backend.OpAppend:
			key := after.last(s) + string(r.key())
			if len(key) > 64 { // grown by appends alone; begin again
				one.Delete(s, []byte(after.last(s)))
				break
			}
			one.Append(s, []byte(key), r.value())
		case backend.OpDelete:
			one.Delete(s, r.key())
		}
		after.apply(&one)
		for _, op := range one.Ops() {
			addOp(&b, op)
		}
	}
	return &b
}

func addOp(b *backend.Batch, op backend.Op) {
	switch op.Kind {
	case backend.OpPut:
		b.Put(op.Space, op.Key, op.Value)
	case backend.OpAppend:
		b.Append(op.Space, op.Key, op.Value)
	case backend.OpDelete:
		b.Delete(op.Space, op.Key)
	}
}

func (r *modelRun) value() []byte {
	size := rapid.SampledFrom([]int{0, 1, 10, 300, 5000}).Draw(r.t, "size")
	return bytes.Repeat([]byte{rapid.Byte().Draw(r.t, "fill")}, size)
}

func (r *modelRun) scanRange() {
	s, lo, hi := r.space(), r.key(), r.key()
	if rapid.Bool().Draw(r.t, "to the end") {
		hi = nil
	}
	v, err := r.f.engine.View()
	require.NoError(r.t, err)
	got := []string{}
	require.NoError(r.t, v.Scan(s, lo, hi, func(key, value []byte) bool {
		got = append(got, string(key), string(value))
		return true
	}))
	require.Equal(r.t, r.model.contents(s, lo, hi), got, fmt.Sprintf("[%x, %x)", lo, hi))
	value, ok, err := v.Get(s, nil, lo)
	require.NoError(r.t, err)
	want, exists := r.model[s][string(lo)]
	require.Equal(r.t, exists, ok)
	require.Equal(r.t, want, string(value))
	require.NoError(r.t, v.Close())
}

func (r *modelRun) compare() {
	v, err := r.f.engine.View()
	require.NoError(r.t, err)
	requireSame(r.t, r.model, v)
	require.NoError(r.t, v.Close())
}

// closeViews compares each held view with its moment, then closes it.
func (r *modelRun) closeViews() {
	for _, h := range r.held {
		requireSame(r.t, h.want, h.view)
		require.NoError(r.t, h.view.Close())
	}
	r.held = nil
}
