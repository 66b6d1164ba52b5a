package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/watchkv/watchkv/bench"
)

// version of the program and of the library it belongs to.
const version = "0.1.0"

// madeBy names this program and, of the modules in it, those of an engine.
func madeBy(engine string) bench.MadeBy {
	made := bench.MadeBy{Watchbench: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return made
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			made.Commit = setting.Value
		}
	}
	for _, dep := range info.Deps {
		if engine != "" && strings.Contains(dep.Path, engine) {
			if made.Modules == nil {
				made.Modules = map[string]string{}
			}
			made.Modules[dep.Path] = dep.Version
		}
	}
	return made
}

func versionLine() string {
	made := madeBy("")
	line := "watchbench " + made.Watchbench
	if made.Commit != "" {
		line += "   commit " + made.Commit[:min(12, len(made.Commit))]
	}
	return line + "   " + made.Go
}
