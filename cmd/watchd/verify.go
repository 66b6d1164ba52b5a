package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
)

func newVerify(out io.Writer) *cobra.Command {
	var dir, engine string
	cmd := &cobra.Command{
		Use: "verify --data-dir DIR", Short: "check every record of a data directory",
		Long: `Read every record of a data directory that is not in use, hold it against the index and the marks,
run the engine's own checks, and say what was checked and what cannot be. Nothing is changed.
Exit 1 if anything is damaged: the line names the engine, the place and the key.`,
		Example: "  watchd verify --data-dir default.watchd",
		Args:    noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return verify(cmd.Context(), dir, engine, out) },
	}
	cmd.Flags().StringVar(&dir, "data-dir", "default.watchd", "`DIR` of the data")
	cmd.Flags().StringVar(&engine, "backend", "", "`ENGINE` that must have made them; else whichever did")
	return cmd
}

func verify(ctx context.Context, dir, engineName string, out io.Writer) (err error) {
	at, err := findData(dir, engineName)
	if err != nil {
		return err
	}
	store, done, err := at.readStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	report, err := store.Verify(ctx)
	if err != nil {
		return failed("--data-dir %q: %v (%d records were whole before)", dir, err, report.Records)
	}
	leases, err := lease.Verify(store)
	if err != nil {
		return failed("--data-dir %q: %v (%d records were whole)", dir, err, report.Records)
	}
	writeReport(out, &report, leases)
	return nil
}

func writeReport(out io.Writer, r *mvcc.VerifyReport, leases int) {
	fmt.Fprintf(out, "whole: %s at %s\n", r.Engine, r.Path)
	fmt.Fprintf(out, "  revision %d, history from %d on, hash %08x\n", r.Rev, max(r.CompactRev, 1), r.Hash.Hash)
	fmt.Fprintf(out, "  %d keys, %d records (%d tombstones, %d left by a compaction), %s\n", r.Keys, r.Records, r.Tombstones, r.Leftovers, mebibytes(r.Bytes))
	fmt.Fprintf(out, "  leases: %d\n", leases)
	for _, list := range []struct {
		head  string
		lines []string
	}{{"checked", r.Checked}, {"cannot be checked", r.Unchecked}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(out, "%s\n", list.head)
		}
		for _, line := range list.lines {
			fmt.Fprintf(out, "  %s\n", line)
		}
	}
}
