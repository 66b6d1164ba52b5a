package backend

import "sync"

// Gate is for engines: it counts the calls and views in flight, lets Close
// wait for them, and turns everybody away from then on. The zero value is
// open. Safe for concurrent use.
type Gate struct {
	mu     sync.Mutex // guards all below; calls nothing
	inside int
	closed bool
	empty  chan struct{} // made by Close; closed by the last Leave
}

// Enter admits the caller, who owes one Leave, or answers ErrClosed.
func (g *Gate) Enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.inside++
	return nil
}

// Leave ends what one Enter began.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// Close turns newcomers away at once and returns when all inside have left.
// Only the first Close returns nil; any other answers ErrClosed without
// waiting.
func (g *Gate) Close() error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	g.closed = true
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
	return nil
}
