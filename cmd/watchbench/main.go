// Command watchbench measures how fast, and how faithfully, a store tells its
// watchers.
package main

import (
	"os"
)

func main() {
	os.Exit(execute(newTerminal(os.Stdin, os.Stdout, os.Stderr), os.Args))
}
