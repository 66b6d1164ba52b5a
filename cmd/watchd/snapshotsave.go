package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/server/etcdfile"
)

func newSnapshotSave(out io.Writer) *cobra.Command {
	var dir, engine string
	cmd := &cobra.Command{
		Use: "save FILE --data-dir DIR", Short: "make a snapshot file of a data directory that is not in use",
		Long: `Write the data of a stopped watchd, of any engine, as a snapshot file. Of one that runs take it with
etcdctl snapshot save FILE, as of an etcd.`,
		Example: "  watchd snapshot save snap.db --data-dir default.watchd",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return snapshotSave(cmd.Context(), args[0], dir, engine, out)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "default.watchd", "`DIR` of the data")
	cmd.Flags().StringVar(&engine, "backend", "", "`ENGINE` that must have made them; else whichever did")
	return cmd
}

func snapshotSave(ctx context.Context, path, dir, engineName string, out io.Writer) (err error) {
	at, err := findData(dir, engineName)
	if err != nil {
		return err
	}
	if exists(path) {
		return failed("%q: is there already; a snapshot is never written over a file", path)
	}
	store, done, err := at.readStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	built, err := etcdfile.Build(ctx, store, etcdfile.BuildConfig{
		Dir: filepath.Dir(path), Identity: etcdfile.Identity{MemberID: 1, Name: "default", Index: uint64(store.Rev())},
	})
	if err != nil {
		return failed("%v", err)
	}
	defer func() { err = errors.Join(err, built.Close()) }()
	if err := saveHashed(ctx, path, built); err != nil {
		return failed("%q: %v", path, bare(err))
	}
	_, err = fmt.Fprintf(out, "saved %s: revision %d, %d records, %s\n", path, built.Facts.Rev, built.Facts.Records, mebibytes(built.Facts.Size))
	return err
}

// saveHashed writes a file with its trailing hash, whole or not at all.
func saveHashed(ctx context.Context, path string, from io.Reader) (err error) {
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, sum), &backend.ContextReader{Context: ctx, R: from})
	if err == nil {
		_, err = file.Write(sum.Sum(nil))
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return backend.SyncDir(filepath.Dir(path))
}
