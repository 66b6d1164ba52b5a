// Package mem keeps everything on the heap: the reference engine for tests,
// and the fastest one for data that may be lost.
//
// Entries stand in copy-on-write B-trees, one for each space. The writer owns
// one set of trees; the end of each Apply publishes a frozen clone of the
// trees it touched behind one atomic pointer, and a view is that pointer. So
// views cost nothing, wait for nobody, and keep alive only the nodes that
// later writes replaced.
//
// Close drops the data. There is nothing to reclaim (the garbage collector
// does) and nothing to verify.
package mem

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/watchkv/watchkv/backend"
)

// degree 32: nodes of up to 63 entries; fewer copy less for each write, more
// scan faster.
const degree = 32

// entryOverhead is what an entry takes beside its bytes: two slice headers in
// nodes that are two thirds full, and the rounding of its allocation.
const entryOverhead = 90

// Driver names the engine for the table of engines.
func Driver() backend.Driver {
	return backend.Driver{Name: "mem", Open: Open, Restore: restore, Volatile: true}
}

// Open returns an empty engine. The path is ignored. Options.ReadOnly is an
// error: there are no data to read.
func Open(path string, o backend.Options) (backend.Engine, error) {
	if o.ReadOnly {
		return nil, fmt.Errorf("mem: nothing is kept, so there is nothing to open read-only: %w", backend.ErrReadOnly)
	}
	return open(o)
}

func open(o backend.Options) (*engine, error) {
	_, spaces, err := o.RegisteredSpaces()
	if err != nil {
		return nil, fmt.Errorf("mem: %w", err)
	}
	e := &engine{spaces: spaces}
	published := new(trees)
	for s := range spaces {
		if spaces[s] {
			e.own[s] = btree.NewG(degree, less)
			published[s] = e.own[s].Clone()
		}
	}
	e.published.Store(published)
	return e, nil
}

type entry struct{ key, value []byte }

func less(a, b entry) bool { return bytes.Compare(a.key, b.key) < 0 }

// trees has one tree for each registered space, nil for the others.
type trees [256]*btree.BTreeG[entry]

type engine struct {
	spaces backend.SpaceSet // set by open, never changed
	gate   backend.Gate
	views  atomic.Int64
	bytes  atomic.Int64

	// published is what the next view reads: stored by Apply alone, after the
	// whole batch, and never changed afterwards.
	published atomic.Pointer[trees]

	mu  sync.Mutex // one Apply at a time, guards all below
	own trees      // never seen by a view
}

// Apply copies keys and values; s changes nothing.
func (e *engine) Apply(b *backend.Batch, s backend.Syncing) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("mem: apply: %w", err)
	}
	defer e.gate.Leave()
	if err := b.Check(&e.spaces, 0, 0); err != nil {
		return fmt.Errorf("mem: apply: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next := *e.published.Load()
	var touched backend.SpaceSet
	var grown int64
	for _, op := range b.Ops() {
		grown += e.applyLocked(op)
		touched[op.Space] = true
	}
	for s := range touched {
		if touched[s] {
			next[s] = e.own[s].Clone()
		}
	}
	e.bytes.Add(grown)
	e.published.Store(&next)
	return nil
}

// applyLocked returns by how many bytes the engine grew.
func (e *engine) applyLocked(op backend.Op) int64 {
	tree := e.own[op.Space]
	if op.Kind == backend.OpDelete {
		old, found := tree.Delete(entry{key: op.Key})
		if !found {
			return 0
		}
		return -old.weight()
	}
	buf := make([]byte, len(op.Key)+len(op.Value))
	n := copy(buf, op.Key)
	copy(buf[n:], op.Value)
	put := entry{key: buf[:n:n], value: buf[n:]}
	old, found := tree.ReplaceOrInsert(put)
	if !found {
		return put.weight()
	}
	return put.weight() - old.weight()
}

func (x entry) weight() int64 { return int64(len(x.key)) + int64(len(x.value)) + entryOverhead }

func (e *engine) View() (backend.View, error) {
	if err := e.gate.Enter(); err != nil {
		return nil, fmt.Errorf("mem: view: %w", err)
	}
	e.views.Add(1)
	return &view{engine: e, trees: e.published.Load()}, nil
}

func (e *engine) Stats() backend.Stats {
	n := e.bytes.Load()
	return backend.Stats{
		DiskBytes: n, InUseBytes: n,
		OpenViews: int(e.views.Load()),
		Version:   "mem " + runtime.Version(),
	}
}

func (e *engine) Close() error {
	if err := e.gate.Close(); err != nil {
		return fmt.Errorf("mem: close: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own = trees{}
	e.published.Store(new(trees))
	e.bytes.Store(0)
	return nil
}

type view struct {
	engine *engine
	trees  *trees // nil once closed
}

func (v *view) tree(s backend.Space) (*btree.BTreeG[entry], error) {
	if v.trees == nil {
		return nil, fmt.Errorf("mem: view: %w", backend.ErrClosed)
	}
	if t := v.trees[s]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("mem: view: %w", v.engine.spaces.Check(s))
}

func (v *view) Get(s backend.Space, dst, key []byte) ([]byte, bool, error) {
	tree, err := v.tree(s)
	if err != nil {
		return dst, false, err
	}
	found, ok := tree.Get(entry{key: key})
	if !ok {
		return dst, false, nil
	}
	return append(dst, found.value...), true, nil
}

func (v *view) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) error {
	tree, err := v.tree(s)
	if err != nil {
		return err
	}
	each := func(x entry) bool { return visit(x.key, x.value) }
	if hi == nil {
		tree.AscendGreaterOrEqual(entry{key: lo}, each)
	} else {
		tree.AscendRange(entry{key: lo}, entry{key: hi}, each)
	}
	return nil
}

func (v *view) Close() error {
	if v.trees == nil {
		return fmt.Errorf("mem: view: %w", backend.ErrClosed)
	}
	v.trees = nil
	v.engine.views.Add(-1)
	v.engine.gate.Leave()
	return nil
}
