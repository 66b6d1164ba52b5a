package mvcc

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
)

// slowEngine holds Apply back while its gate is closed, and states its own
// largest batch. Views and the rest are the inner engine's.
type slowEngine struct {
	backend.Engine
	maxBytes int64
	maxOps   int

	mu      sync.Mutex
	gate    chan struct{} // Apply waits for it to be closed; nil: it does not
	from    int           // the first call that waits
	entered int           // calls of Apply
	batches []int         // operations of each batch
}

func (e *slowEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	if e.maxBytes > 0 && b.Size() > e.maxBytes || e.maxOps > 0 && b.Len() > e.maxOps {
		return backend.ErrBatchTooLarge
	}
	if gate := e.enter(b.Len()); gate != nil {
		<-gate
	}
	return e.Engine.Apply(b, s)
}

func (e *slowEngine) enter(ops int) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entered++
	e.batches = append(e.batches, ops)
	if e.entered < e.from {
		return nil
	}
	return e.gate
}

// awaitApply returns when Apply was called n times since the engine was made.
func (e *slowEngine) awaitApply(n int) {
	await(func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.entered >= n
	})
}

// await returns once state says so, which some other goroutine brings about.
func await(state func() bool) {
	for !state() {
		runtime.Gosched()
	}
}

// awaitStaged returns once a transaction has staged revision rev.
func awaitStaged(s *Store, rev int64) {
	await(func() bool {
		s.writer.Lock()
		defer s.writer.Unlock()
		return s.next > rev
	})
}

func (e *slowEngine) Stats() backend.Stats {
	st := e.Engine.Stats()
	st.MaxBatchBytes, st.MaxBatchOps = e.maxBytes, e.maxOps
	return st
}

// hold makes the next Apply wait until the returned function is called.
func (e *slowEngine) hold() (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gate := make(chan struct{})
	e.gate = gate
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		close(gate)
		e.gate = nil
	}
}

// takeBatches returns the sizes of the batches since the last call.
func (e *slowEngine) takeBatches() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.batches
	e.batches = nil
	return got
}

var errDisk = errors.New("the disk is on fire")

// crash ends a store as a power failure would: nothing that it has not written
// yet is written any more.
func crash(t *testing.T, s *Store, engine *backendtest.Faulty) {
	t.Helper()
	engine.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	// A store with nothing left to write does not notice.
	if err := s.Close(); err != nil {
		require.ErrorIs(t, err, errDisk)
	}
}
