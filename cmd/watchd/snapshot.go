package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

func newSnapshot(out io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "snapshot", Short: "save, restore and look at etcd's snapshot files",
		Long: `Snapshot files are etcd's: what etcdctl snapshot save fetches from a watchd or an etcd, and what
etcdutl snapshot status and restore take.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misused("snapshot needs one of %s", strings.Join(commandNames(cmd), ", "))
			}
			return misused("snapshot: unknown command %q%s", args[0], didYouMeanOr(args[0], commandNames(cmd), "; one of "+strings.Join(commandNames(cmd), ", ")))
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args has refused
	}
	cmd.AddCommand(newSnapshotSave(out), newSnapshotRestore(out), newSnapshotStatus(out))
	return cmd
}

// oneFile takes exactly one file name.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("%s takes one file, got %d; see watchd help snapshot %s", cmd.Name(), len(args), cmd.Name())
	}
	return nil
}

// restoring is what `snapshot restore` was told.
type restoring struct {
	dir, engine, name string
	skipHash          bool
	discardAuth       bool
	bump              uint64
	compacted         bool
}

// restoreIgnored are flags of etcdutl that mean nothing here.
var restoreIgnored = []string{"wal-dir", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls", "initial-memory-map-size"}

func newSnapshotRestore(out io.Writer) *cobra.Command {
	var r restoring
	cmd := &cobra.Command{
		Use: "restore FILE --data-dir DIR", Short: "make a data directory of a snapshot file",
		Long: `Make a data directory, of any engine, from a snapshot file, or from the file of a member that was
stopped cleanly. Flags are etcdutl's. If the file is older than what clients have seen, bump the
revision by more than they can have seen since: old watches and reads are told that their revision
is compacted, instead of meeting other content under the same number.`,
		Example: "  watchd snapshot restore snap.db --data-dir restored.watchd --bump-revision 1000000 --mark-compacted",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range restoreIgnored {
				if cmd.Flags().Changed(name) {
					fmt.Fprintf(os.Stderr, "watchd: --%s has no meaning here and is ignored\n", name)
				}
			}
			return r.run(cmd.Context(), args[0], out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.dir, "data-dir", "", "`DIR` to make; default NAME.watchd")
	f.StringVar(&r.engine, "backend", "pebble", "`ENGINE` of the new data: "+strings.Join(keepingEngines(), ", "))
	f.StringVar(&r.name, "name", "default", "`NAME` of the member, for the default of --data-dir")
	f.BoolVar(&r.skipHash, "skip-hash-check", false, "take a file without a hash, or with another")
	f.BoolVar(&r.discardAuth, "discard-auth", false, "take a file with authentication enabled, without its users")
	f.Uint64Var(&r.bump, "bump-revision", 0, "raise the revision by `N`")
	f.BoolVar(&r.compacted, "mark-compacted", false, "mark that revision compacted; needed with --bump-revision")
	for _, name := range restoreIgnored {
		f.String(name, "", "")
		_ = f.MarkHidden(name) // fails only for a flag that is not there
	}
	return cmd
}

func (r restoring) run(ctx context.Context, path string, out io.Writer) (err error) {
	if (r.bump > 0) != r.compacted {
		return misused("--mark-compacted required if --bump-revision > 0, and not allowed otherwise")
	}
	if r.bump > 1<<62 {
		return misused("--bump-revision %d: at most %d", r.bump, uint64(1)<<62)
	}
	if r.dir == "" {
		r.dir = r.name + ".watchd"
	}
	at, err := findPlace(r.dir, r.engine)
	if err != nil {
		return err
	}
	if at.driver.Volatile {
		return misused("--backend %q: keeps nothing on disk", r.engine)
	}
	file, err := openEtcdFile(ctx, path, r.skipHash)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	warnOfFile(file.Info(), func(text string) { fmt.Fprintf(os.Stderr, "watchd: %s\n", text) })
	engine, err := openTarget(at, "data-dir")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	show := newProgress(os.Stderr, file.Info().Size)
	loaded, err := file.Load(ctx, engine, etcdfile.LoadConfig{
		DiscardAuth: r.discardAuth, Bump: int64(r.bump),
		Progress: func(l etcdfile.Loaded) { show.tell(l.Records/1024*1024, l.Bytes) },
	})
	switch {
	case errors.Is(err, mvcc.ErrNotEmpty):
		return failed("--data-dir %q: holds data already; give an empty directory", r.dir)
	case err != nil:
		return failed("%v", err)
	}
	bumped := ""
	if r.bump > 0 {
		bumped = fmt.Sprintf(", bumped by %d and compacted there", r.bump)
	}
	_, err = fmt.Fprintf(out, "restored %s to %s (%s): revision %d%s; %d records, %d leases\n",
		path, r.dir, at.driver.Name, loaded.Rev, bumped, loaded.Records, loaded.Leases)
	return err
}

func newSnapshotStatus(out io.Writer) *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use: "status FILE", Short: "hash, revision, keys and size of a snapshot file",
		Long: `Print what etcdutl snapshot status prints: hash, revision, total keys, total size, version. The
structure of the file and its trailing hash, if it has one, are checked first.`,
		Example: "  watchd snapshot status snap.db --write-out json",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return snapshotStatus(cmd.Context(), args[0], form, out)
		},
	}
	cmd.Flags().StringVarP(&form, "write-out", "w", "simple", "`FORM` of the answer: simple, fields, json, table")
	return cmd
}

func snapshotStatus(ctx context.Context, path, form string, out io.Writer) (err error) {
	file, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{})
	if errors.Is(err, etcdfile.ErrNoHash) {
		file, err = etcdfile.Open(ctx, path, etcdfile.OpenConfig{SkipHashCheck: true})
	}
	if err != nil {
		return etcdFileMistake(path, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	st, err := file.Status(ctx)
	if err != nil {
		return failed("%s: %v", path, err)
	}
	row := []string{
		fmt.Sprintf("%x", st.Hash), fmt.Sprint(st.Revision), fmt.Sprint(st.TotalKey), humanize.Bytes(uint64(st.TotalSize)), st.Version,
	}
	switch form {
	case "simple":
		_, err = fmt.Fprintln(out, strings.Join(row, ", "))
	case "fields":
		_, err = fmt.Fprintf(out, "\"Hash\" : %d\n\"Revision\" : %d\n\"Keys\" : %d\n\"Size\" : %d\n\"Version\" : %s\n", st.Hash, st.Revision, st.TotalKey, st.TotalSize, st.Version)
	case "json":
		err = json.NewEncoder(out).Encode(st)
	case "table":
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "HASH\tREVISION\tTOTAL KEYS\tTOTAL SIZE\tVERSION\n%s\n", strings.Join(row, "\t"))
		err = table.Flush()
	default:
		return misused("--write-out %q: one of simple, fields, json, table", form)
	}
	return err
}
