package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/watchkv/watchkv/backend"
)

// Keys of the meta space. The first two are etcd's, with etcd's values: the
// 17 bytes of a record key. The rest are ours; etcd leaves them alone. Numbers
// are 8 bytes, big endian.
var (
	metaScheduled = []byte("scheduledCompactRev")
	metaFinished  = []byte("finishedCompactRev")
	metaFormat    = []byte("watchkv_format")  // format version
	metaCeiling   = []byte("watchkv_ceiling") // first revision not reserved; only while open in Relaxed
	metaEnd       = []byte("watchkv_end")     // last revision at a clean close
	metaGaps      = []byte("watchkv_gaps")    // pairs of tail and ceiling
	metaIntent    = []byte("watchkv_intent")  // revision being written in parts
	metaLoading   = []byte("watchkv_loading") // a Loader has not finished
)

// formatVersion is the layout written by this program.
const formatVersion = 1

// gap is a stretch of revisions (tail, ceiling] that an unclean stop in
// Relaxed may have lost. Whatever was shown there is gone; none of its numbers
// is used again.
type gap struct{ tail, ceiling int64 }

// metaState is what the meta space holds. Revisions that are not there are 0.
type metaState struct {
	scheduled, finished          int64
	format, ceiling, end, intent int64
	loading                      bool
	gaps                         []gap
}

// compact is the revision below which history may be gone.
func (m *metaState) compact() int64 { return max(m.scheduled, m.finished) }

func readMeta(v backend.View) (metaState, error) {
	var m metaState
	var err error
	number := func(key []byte) (n int64) {
		if err == nil {
			n, err = readNumber(v, key)
		}
		return n
	}
	m.format = number(metaFormat)
	if err == nil && m.format > formatVersion {
		return m, fmt.Errorf("the data has format %d, this program reads up to %d: %w", m.format, formatVersion, ErrFormat)
	}
	m.loading = number(metaLoading) != 0
	m.ceiling, m.end, m.intent = number(metaCeiling), number(metaEnd), number(metaIntent)
	mark := func(key []byte) (rev int64) {
		if err == nil {
			rev, err = readMark(v, key)
		}
		return rev
	}
	m.scheduled, m.finished = mark(metaScheduled), mark(metaFinished)
	if err == nil && m.scheduled > 0 && m.finished > m.scheduled {
		err = fmt.Errorf("meta %s is %d, above %s, which is %d: %w", metaFinished, m.finished, metaScheduled, m.scheduled, ErrDamaged)
	}
	if err == nil {
		m.gaps, err = readGaps(v)
	}
	return m, err
}

func readNumber(v backend.View, key []byte) (int64, error) {
	b, ok, err := v.Get(backend.SpaceMeta, nil, key)
	if err != nil || !ok {
		return 0, err
	}
	if len(b) != 8 || b[0] > 127 {
		return 0, fmt.Errorf("meta %s is %x, 8 bytes of a number expected: %w", key, b, ErrDamaged)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func readMark(v backend.View, key []byte) (int64, error) {
	b, ok, err := v.Get(backend.SpaceMeta, nil, key)
	if err != nil || !ok {
		return 0, err
	}
	kr, err := parseRevKey(b)
	if err != nil {
		return 0, fmt.Errorf("meta %s: %w", key, err)
	}
	return kr.Main, nil
}

func readGaps(v backend.View) ([]gap, error) {
	b, ok, err := v.Get(backend.SpaceMeta, nil, metaGaps)
	if err != nil || !ok {
		return nil, err
	}
	var gaps []gap
	for rest := b; len(rest) > 0; rest = rest[16:] {
		if len(rest) < 16 {
			return nil, fmt.Errorf("meta %s has %d bytes, a multiple of 16 expected: %w", metaGaps, len(b), ErrDamaged)
		}
		g := gap{int64(binary.BigEndian.Uint64(rest)), int64(binary.BigEndian.Uint64(rest[8:]))}
		if g.tail < 0 || g.ceiling <= g.tail || len(gaps) > 0 && g.tail < gaps[len(gaps)-1].ceiling {
			return nil, fmt.Errorf("meta %s holds the gap from %d to %d: %w", metaGaps, g.tail, g.ceiling, ErrDamaged)
		}
		gaps = append(gaps, g)
	}
	return gaps, nil
}

func putMeta(key, value []byte) backend.Op {
	return backend.Op{Kind: backend.OpPut, Space: backend.SpaceMeta, Key: key, Value: value}
}

func putNumber(key []byte, n int64) backend.Op {
	return putMeta(key, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func putMark(key []byte, rev int64) backend.Op {
	return putMeta(key, firstKeyOf(rev))
}

// putGaps replaces the list of gaps.
func putGaps(gaps []gap) backend.Op {
	var b []byte
	for _, g := range gaps {
		b = binary.BigEndian.AppendUint64(b, uint64(g.tail))
		b = binary.BigEndian.AppendUint64(b, uint64(g.ceiling))
	}
	if b == nil {
		return deleteMeta(metaGaps)
	}
	return putMeta(metaGaps, b)
}

func deleteMeta(key []byte) backend.Op {
	return backend.Op{Kind: backend.OpDelete, Space: backend.SpaceMeta, Key: key}
}

func addOp(b *backend.Batch, op backend.Op) {
	if op.Kind == backend.OpDelete {
		b.Delete(op.Space, op.Key)
		return
	}
	b.Put(op.Space, op.Key, op.Value)
}

func addOps(b *backend.Batch, ops []backend.Op) {
	for _, op := range ops {
		addOp(b, op)
	}
}

// applyMetaLocked makes meta durable by itself. A failure ends writing. Needs
// applyMu.
func (s *Store) applyMetaLocked(what string, meta ...backend.Op) error {
	if f := s.failure.Load(); f != nil {
		return f.err()
	}
	s.batch.Reset()
	addOps(&s.batch, meta)
	if err := s.applyLocked(&s.batch, backend.Sync); err != nil {
		return s.fail(fmt.Errorf("%s: %w", what, err))
	}
	return nil
}
