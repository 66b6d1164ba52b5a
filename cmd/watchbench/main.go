// Command watchbench measures how fast, and how faithfully, a store tells its
// watchers.
package main

import (
	"os"

	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

func main() {
	if live.GuardAsked(os.Args) {
		os.Exit(live.RunGuard())
	}
	os.Exit(execute(newTerminal(os.Stdin, os.Stdout, os.Stderr), os.Args))
}
