package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/watchkv/watchkv/peers/curves"
	"github.com/watchkv/watchkv/peers/job"
	"github.com/watchkv/watchkv/peers/versus"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 1 && args[0] == job.Word {
		if err := job.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) int{
		"compare": versus.Compare, "contract": versus.Contract,
		"curves": curves.Main, "matrix": curves.MatrixMain,
	}
	if len(args) > 0 && commands[args[0]] != nil {
		return commands[args[0]](ctx, args[1:], os.Stdout, os.Stderr)
	}
	fmt.Fprintln(os.Stderr, "usage: peers contract|compare|curves|matrix")
	return 2
}
