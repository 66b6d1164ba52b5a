package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
)

// reclaimSuffix names the copy that Reclaim works on; one left by a crash is
// removed by the next open.
const reclaimSuffix = ".reclaim"

// copyTxBytes is how much Reclaim copies in one transaction: bounds its heap.
const copyTxBytes = 32 << 20

// mostFaults is how many faults Verify lists before it only counts.
const mostFaults = 10

// Backup writes a bbolt file, one that Open takes as it is.
func (e *engine) Backup(ctx context.Context, w io.Writer) error {
	e.copying.Lock()
	defer e.copying.Unlock()
	v, err := e.View()
	if err != nil {
		return fmt.Errorf("bolt: backup: %w", err)
	}
	out := &backend.ContextWriter{Context: ctx, W: w}
	n, err := v.(*view).tx.WriteTo(out)
	if want := v.(*view).tx.Size(); out.Err == nil && n < want && (err == nil || errors.Is(err, io.EOF)) {
		err = fmt.Errorf("%s gave %d bytes of %d: %w", e.file, n, want, backend.ErrDamaged)
	}
	if err := errors.Join(out.Err, err, v.Close()); err != nil {
		return fmt.Errorf("bolt: backup: %w", err)
	}
	return nil
}

func restore(ctx context.Context, path string, r io.Reader, o backend.Options) (backend.Engine, error) {
	if err := putBack(ctx, path, r); err != nil {
		return nil, fmt.Errorf("bolt: restore to %s: %w", path, err)
	}
	return Open(path, o)
}

// putBack writes beside the file's name and renames, so that a broken restore
// leaves nothing that looks like data.
func putBack(ctx context.Context, path string, r io.Reader) error {
	fresh, err := backend.PrepareDir(path, false, ownName)
	if err != nil {
		return err
	}
	if !fresh {
		return fs.ErrExist
	}
	part := filepath.Join(path, "."+fileName+".part")
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, &backend.ContextReader{Context: ctx, R: r})
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		_, err = readMeta(part)
	}
	if err == nil {
		err = os.Rename(part, filepath.Join(path, fileName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return backend.SyncDir(path)
}

// Reclaim copies the live data into a new file, renames it over the old one
// and goes on with it. Apply waits meanwhile; views go on, and at the end
// Reclaim waits for those that still read the old file. ctx counts until the
// rename. On failure up to there the engine goes on with the file it had.
func (e *engine) Reclaim(ctx context.Context) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("bolt: reclaim: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("bolt: reclaim: %w", backend.ErrReadOnly)
	}
	if runtime.GOOS == "windows" {
		return fmt.Errorf("bolt: reclaim: windows does not replace an open file: %w", errors.ErrUnsupported)
	}
	e.copying.Lock()
	defer e.copying.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.unusable(); err != nil {
		return fmt.Errorf("bolt: reclaim: %w", err)
	}
	old := e.current.Load()
	compact, err := e.copyLive(ctx, old.db)
	if err != nil {
		return fmt.Errorf("bolt: reclaim %s: %w", e.file, err)
	}
	e.current.Store(compact) // before the old one turns views away
	if err := backend.SyncDir(filepath.Dir(e.file)); err != nil {
		// A power loss may bring the old file back, without what comes now.
		e.stopped = fmt.Errorf("reclaim could not make the new file's name durable: %w", err)
	}
	err = compact.db.View(func(tx *bbolt.Tx) error { e.noteInUse(tx); return nil })
	if err := errors.Join(e.stopped, err, old.views.Close(), old.close()); err != nil {
		return fmt.Errorf("bolt: reclaim %s: leave the old file: %w", e.file, err)
	}
	return nil
}

// copyLive returns the new database, open and in its place.
func (e *engine) copyLive(ctx context.Context, old *bbolt.DB) (_ *handle, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := e.file + reclaimSuffix
	compact, err := openFile(path, false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, compact.close(), os.Remove(path))
		}
	}()
	compact.db.NoSync = true // one Sync below, before anybody can see the file
	if err := copyAll(compact.db, old, e.file); err != nil {
		return nil, err
	}
	compact.db.NoSync = false
	if err := errors.Join(compact.db.Sync(), ctx.Err()); err != nil {
		return nil, err
	}
	return compact, os.Rename(path, e.file)
}

func copyAll(dst, src *bbolt.DB, path string) (err error) {
	defer watch(&err, "reclaim", path)()
	return bbolt.Compact(dst, src, copyTxBytes)
}

// Verify walks every page. bbolt has no checksums on data pages.
func (e *engine) Verify(ctx context.Context) (backend.VerifyReport, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("bolt: verify: %w", err)
	}
	defer e.gate.Leave()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.unusable(); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("bolt: verify: %w", err)
	}
	h := e.current.Load()
	if e.readOnly {
		// bbolt's check loads the free list into the handle it is given, which
		// views of that handle do not expect, and walks all pages for that.
		if err := walk(e.file); err != nil {
			return backend.VerifyReport{}, fmt.Errorf("bolt: verify %s: %w", e.file, err)
		}
		second, err := openFile(e.file, true)
		if err != nil {
			return backend.VerifyReport{}, fmt.Errorf("bolt: verify %s: %w", e.file, err)
		}
		defer second.close()
		h = second
	}
	if err := checkPages(ctx, h); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("bolt: verify %s: %w", e.file, err)
	}
	return backend.VerifyReport{
		Checked:   []string{"both meta pages", "page structure", "key order", "free list against reachable pages"},
		Unchecked: []string{"flipped bits in keys and values: bbolt has no checksums on data pages"},
	}, nil
}

func checkPages(ctx context.Context, h *handle) error {
	var faults []error
	count := 0
	err := h.db.View(func(tx *bbolt.Tx) error {
		// bbolt checks on a goroutine of its own, where a fault is fatal.
		if err := h.holds(tx.Size()); err != nil {
			return err
		}
		for fault := range tx.Check() { // to the end, or its goroutine stays
			count++
			if count <= mostFaults {
				faults = append(faults, fault)
			}
		}
		return nil
	})
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if count > 0 {
		return fmt.Errorf("%d faults, among them: %w: %w", count, errors.Join(faults...), backend.ErrDamaged)
	}
	return nil
}
