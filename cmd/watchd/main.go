// Command watchd serves the etcd v3 API over the storage engine of choice.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(execute(os.Args[1:])) }

// execute runs one command line and returns the exit code. A mistake is one
// line on stderr. The first signal ends the context, a second, not at once, the program.
func execute(args []string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2) // two are listened to
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	go untilSignals(signals, cancel)

	root := newRoot(os.Stdout)
	root.SetArgs(normal(args, root.Flags()))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitStopped
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitFailed, err.Error()}
	}
	if exit.text != "" {
		fmt.Fprintf(os.Stderr, "watchd: %s\n", oneLine(exit.text))
	}
	return exit.code
}

// signalled is why a context ended.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "signal: " + s.String() }

// echo is how long after a signal another one is taken for the same: some
// programs signal a process and its group, and so twice.
const echo = 500 * time.Millisecond

// untilSignals lives as long as the program.
func untilSignals(signals <-chan os.Signal, cancel context.CancelCauseFunc) {
	cancel(signalled{<-signals})
	same := time.After(echo)
	for {
		select {
		case <-same:
			same = nil
		case again := <-signals:
			if same != nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "watchd: %v again: ended at once\n", again)
			code := 130
			if again == syscall.SIGTERM {
				code = 143
			}
			os.Exit(code)
		}
	}
}
