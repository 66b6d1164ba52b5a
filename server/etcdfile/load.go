package etcdfile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// LoadConfig says what of a file is taken.
type LoadConfig struct {
	// DiscardAuth takes a file with authentication enabled, without its users
	// and roles: what they kept from others is open then.
	DiscardAuth bool
	// Bump raises the revision by so much and marks it compacted, so that
	// clients who have seen more than the file holds are told; 0: not at all.
	Bump int64
	// Origin, if not empty, is kept in the store, for OriginOf.
	Origin string
	// Progress, if not nil, is called now and then with what was loaded.
	Progress func(Loaded)
}

// Loaded says what was taken from a file, and what was not.
type Loaded struct {
	Records, Bytes int64 // tombstones included
	Leases         int
	// Rev is the revision the store stands at.
	Rev int64
	// Bumps are the records without a key that `etcdutl snapshot restore
	// --bump-revision` writes: left out, since the compaction mark says it all.
	// etcd counts them in HashKV.
	Bumps int
	// AlarmsKept are of damage: somebody has to look. AlarmsDropped are of
	// space: they are raised again if there is none here.
	AlarmsKept, AlarmsDropped int
}

// originKey is a key of the meta space that mvcc leaves to servers.
var originKey = []byte("watchkv_server_origin")

// Load fills an engine that holds nothing with what the file holds. Errors:
// ErrAuthEnabled, mvcc.ErrNotEmpty, mvcc.ErrDamaged, ctx.Err() and the
// engine's. What was not finished does not open as a store, and a Load begins
// it anew.
func (f *File) Load(ctx context.Context, engine backend.Engine, c LoadConfig) (Loaded, error) {
	if f.info.AuthEnabled && !c.DiscardAuth {
		return Loaded{}, fmt.Errorf("%s: %w (%d users, %d roles): its keys would be open to everybody; --discard-auth takes it without them",
			f.path, ErrAuthEnabled, f.info.Users, f.info.Roles)
	}
	l := &load{file: f, cfg: c, ctx: ctx}
	var err error
	if l.to, err = mvcc.NewLoader(ctx, engine); err != nil {
		return Loaded{}, err
	}
	if err := l.run(); err != nil {
		return l.done, fmt.Errorf("%s: %w", f.path, asDamage(err))
	}
	return l.done, nil
}

type load struct {
	file *File
	cfg  LoadConfig
	ctx  context.Context
	to   *mvcc.Loader
	done Loaded
}

func (l *load) run() (err error) {
	view, err := l.file.engine.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	for _, part := range []struct {
		space backend.Space
		each  func(key, value []byte) error
	}{{backend.SpaceLease, l.lease}, {backend.SpaceAlarm, l.alarm}, {backend.SpaceKey, l.record}} {
		if err := l.scan(view, part.space, part.each); err != nil {
			return err
		}
	}
	if err := l.meta(); err != nil {
		return err
	}
	return l.to.Finish()
}

// meta takes the compaction marks. Everything else there is etcd's alone.
func (l *load) meta() error {
	scheduled, finished := l.file.info.Scheduled, l.file.info.Finished
	l.done.Rev = max(l.done.Rev, scheduled, finished, 1)
	if l.cfg.Bump > 0 {
		if l.cfg.Bump > maxBump-l.done.Rev {
			return fmt.Errorf("revision %d bumped by %d: %w", l.done.Rev, l.cfg.Bump, mvcc.ErrExhausted)
		}
		l.done.Rev += l.cfg.Bump
		scheduled = l.done.Rev
	}
	var entries []entry // ascending
	if finished > 0 {
		entries = append(entries, entry{key: metaFinished, value: mark(finished)})
	}
	if scheduled > 0 {
		entries = append(entries, entry{key: metaScheduled, value: mark(scheduled)})
	}
	if l.cfg.Origin != "" {
		entries = append(entries, entry{key: originKey, value: []byte(l.cfg.Origin)})
	}
	for _, e := range entries {
		if err := l.to.Put(backend.SpaceMeta, e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// maxBump is the revision that a bump may reach: far below the last one.
const maxBump = 1 << 62

const (
	// lookEvery is after how many entries the context is looked at.
	lookEvery = 256
	// tellEvery is after how many records progress is told.
	tellEvery = 100_000
)

func (l *load) scan(view backend.View, s backend.Space, each func(key, value []byte) error) error {
	n := 0
	var bad error
	err := view.Scan(s, nil, nil, func(key, value []byte) bool {
		if n++; n%lookEvery == 0 {
			bad = l.ctx.Err()
		}
		if bad == nil {
			bad = each(key, value)
		}
		return bad == nil
	})
	return errors.Join(bad, err)
}

func (l *load) lease(key, value []byte) error {
	if len(key) != 8 {
		return damage("bucket lease: key %x: 8 bytes of an id expected", key)
	}
	id := binary.BigEndian.Uint64(key)
	if said, err := leaseID(value); err != nil || said != id {
		return damage("bucket lease: lease %016x: its entry says %016x (%v)", id, said, err)
	}
	l.done.Leases++
	return l.to.Put(backend.SpaceLease, key, value)
}

// leaseID reads field 1 of etcd's leasepb.Lease.
func leaseID(b []byte) (id uint64, err error) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		b = b[n:]
		if field == 1 && kind == protowire.VarintType {
			if id, n = protowire.ConsumeVarint(b); n < 0 {
				return 0, protowire.ParseError(n)
			}
		} else if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
			return 0, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return id, nil
}

func (l *load) alarm(key, _ []byte) error {
	var alarm pb.AlarmMember
	if err := proto.Unmarshal(key, &alarm); err != nil {
		return damage("bucket alarm: key %x: %v", key, err)
	}
	if alarm.Alarm != pb.AlarmType_CORRUPT {
		l.done.AlarmsDropped++
		return nil
	}
	l.done.AlarmsKept++
	return l.to.Put(backend.SpaceAlarm, key, nil)
}

func (l *load) record(key, value []byte) error {
	if len(value) == 0 && len(key) == revBytes {
		rev := int64(binary.BigEndian.Uint64(key))
		if rev > max(l.file.info.Scheduled, l.file.info.Finished) {
			return damage("bucket key: record %x is empty, and no compaction covers it", key)
		}
		l.done.Bumps++
		return nil
	}
	if err := l.to.Put(backend.SpaceKey, key, value); err != nil {
		return err
	}
	l.done.Records++
	l.done.Bytes += int64(len(key) + len(value))
	l.done.Rev = int64(binary.BigEndian.Uint64(key)) // Put has checked its form
	if l.cfg.Progress != nil && l.done.Records%tellEvery == 0 {
		l.cfg.Progress(l.done)
	}
	return nil
}

// OriginOf is what LoadConfig.Origin was when the engine was filled; empty if
// it was not, or not whole.
func OriginOf(engine backend.Engine) (origin string, err error) {
	view, err := engine.View()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	value, _, err := view.Get(backend.SpaceMeta, nil, originKey)
	return string(value), err
}
