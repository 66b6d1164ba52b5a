package backendtest

import (
	"sync"

	"github.com/watchkv/watchkv/backend"
)

// Call is a kind of call that Faulty counts.
type Call int

const (
	CallApply Call = iota
	CallView
	CallGet
	CallScan
	numCalls
)

// Fault is one failing call.
type Fault struct {
	Call Call
	N    int   // which call of its kind fails: 1 is the first
	Err  error // what it returns
	// After lets the call take effect before it fails: an Apply that failed
	// although its batch is there, a Scan that breaks after its last entry.
	// A View takes no effect.
	After bool
}

// Faulty is an engine that fails the calls it is told to, counted over the
// engine and all its views. It has no abilities. Safe for concurrent use as
// far as the engine in it is.
type Faulty struct {
	inner backend.Engine

	mu     sync.Mutex // guards all below
	faults []Fault
	calls  [numCalls]int
}

// NewFaulty wraps an engine, which Faulty's Close closes.
func NewFaulty(inner backend.Engine, faults ...Fault) *Faulty {
	return &Faulty{inner: inner, faults: faults}
}

// Inject adds a fault; its N counts the calls from now on.
func (f *Faulty) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.N += f.calls[fault.Call]
	f.faults = append(f.faults, fault)
}

// Calls returns the number of calls of a kind so far, failed ones included.
func (f *Faulty) Calls(c Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[c]
}

// count returns the fault that this call meets, if any.
func (f *Faulty) count(c Call) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[c]++
	for _, fault := range f.faults {
		if fault.Call == c && fault.N == f.calls[c] {
			return fault, true
		}
	}
	return Fault{}, false
}

// Apply applies, or fails before or after.
func (f *Faulty) Apply(b *backend.Batch, s backend.Syncing) error {
	fault, hit := f.count(CallApply)
	if hit && !fault.After {
		return fault.Err
	}
	if err := f.inner.Apply(b, s); err != nil {
		return err
	}
	return fault.Err
}

// View opens a view whose calls are counted.
func (f *Faulty) View() (backend.View, error) {
	if fault, hit := f.count(CallView); hit {
		return nil, fault.Err
	}
	v, err := f.inner.View()
	if err != nil {
		return nil, err
	}
	return &faultyView{View: v, engine: f}, nil
}

// Stats is the engine's own.
func (f *Faulty) Stats() backend.Stats { return f.inner.Stats() }

// Close is the engine's own.
func (f *Faulty) Close() error { return f.inner.Close() }

type faultyView struct {
	backend.View
	engine *Faulty
}

func (v *faultyView) Get(s backend.Space, dst, key []byte) ([]byte, bool, error) {
	if fault, hit := v.engine.count(CallGet); hit {
		return dst, false, fault.Err
	}
	return v.View.Get(s, dst, key)
}

func (v *faultyView) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) error {
	fault, hit := v.engine.count(CallScan)
	if hit && !fault.After {
		return fault.Err
	}
	if err := v.View.Scan(s, lo, hi, visit); err != nil {
		return err
	}
	return fault.Err
}
