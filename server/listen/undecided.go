package listen

import (
	"container/list"
	"net"
	"sync"
)

// undecided holds the connections whose protocol is not known yet, oldest
// first, and closes those that it gives up.
type undecided struct {
	max int // set by New, never changed

	mu     sync.Mutex // guards all below; a leaf
	conns  list.List  // of net.Conn
	closed bool       // nothing is added any more
}

// add takes conn in, and closes the oldest if there are too many. Nil: the set
// is closed.
func (u *undecided) add(conn net.Conn) *list.Element {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil
	}
	if u.conns.Len() >= u.max {
		u.giveUpLocked(u.conns.Front())
	}
	return u.conns.PushBack(conn)
}

// remove takes a connection out. False: it was given up and is closed.
func (u *undecided) remove(entry *list.Element) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if entry.Value == nil {
		return false
	}
	u.conns.Remove(entry)
	return true
}

// giveUpOldest closes the oldest connection; false if there is none.
func (u *undecided) giveUpOldest() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conns.Len() == 0 {
		return false
	}
	u.giveUpLocked(u.conns.Front())
	return true
}

// closeAll gives up all connections, and those to come.
func (u *undecided) closeAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for u.conns.Len() > 0 {
		u.giveUpLocked(u.conns.Front())
	}
}

// giveUpLocked closes a connection without waiting: its goroutine reads an
// error and ends.
func (u *undecided) giveUpLocked(entry *list.Element) {
	u.conns.Remove(entry).(net.Conn).Close()
	entry.Value = nil
}
