//go:build !unix

package live

import (
	"os"

	"golang.org/x/term"
)

// usable reports whether this program may take over the terminal.
func usable(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
