package mvcc

import (
	"sync"

	"github.com/watchkv/watchkv/backend"
)

// point is a place in a read where a test does something of its own.
type point int

const (
	beforeView point = iota // after the look-up in the index
	afterView               // the view is open, the compact revision not looked at yet
	beforeGet               // and it was looked at
	inScan                  // at the first entry
)

func (p point) String() string {
	return [...]string{"before the view", "after the view", "before a get", "in a scan"}[p]
}

// stepEngine runs a step of the test's own, once, on the goroutine that comes
// to its point first. Readers hold no lock there, so the step may call the
// store.
type stepEngine struct {
	backend.Engine

	mu    sync.Mutex
	steps map[point]func()
}

func (e *stepEngine) at(p point, step func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.steps = map[point]func(){p: step}
}

// reach runs the step of p, if it is still to come.
func (e *stepEngine) reach(p point) {
	e.mu.Lock()
	step := e.steps[p]
	delete(e.steps, p)
	e.mu.Unlock()
	if step != nil {
		step()
	}
}

// pending tells that a step was never reached.
func (e *stepEngine) pending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.steps) > 0
}

func (e *stepEngine) View() (backend.View, error) {
	e.reach(beforeView)
	v, err := e.Engine.View()
	if err != nil {
		return nil, err
	}
	e.reach(afterView)
	return &stepView{View: v, engine: e}, nil
}

type stepView struct {
	backend.View
	engine *stepEngine
}

func (v *stepView) Get(s backend.Space, dst, key []byte) ([]byte, bool, error) {
	v.engine.reach(beforeGet)
	return v.View.Get(s, dst, key)
}

func (v *stepView) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) error {
	return v.View.Scan(s, lo, hi, func(key, value []byte) bool {
		v.engine.reach(inScan)
		return visit(key, value)
	})
}
