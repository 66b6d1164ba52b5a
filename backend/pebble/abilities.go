package pebble

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/watchkv/watchkv/backend"
)

// checkpointName is the directory of the checkpoint at work, inside the
// engine's own so that tables can be hard links.
const checkpointName = "checkpoint.tmp"

// endName is the last entry of a backup, of no bytes: one that was cut
// between two entries lacks it.
const endName = "end-of-backup"

// tarTrailer is what a tar ends with: two blocks of zeros.
const tarTrailer = 1024

type abilities struct {
	checkpointing sync.Mutex // one checkpoint at a time
}

// checkpoint calls fn with a directory that holds the store as of now and
// does not change. Read-only nothing changes anyway.
func (e *engine) checkpoint(fn func(dir string) error) (err error) {
	if e.readOnly {
		return fn(e.dir)
	}
	e.checkpointing.Lock()
	defer e.checkpointing.Unlock()
	dir := e.fs.PathJoin(e.dir, checkpointName)
	if err := e.fs.RemoveAll(dir); err != nil {
		return err
	}
	if err := e.call(func() error { return e.db.Checkpoint(dir, pebble.WithFlushedWAL()) }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.fs.RemoveAll(dir)) }()
	return fn(dir)
}

// dataFiles returns the names of the files that make up a store.
func dataFiles(fsys vfs.FS, dir string) ([]string, error) {
	all, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	var names []string
	for _, name := range all {
		info, err := fsys.Stat(fsys.PathJoin(dir, name))
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() && name != "LOCK" {
			names = append(names, name)
		}
	}
	return names, nil
}

func (e *engine) Backup(ctx context.Context, w io.Writer) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("pebble: backup: %w", err)
	}
	defer e.gate.Leave()
	out := &backend.ContextWriter{Context: ctx, W: w}
	if err := e.checkpoint(func(dir string) error { return writeTar(out, e.fs, dir) }); err != nil {
		return fmt.Errorf("pebble: backup: %w", damage(err))
	}
	return nil
}

func writeTar(w io.Writer, fsys vfs.FS, dir string) error {
	names, err := dataFiles(fsys, dir)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, name := range names {
		if err := addFile(out, fsys, fsys.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	if err := out.WriteHeader(&tar.Header{Name: endName, Mode: 0o600}); err != nil {
		return err
	}
	return out.Close()
}

func addFile(out *tar.Writer, fsys vfs.FS, path string) (err error) {
	file, err := fsys.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: fsys.PathBase(path), Size: info.Size(), Mode: 0o600, ModTime: info.ModTime()}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.CopyN(out, file, info.Size())
	return err
}

func (p place) restore(ctx context.Context, path string, r io.Reader, o backend.Options) (backend.Engine, error) {
	if err := p.putBack(ctx, path, r); err != nil {
		return nil, fmt.Errorf("pebble: restore to %s: %w", path, err)
	}
	return p.Open(path, o)
}

// putBack unpacks the tar. The files by which a directory counts as pebble's
// come last, so that a restore cut short leaves nothing that opens.
func (p place) putBack(ctx context.Context, path string, r io.Reader) error {
	fresh, err := p.prepare(path, false)
	if err != nil {
		return err
	}
	if !fresh {
		return fs.ErrExist
	}
	late, err := p.unpack(ctx, path, r)
	if err != nil {
		return err
	}
	for _, name := range late {
		if err := p.fs.Rename(p.fs.PathJoin(path, ".part."+name), p.fs.PathJoin(path, name)); err != nil {
			return err
		}
	}
	return p.syncDir(path)
}

// unpack returns the files it wrote under another name.
func (p place) unpack(ctx context.Context, path string, r io.Reader) (late []string, err error) {
	r = &backend.ContextReader{Context: ctx, R: r}
	in := tar.NewReader(r) // reads no further than its entries
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the backup is cut short: %w", backend.ErrDamaged)
		}
		if err != nil {
			return nil, cutShort(err)
		}
		name := header.Name
		if name == endName {
			n, err := io.Copy(io.Discard, r)
			if err == nil && n != tarTrailer {
				err = fmt.Errorf("%d bytes behind the last entry, not %d: %w", n, tarTrailer, backend.ErrDamaged)
			}
			return late, err
		}
		if !filepath.IsLocal(name) || filepath.Base(name) != name || header.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("entry %q does not belong in a backup: %w", name, backend.ErrDamaged)
		}
		if ownName(name) {
			late = append(late, name)
			name = ".part." + name
		}
		if err := p.writeFile(p.fs.PathJoin(path, name), in); err != nil {
			return nil, cutShort(err)
		}
	}
}

func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("not a whole backup: %w: %w", err, backend.ErrDamaged)
	}
	return err
}

func (p place) writeFile(path string, r io.Reader) error {
	file, err := p.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	return errors.Join(err, file.Sync(), file.Close())
}

// Reclaim compacts everything; files that views or running reads still need
// go when these end.
func (e *engine) Reclaim(ctx context.Context) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("pebble: reclaim: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("pebble: reclaim: %w", backend.ErrReadOnly)
	}
	if err := errors.Join(ctx.Err(), e.call(func() error { return e.db.Compact(ctx, []byte{0}, []byte{0xff}, true) })); err != nil {
		return fmt.Errorf("pebble: reclaim: %w", damage(err))
	}
	return nil
}

// Verify reads every block of every table from disk, past the cache, and then
// walks the levels. The log is checked by each open.
func (e *engine) Verify(ctx context.Context) (backend.VerifyReport, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("pebble: verify: %w", err)
	}
	defer e.gate.Leave()
	if err := e.checkpoint(func(dir string) error { return verifyTables(ctx, e.fs, dir) }); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("pebble: verify: %w", damage(err))
	}
	var stats pebble.CheckLevelsStats
	if err := errors.Join(ctx.Err(), e.call(func() error { return e.db.CheckLevels(&stats) })); err != nil {
		return backend.VerifyReport{}, fmt.Errorf("pebble: verify levels: %w", damage(err))
	}
	return backend.VerifyReport{
		Checked:   []string{"block checksums", "key order within and across levels"},
		Unchecked: []string{"damage at the very end of the log, which looks like a write cut short"},
	}, nil
}

func verifyTables(ctx context.Context, fsys vfs.FS, dir string) error {
	names, err := dataFiles(fsys, dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".sst") })
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := verifyTable(ctx, fsys, fsys.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("table %s: %w: %w", name, err, backend.ErrDamaged)
		}
	}
	return nil
}

func verifyTable(ctx context.Context, fsys vfs.FS, path string) (err error) {
	file, err := fsys.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	opts := &pebble.Options{}
	opts.EnsureDefaults()
	reader, err := sstable.NewReader(ctx, readable, opts.MakeReaderOptions())
	if err != nil {
		return err // which has closed the file
	}
	return errors.Join(reader.ValidateBlockChecksums(), reader.Close())
}
