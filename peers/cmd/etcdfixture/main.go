// Command etcdfixture has a real etcd server write bbolt files of known
// history. See the README of this module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/watchkv/watchkv/peers/fixture"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "etcdfixture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("etcdfixture", flag.ContinueOnError)
	out := flags.String("out", "", "directory for the test files, or the one `FILE` of -revisions")
	revisions := flags.Int64("revisions", 0, "write one snapshot of at least `N` revisions instead")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("takes no argument %q", flags.Arg(0))
	case *out == "":
		return errors.New("-out is missing; name a directory, or a file with -revisions")
	case *revisions < 0:
		return fmt.Errorf("-revisions %d: write a number above 0", *revisions)
	case *revisions > 0:
		return fixture.Large(ctx, *revisions, *out)
	}
	if err := fixture.Plain(ctx, *out); err != nil {
		return err
	}
	return fixture.Leased(ctx, *out)
}
