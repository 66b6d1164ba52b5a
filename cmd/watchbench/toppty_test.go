//go:build unix

package main

import (
	"testing"
)

// On a terminal the watches stand on a screen of their own, keys change what
// is shown, a server that goes away is told of, and q gives the terminal back.
func TestTerminal_Top(t *testing.T) {
	server := watchd(t)
	s := onTerminal(t, 120, 24, []string{"NO_COLOR=1"}, "top", "--url", server.URL, "--interval", "100ms")
	s.await("2 watches, 1 behind")
	s.await("EVENTS/S") // from the second look on
	s.await("pods/*")
	s.await("its reader")
	s.press("s")
	s.await("sorted by queue")
	s.press("e")
	s.await("e every watch")
	s.press("/")
	s.press("zz")
	s.await("filter: zz_")
	s.await("no such watch")
	s.press("\x7f\x7fpods\r")
	s.await("filter pods")
	s.await("its reader")
	s.resize(60, 10)
	s.await("BEHIND")
	server.Close()
	s.await("seen")
	s.press("q")
	s.ended(0)
}

// Ctrl-C ends it too, and before that an etcd's totals stood there.
func TestTerminal_TopOfAnEtcd(t *testing.T) {
	server := onePage(t, "/metrics", 200, "# TYPE etcd_debugging_mvcc_watcher_total gauge\netcd_debugging_mvcc_watcher_total 42\n")
	s := onTerminal(t, 80, 24, nil, "top", "--url", server.URL)
	s.await("totals only")
	s.press("\x03")
	s.ended(0)
}
