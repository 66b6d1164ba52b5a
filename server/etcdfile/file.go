package etcdfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/mvcc"
)

// OpenConfig says how a file is opened.
type OpenConfig struct {
	// SkipHashCheck takes a file whatever its trailing hash, or without one:
	// needed for a member's own file, member/snap/db.
	SkipHashCheck bool
}

// File is an etcd file, open for reading and never changed. It serves one
// goroutine.
type File struct {
	path   string
	size   int64
	hashed bool
	engine backend.Engine
	info   Info
}

// Info is what a file says of itself.
type Info struct {
	Path   string
	Size   int64 // bytes, the trailing hash included
	Hashed bool  // it has a trailing hash
	// Fingerprint tells files apart: the trailing hash, or else a hash of the
	// file's head.
	Fingerprint string

	ConsistentIndex, Term          uint64 // of raft
	StorageVersion, ClusterVersion string // empty: none, as before etcd 3.6 or 3.5
	Scheduled, Finished            int64  // compaction marks; 0: none
	LastRev                        int64  // of the last record; 0: none
	Leases, Users, Roles           int
	AuthEnabled                    bool
	Alarms                         []*pb.AlarmMember

	// WAL is what stands beside a member's own file; nil: nothing is there.
	WAL *WAL
}

// Open checks the trailing hash and the structure of a file and opens it.
// Errors: fs.ErrNotExist, ErrNoHash, ErrInUse, mvcc.ErrDamaged and the
// system's.
func Open(ctx context.Context, path string, c OpenConfig) (_ *File, err error) {
	f := &File{path: path}
	sum, err := f.checkHash(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.engine, err = bolt.Open(path, backend.Options{ReadOnly: true, Spaces: spaces()})
	switch {
	case errors.Is(err, backend.ErrLocked):
		return nil, fmt.Errorf("%w: take a snapshot of it: etcdctl snapshot save FILE: %w", ErrInUse, err)
	case err != nil:
		return nil, asDamage(err)
	}
	if err := f.read(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(asDamage(err), f.engine.Close()))
	}
	f.info.Fingerprint = sum
	f.info.WAL = readWAL(path, f.info.ConsistentIndex)
	return f, nil
}

// asDamage gives an engine's damage the sentinel of a store's.
func asDamage(err error) error {
	if errors.Is(err, backend.ErrDamaged) && !errors.Is(err, mvcc.ErrDamaged) {
		return fmt.Errorf("%w: %w", mvcc.ErrDamaged, err)
	}
	return err
}

// Info is what the file says of itself.
func (f *File) Info() Info { return f.info }

// Close closes the file.
func (f *File) Close() error { return f.engine.Close() }

// sector is what the size of a bbolt file is a multiple of, so that a trailing
// hash shows.
const sector = 512

// headBytes is what of a file without a hash makes its fingerprint: both meta
// pages, which every commit changes.
const headBytes = 16 << 10

// Fingerprint tells files apart without reading them whole: it is what
// Info.Fingerprint is once the file is open.
func Fingerprint(path string) (string, error) {
	f := &File{path: path}
	sum, err := f.checkHash(context.Background(), OpenConfig{SkipHashCheck: true})
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return sum, nil
}

func (f *File) checkHash(ctx context.Context, c OpenConfig) (fingerprint string, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	switch {
	case info.IsDir():
		return "", errors.New("is a directory; in an etcd data directory the file is member/snap/db")
	case !info.Mode().IsRegular():
		return "", errors.New("is no regular file; a snapshot or member/snap/db is needed")
	}
	f.size = info.Size()
	f.hashed = f.size%sector == sha256.Size
	if !f.hashed {
		h := sha256.New()
		fmt.Fprintf(h, "%d ", f.size)
		if _, err := io.Copy(h, io.LimitReader(file, headBytes)); err != nil {
			return "", err
		}
		if !c.SkipHashCheck {
			return "", ErrNoHash
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	want := make([]byte, sha256.Size)
	if _, err := file.ReadAt(want, f.size-sha256.Size); err != nil {
		return "", err
	}
	if c.SkipHashCheck {
		return hex.EncodeToString(want), nil
	}
	h := sha256.New()
	body := &backend.ContextReader{Context: ctx, R: io.LimitReader(file, f.size-sha256.Size)}
	if _, err := io.Copy(h, body); err != nil {
		return "", err
	}
	if got := h.Sum(nil); !bytes.Equal(want, got) {
		return "", damage("expected sha256 %x, got %x", want, got)
	}
	return hex.EncodeToString(want), nil
}

// read walks the pages and takes down what stands beside the records.
func (f *File) read(ctx context.Context) (err error) {
	if _, err := f.engine.(backend.Verifier).Verify(ctx); err != nil {
		return err
	}
	view, err := f.engine.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	f.info = Info{Path: f.path, Size: f.size, Hashed: f.hashed}
	if err := f.readMeta(view); err != nil {
		return err
	}
	if err := f.readAuth(view); err != nil {
		return err
	}
	if f.info.Leases, err = count(view, backend.SpaceLease); err != nil {
		return err
	}
	return f.readAlarms(view)
}

func (f *File) readMeta(view backend.View) (err error) {
	text := func(s backend.Space, key []byte) (value []byte) {
		if err == nil {
			value, _, err = view.Get(s, nil, key)
		}
		return value
	}
	index := text(backend.SpaceMeta, metaConsistentIndex)
	term := text(backend.SpaceMeta, metaTerm)
	f.info.StorageVersion = string(text(backend.SpaceMeta, metaStorageVersion))
	f.info.ClusterVersion = string(text(spaceCluster, clusterVersionKey))
	scheduled, finished := text(backend.SpaceMeta, metaScheduled), text(backend.SpaceMeta, metaFinished)
	if err != nil {
		return err
	}
	for _, field := range []struct {
		name  []byte
		bytes []byte
		into  *uint64
	}{{metaConsistentIndex, index, &f.info.ConsistentIndex}, {metaTerm, term, &f.info.Term}} {
		if len(field.bytes) != 0 && len(field.bytes) != 8 {
			return damage("bucket meta: %s is %x, 8 bytes of a number expected", field.name, field.bytes)
		}
		if len(field.bytes) == 8 {
			*field.into = binary.BigEndian.Uint64(field.bytes)
		}
	}
	for _, field := range []struct {
		name  []byte
		bytes []byte
		into  *int64
	}{{metaScheduled, scheduled, &f.info.Scheduled}, {metaFinished, finished, &f.info.Finished}} {
		if len(field.bytes) == 0 {
			continue
		}
		if len(field.bytes) != revBytes || field.bytes[0] > 127 {
			return damage("bucket meta: %s is %x, %d bytes of a revision expected", field.name, field.bytes, revBytes)
		}
		*field.into = int64(binary.BigEndian.Uint64(field.bytes))
	}
	return nil
}

func (f *File) readAuth(view backend.View) error {
	enabled, _, err := view.Get(spaceAuth, nil, authEnabledKey)
	if err != nil {
		return err
	}
	f.info.AuthEnabled = bytes.Equal(enabled, []byte{1})
	if f.info.Users, err = count(view, spaceAuthUsers); err != nil {
		return err
	}
	f.info.Roles, err = count(view, spaceAuthRoles)
	return err
}

func (f *File) readAlarms(view backend.View) error {
	var bad error
	err := view.Scan(backend.SpaceAlarm, nil, nil, func(key, _ []byte) bool {
		var alarm pb.AlarmMember
		if err := proto.Unmarshal(key, &alarm); err != nil {
			bad = damage("bucket alarm: key %x: %v", key, err)
			return false
		}
		f.info.Alarms = append(f.info.Alarms, &alarm)
		return true
	})
	return errors.Join(bad, err)
}

func count(view backend.View, s backend.Space) (n int, err error) {
	err = view.Scan(s, nil, nil, func(_, _ []byte) bool {
		n++
		return true
	})
	return n, err
}
