//go:build unix

package live

import (
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// usable reports whether this program may take over the terminal: one in the
// background would be stopped for trying.
func usable(f *os.File) bool {
	if !term.IsTerminal(int(f.Fd())) {
		return false
	}
	foreground, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}
