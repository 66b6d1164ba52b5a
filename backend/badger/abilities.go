package badger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/watchkv/watchkv/backend"
)

const (
	// flattenWorkers leave a core to writers and readers.
	flattenWorkers = 1
	// discardRatio: a value log file is rewritten once half of it is garbage.
	discardRatio = 0.5
	// backupHead begins a backup.
	backupHead = "watchkv badger 1\n"
)

// Backup writes the entries of one view. badger's own stream reads with
// several transactions that each begin when they come to it, so it is not of
// one moment.
func (e *engine) Backup(ctx context.Context, w io.Writer) error {
	v, err := e.View()
	if err != nil {
		return fmt.Errorf("badger: backup: %w", err)
	}
	err = backend.WriteEntries(ctx, w, backupHead, v, &e.spaces)
	if err := errors.Join(err, v.Close()); err != nil {
		return fmt.Errorf("badger: backup: %w", err)
	}
	return nil
}

func restore(ctx context.Context, path string, r io.Reader, o backend.Options) (backend.Engine, error) {
	if err := putBack(ctx, path, r, o); err != nil {
		return nil, fmt.Errorf("badger: restore to %s: %w", path, err)
	}
	return Open(path, o)
}

// putBack loads the entries into a new store under a mark that stays if it
// does not end well, so that half a restore does not open.
func putBack(ctx context.Context, path string, r io.Reader, o backend.Options) error {
	fresh, err := backend.PrepareDir(path, false, ownName)
	if err != nil {
		return err
	}
	if !fresh {
		return fs.ErrExist
	}
	mark := filepath.Join(path, restoring)
	if err := errors.Join(os.WriteFile(mark, nil, 0o600), backend.SyncDir(path)); err != nil {
		return err
	}
	o.ReadOnly = false
	e, err := openBelow(path, o)
	if err != nil {
		return err
	}
	err = backend.ReadEntries(ctx, r, backupHead, e)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	return errors.Join(os.Remove(mark), backend.SyncDir(path))
}

func (e *engine) Reclaim(ctx context.Context) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("badger: reclaim: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("badger: reclaim: %w", backend.ErrReadOnly)
	}
	err := ctx.Err()
	if err == nil {
		err = e.roomToReclaim()
	}
	if err == nil {
		err = e.db.Flatten(flattenWorkers)
	}
	for err == nil { // one file at a time, until none has enough garbage
		if err = ctx.Err(); err == nil {
			err = e.db.RunValueLogGC(discardRatio)
		}
	}
	if errors.Is(err, badger.ErrNoRewrite) {
		return nil
	}
	return fmt.Errorf("badger: reclaim: %w", damage(err))
}

// Verify reads every block of every table.
func (e *engine) Verify(ctx context.Context) (backend.VerifyReport, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("badger: verify: %w", err)
	}
	defer e.gate.Leave()
	if err := ctx.Err(); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("badger: verify: %w", err)
	}
	if err := verify(e.db); err != nil { // whatever it says, a block does not read
		return backend.VerifyReport{}, fmt.Errorf("badger: verify %s: %w: %w", e.dir, errors.Join(damagedTable(e.dir), err), backend.ErrDamaged)
	}
	return backend.VerifyReport{
		Checked:   []string{"block checksums of all tables"},
		Unchecked: []string{"memtables and their logs", "values of 1 MiB and more"},
	}, nil
}

// damagedTable names a table that does not read; badger does not.
func damagedTable(dir string) error {
	set, err := listFiles(dir)
	for _, name := range set.tables {
		if _, err := checkTable(filepath.Join(dir, name)); errors.Is(err, backend.ErrDamaged) {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return err
}

// verify turns the panic into an error by which badger meets a block with a
// wrong checksum: it describes a block that it did not get.
func verify(db *badger.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a block of a table has a wrong checksum or length (%v)", r)
		}
	}()
	return db.VerifyChecksum()
}
