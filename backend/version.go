package backend

import (
	"runtime/debug"
	"strings"
)

// LibraryVersion is for engines: name and the version of a Go module linked
// into this program, such as "pebble v2.1.7"; fallback, also with the name in
// front, where the program carries no such note.
func LibraryVersion(name, module, fallback string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path != module {
				continue
			}
			if dep.Replace != nil {
				dep = dep.Replace
			}
			if dep.Version != "" {
				return name + " " + dep.Version
			}
		}
	}
	return strings.TrimSpace(name + " " + fallback)
}
