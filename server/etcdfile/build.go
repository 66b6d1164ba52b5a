package etcdfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// BuildConfig says where and how a file is built.
type BuildConfig struct {
	// Dir is where the file stands while it is built and sent; empty is the
	// system's directory for temporary files. It needs room for all the data.
	Dir string
	// Identity is who the file says it comes from.
	Identity Identity
	// Floor is the room in bytes that is left on Dir's volume; with less Build
	// answers backend.ErrNoSpace. Never less than 16 MiB.
	Floor int64
}

// scratchPrefix begins the names of files that are being built.
const scratchPrefix = ".watchd-snapshot-"

// RemoveScratch removes what Builds left in dir that a crash ended. Nobody may
// be building there.
func RemoveScratch(dir string) error {
	entries, err := os.ReadDir(scratchDir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), scratchPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(scratchDir(dir), e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("etcdfile: removing what an earlier snapshot left: %w", err)
	}
	return nil
}

func scratchDir(dir string) string {
	if dir == "" {
		return os.TempDir()
	}
	return dir
}

const (
	// leastFloor is left on the volume even if nobody asked.
	leastFloor = 16 << 20
	// pageSize is etcd's on most machines. bbolt reads any.
	pageSize = 4 << 10
	// appendFill is how full pages get; etcd's value.
	appendFill = 0.9
)

// Build writes the store as of one revision into a file. Readers and writers
// go on; compaction waits until the file is there (mvcc.Store.Export). On
// errors nothing is left behind.
func Build(ctx context.Context, store *mvcc.Store, c BuildConfig) (_ *Built, err error) {
	b := &builder{dir: scratchDir(c.Dir), floor: max(c.Floor, leastFloor), identity: c.Identity, began: time.Now()}
	if err := b.checkRoom(expected(store)); err != nil {
		return nil, fmt.Errorf("etcdfile: %w", err)
	}
	if err := b.create(); err != nil {
		return nil, fmt.Errorf("etcdfile: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("etcdfile: %w", errors.Join(err, b.discard()))
		}
	}()
	if err := store.Export(ctx, b); err != nil {
		return nil, err
	}
	return b.finish()
}

// expected is about how large the file gets: the data as the engine holds it.
func expected(store *mvcc.Store) int64 {
	stats := store.Stats().Engine
	if stats.InUseBytes > 0 {
		return stats.InUseBytes
	}
	return max(stats.DiskBytes, 0)
}

// builder is an mvcc.Exporter.
type builder struct {
	dir      string
	floor    int64
	identity Identity
	began    time.Time

	path string
	db   *bbolt.DB
	info mvcc.ExportInfo
	// records counts entries of the space key, bytes all of them.
	records, bytes int64
	checked        int64 // bytes when the room was looked at
}

// checkRoom answers backend.ErrNoSpace if the volume has less than need bytes
// above the floor. An unknown room passes.
func (b *builder) checkRoom(need int64) error {
	free, err := backend.VolumeFree(b.dir)
	if err != nil {
		return fmt.Errorf("room in %s: %w", b.dir, err)
	}
	if free >= 0 && free < need+b.floor {
		return fmt.Errorf("%s has %d MiB left, the snapshot needs about %d MiB and leaves %d MiB: %w",
			b.dir, free>>20, need>>20, b.floor>>20, backend.ErrNoSpace)
	}
	return nil
}

func (b *builder) create() error {
	file, err := os.CreateTemp(b.dir, scratchPrefix+"*")
	if err != nil {
		return err
	}
	b.path = file.Name()
	if err := file.Close(); err != nil {
		return errors.Join(err, os.Remove(b.path))
	}
	// Nothing is synced: after a crash the file is rubbish in any case.
	b.db, err = bbolt.Open(b.path, 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, PageSize: pageSize,
	})
	if err != nil {
		return errors.Join(err, os.Remove(b.path))
	}
	return nil
}

func (b *builder) discard() error {
	var err error
	if b.db != nil {
		err = b.db.Close()
	}
	if gone := os.Remove(b.path); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Begin implements mvcc.Exporter.
func (b *builder) Begin(info mvcc.ExportInfo) error {
	b.info = info
	entries, err := b.identity.around()
	if err != nil {
		return err
	}
	if info.GapEnd > 0 {
		// etcd does not know gaps: it would go on with numbers that clients
		// have seen with other content, or serve what is not whole.
		b.info.Scheduled = max(info.Scheduled, min(info.GapEnd+1, info.Rev))
	}
	if b.info.Scheduled > 0 {
		entries = append(entries, entry{backend.SpaceMeta, metaScheduled, mark(b.info.Scheduled)})
	}
	if b.info.Finished > 0 {
		entries = append(entries, entry{backend.SpaceMeta, metaFinished, mark(b.info.Finished)})
	}
	return b.db.Update(func(tx *bbolt.Tx) error {
		for _, info := range spaces() {
			if _, err := tx.CreateBucketIfNotExists([]byte(info.Name)); err != nil {
				return err
			}
		}
		for _, e := range entries {
			if err := tx.Bucket(nameOf(e.space)).Put(e.key, e.value); err != nil {
				return err
			}
		}
		return nil
	})
}

func nameOf(s backend.Space) []byte {
	for _, info := range spaces() {
		if info.Space == s {
			return []byte(info.Name)
		}
	}
	panic(fmt.Sprintf("etcdfile: space %d has no bucket", s))
}

// roomStep is after how many bytes the room is looked at again.
const roomStep = 8 << 20

// Entries implements mvcc.Exporter.
func (b *builder) Entries(space backend.Space, entries []mvcc.Entry) error {
	err := b.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(nameOf(space))
		bucket.FillPercent = appendFill
		for _, e := range entries {
			if err := bucket.Put(e.Key, e.Value); err != nil {
				return fmt.Errorf("bucket %s, key %x: %w", nameOf(space), e.Key, err)
			}
			b.bytes += int64(len(e.Key) + len(e.Value))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if space == backend.SpaceKey {
		b.records += int64(len(entries))
	}
	if b.bytes-b.checked < roomStep {
		return nil
	}
	b.checked = b.bytes
	return b.checkRoom(roomStep)
}

// finish closes the database and opens its bytes.
func (b *builder) finish() (*Built, error) {
	var size int64
	if err := b.db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return nil, err
	}
	if err := b.db.Close(); err != nil {
		return nil, err
	}
	b.db = nil
	file, err := os.Open(b.path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("%s has %d bytes of %d", b.path, info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	built := &Built{file: file, path: b.path, left: size, Facts: BuiltFacts{
		Size: size, Rev: b.info.Rev, Records: b.records, Took: time.Since(b.began),
		CompactRev: max(b.info.Scheduled, b.info.Finished),
	}}
	// A file without a name cannot be left behind; some systems refuse.
	if os.Remove(b.path) == nil {
		built.path = ""
	}
	return built, nil
}
