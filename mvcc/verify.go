package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"

	"github.com/watchkv/watchkv/backend"
)

// VerifyReport says what Verify looked at and found whole.
type VerifyReport struct {
	Engine     string // name and version
	Path       string // where the data stand; empty: nowhere
	Rev        int64  // everything up to it was checked
	CompactRev int64  // history is kept from here on; 0: all of it
	Keys       int64  // keys with a version up to Rev
	Records    int64  // records read, tombstones and leftovers included
	Bytes      int64  // their keys and values
	Tombstones int64
	Leftovers  int64      // records that an interrupted compaction has still to delete
	Hash       HashResult // what HashKV answers for Rev
	Checked    []string   // in words, for people
	Unchecked  []string   // what this engine has no means to see, in words
}

// Verify reads every record up to the current revision and every mark, holds
// them against each other, the index and what memory still has of them, and
// runs the engine's own checks. Damage is an error wrapping ErrDamaged that
// names the engine, the place and the key; the report then tells how far it
// came. Other errors: ErrClosed, ctx.Err() and the engine's.
//
// Readers and writers go on meanwhile, but for what the engine's own check
// says of itself; a compaction waits. It reads all data once, in bounded
// views, and needs about 60 bytes of memory for each key.
func (s *Store) Verify(ctx context.Context) (VerifyReport, error) {
	stats := s.engine.Stats()
	report := VerifyReport{Engine: stats.Version, Path: stats.Path}
	if err := s.takeToken(ctx); err != nil {
		return report, err
	}
	defer s.giveToken()
	if err := s.verify(ctx, &report); err != nil {
		return report, fmt.Errorf("verify: %w", damaged(s.engine, err))
	}
	return report, nil
}

func (s *Store) verify(ctx context.Context, report *VerifyReport) error {
	rev := s.visible.Load()
	if s.applied.Load() < rev && s.flush(rev) != nil {
		rev = s.applied.Load() // writing has ended; what is durable can be checked
	}
	report.Rev, report.CompactRev = rev, s.compactRev.Load()
	if err := s.verifyMeta(report); err != nil {
		return err
	}
	v := &verifier{
		s: s, report: report,
		seen: s.continuityFrom(1),
		keys: make(map[uint32]verifiedKey),
		hash: historyHash{compact: report.CompactRev, digest: crc32.New(crc32.MakeTable(crc32.Castagnoli))},
	}
	v.hash.keep, v.hash.passing, v.hash.anyAlive = s.survivors(rev, report.CompactRev)
	_, _ = v.hash.digest.Write([]byte("key")) // a hash never fails
	for from, more := []byte(nil), true; more; {
		var err error
		if from, more, err = v.chunk(ctx, from); err != nil {
			return err
		}
		runtime.Gosched()
	}
	if err := v.seen.reach(rev); err != nil {
		return fmt.Errorf("space key: %w", err)
	}
	if err := v.checkIndex(); err != nil {
		return err
	}
	report.Hash = HashResult{Hash: v.hash.digest.Sum32(), Rev: rev, CompactRev: report.CompactRev, HashRev: rev}
	if report.CompactRev == 0 {
		report.Hash.CompactRev = -1
	}
	report.Checked = append(report.Checked,
		"order and form of all records", "no revision and no change of one is missing in kept history",
		"create revisions and versions along the life of each key",
		"every record of kept history is in the index, and every version of the index has its record",
		"the newest records against what memory holds of them", "compaction marks, gaps, recorded end and intent")
	return s.verifyEngine(ctx, report)
}

// verifyEngine runs the engine's own checks.
func (s *Store) verifyEngine(ctx context.Context, report *VerifyReport) error {
	own, ok := s.engine.(backend.Verifier)
	if !ok {
		report.Unchecked = append(report.Unchecked, "structures of the engine: it has no check of its own")
		return nil
	}
	found, err := own.Verify(ctx)
	for _, what := range found.Checked {
		report.Checked = append(report.Checked, "by the engine: "+what)
	}
	report.Unchecked = append(report.Unchecked, found.Unchecked...)
	return err
}

// verifyMeta holds the marks on disk against those in force.
func (s *Store) verifyMeta(report *VerifyReport) error {
	view, err := s.engine.View()
	if err != nil {
		return err
	}
	meta, err := readMeta(view)
	if err := errors.Join(err, view.Close()); err != nil {
		return err
	}
	bad := ""
	switch {
	case meta.compact() != report.CompactRev:
		bad = fmt.Sprintf("the compaction marks say %d, history is kept from %d on", meta.compact(), report.CompactRev)
	case meta.end > report.Rev:
		bad = fmt.Sprintf("%s is %d, above the current revision %d", metaEnd, meta.end, report.Rev)
	case meta.intent != 0 && meta.intent <= report.Rev && s.readOnly == "":
		bad = fmt.Sprintf("%s names revision %d, which is complete", metaIntent, meta.intent)
	case s.readOnly == "" && meta.format != formatVersion:
		bad = fmt.Sprintf("%s is %d, not %d", metaFormat, meta.format, formatVersion)
	case s.relaxed() && s.readOnly == "" && s.failure.Load() == nil && meta.ceiling <= report.Rev:
		bad = fmt.Sprintf("%s is %d, not above the current revision %d", metaCeiling, meta.ceiling, report.Rev)
	case s.readOnly == "" && !slices.Equal(gapsAbove(meta.gaps, report.CompactRev), *s.gaps.Load()):
		bad = fmt.Sprintf("%s says %v, in force is %v", metaGaps, meta.gaps, *s.gaps.Load())
	}
	if bad != "" {
		return fmt.Errorf("space meta: %s: %w", bad, ErrDamaged)
	}
	return nil
}

// verifiedKey is what Verify has seen of a key so far.
type verifiedKey struct {
	life     life // of the newest version; zero for a tombstone
	newest   version
	versions int
}

type verifier struct {
	s      *Store
	report *VerifyReport
	seen   continuity
	// keys: the histories stay where they are, because compaction waits.
	keys map[uint32]verifiedKey // by id
	hash historyHash
}

// verifyChunkLen is how many records one view serves, and how many one hold
// of Store.mu looks up.
const verifyChunkLen = 1024

// chunk checks the records of one view.
func (v *verifier) chunk(ctx context.Context, from []byte) (next []byte, more bool, err error) {
	if err := v.s.readable(ctx); err != nil {
		return nil, false, err
	}
	view, err := v.s.engine.View()
	if err != nil {
		return nil, false, err
	}
	records := make([]restored, 0, verifyChunkLen)
	var names []byte
	var bad error
	err = v.s.scanRecords(view, from, firstKeyOf(v.report.Rev+1), func(key, value []byte) bool {
		if len(records) == verifyChunkLen {
			next, more = append([]byte(nil), key...), true
			return false
		}
		var r restored
		var name []byte
		if r, name, bad = v.record(key, value); bad != nil {
			return false
		}
		records = append(records, r)
		names = append(names, name...)
		return true
	})
	if err = errors.Join(bad, err, view.Close()); err != nil {
		return nil, false, err
	}
	return next, more, v.lookUp(records, names)
}

// record checks what can be said of a record by itself and its place.
func (v *verifier) record(key, value []byte) (restored, []byte, error) {
	r, name, err := restoreRecord(key, value)
	if err != nil {
		return r, nil, err
	}
	if err := v.seen.add(r.kr); err != nil {
		return r, nil, fmt.Errorf("space key: %w", err)
	}
	if _, err := eventOf(r.kr, value); err != nil {
		return r, nil, fmt.Errorf("space key: key %q: %w", name, err)
	}
	if e := v.s.tail.event(r.kr); e != nil && !bytes.Equal(e.record, value) {
		return r, nil, fmt.Errorf("space key: revision %d/%d: the record of key %q is not what was written: %w", r.kr.Main, r.kr.Sub, name, ErrDamaged)
	}
	v.report.Records++
	v.report.Bytes += int64(len(key) + len(value))
	if r.kr.Tombstone {
		v.report.Tombstones++
	}
	v.hash.add(r.kr, key, value)
	return r, name, nil
}

// lookUp holds records, whose keys stand in names end to end, against the
// index and the versions before them.
func (v *verifier) lookUp(records []restored, names []byte) error {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for _, r := range records {
		name := names[:r.keyLen]
		names = names[r.keyLen:]
		h, ok := v.s.index.find(name)
		if !ok || !h.holds(r.kr) {
			if r.kr.Main <= v.report.CompactRev {
				v.report.Leftovers++
				continue
			}
			return fmt.Errorf("space key: revision %d/%d: key %q has no such version in the index: %w", r.kr.Main, r.kr.Sub, name, ErrDamaged)
		}
		k := v.keys[h.id]
		before := keyEntry{newest: k.newest, create: k.life.create, count: k.life.count}
		if bad := before.follows(r.kr, r.life, v.report.CompactRev); bad != "" {
			return fmt.Errorf("space key: revision %d/%d: key %q %s: %w", r.kr.Main, r.kr.Sub, name, bad, ErrDamaged)
		}
		v.keys[h.id] = verifiedKey{life: r.life, newest: makeVersion(r.kr), versions: k.versions + 1}
	}
	return nil
}

// checkIndex looks for versions that no record was found for.
func (v *verifier) checkIndex() (err error) {
	v.s.walkIndex(Span{}, func(h keyHistory) bool {
		n := h.search(v.report.Rev + 1)
		found := v.keys[h.id]
		switch {
		case n == 0:
			return true // it came after Rev
		case found.versions != n:
			err = fmt.Errorf("space key: key %q has %d versions up to revision %d in the index and %d records: %w", h.key(), n, v.report.Rev, found.versions, ErrDamaged)
		case n == h.len() && found.life != life{h.create, h.count}:
			err = fmt.Errorf("space key: key %q has create revision %d and version %d in the index, %d and %d in its newest record: %w",
				h.key(), h.create, h.count, found.life.create, found.life.count, ErrDamaged)
		}
		v.report.Keys++
		return err == nil
	})
	return err
}
