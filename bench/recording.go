package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Recording is a history that was written elsewhere, decoded without the code
// under test: what replaying watches must deliver.
type Recording struct {
	Facts Source

	keys    []string // that have events from start on, ascending
	start   int64    // first revision of which history is complete
	bytes   int64    // keys and values from start on
	rev     int64    // current revision
	history *watchtest.History
}

// ErrNoHistory: the file is fine and holds no event.
var ErrNoHistory = errors.New("bench: holds no history")

// ReadRecording decodes the history in an engine that was opened read-only.
// The name and size of its file are for the result.
func ReadRecording(name string, size int64, engine backend.Engine) (rec *Recording, err error) {
	view, err := engine.View()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	r := &Recording{Facts: Source{File: name, Bytes: size}}
	if r.Facts.CompactRev, err = compactRevision(view); err != nil {
		return nil, err
	}
	r.start = max(1, r.Facts.CompactRev)
	last, err := lastRevision(view)
	if err != nil {
		return nil, err
	}
	if last == 0 {
		return nil, ErrNoHistory
	}
	r.rev = max(last, r.Facts.CompactRev)
	// A watch may see a value only as it was stored, so bytes are compared.
	r.history = watchtest.NewHistory(watchtest.HistoryConfig{After: r.rev})
	return r, r.read(view)
}

func (r *Recording) read(view backend.View) error {
	keys := map[string]bool{}
	var bad error
	err := view.Scan(backend.SpaceKey, nil, nil, func(k, v []byte) bool {
		main, tombstone, err := recordKey(k)
		if err != nil {
			bad = err
			return false
		}
		var kv mvccpb.KeyValue
		if err := proto.Unmarshal(v, &kv); err != nil {
			bad = fmt.Errorf("record at revision %d: %w", main, err)
			return false
		}
		seen := mvcc.KeyValue{Key: kv.Key, ModRevision: main}
		if !tombstone {
			seen.Value, seen.CreateRevision, seen.Version, seen.Lease = kv.Value, kv.CreateRevision, kv.Version, kv.Lease
		}
		if bad = r.history.Seed(seen); bad != nil {
			return false
		}
		if main < r.start {
			return true
		}
		if main != r.Facts.LastRev {
			r.Facts.Revisions++
		}
		if r.Facts.Events == 0 {
			r.Facts.FirstRev = main
		}
		r.Facts.LastRev = main
		r.Facts.Events++
		r.bytes += int64(len(seen.Key) + len(seen.Value))
		keys[string(seen.Key)] = true
		return true
	})
	if err := errors.Join(bad, err); err != nil {
		return fmt.Errorf("read %s: %w", r.Facts.File, err)
	}
	if r.Facts.Events == 0 {
		return ErrNoHistory
	}
	for key := range keys {
		r.keys = append(r.keys, key)
	}
	sort.Strings(r.keys)
	r.Facts.Keys = int64(len(r.keys))
	return nil
}

// Plan is the plan of replaying the recording. Settings that a replay has no
// use for are ignored.
func (r *Recording) Plan(s Settings) (Plan, error) {
	if err := s.validate(); err != nil {
		return Plan{}, err
	}
	p := Plan{Seed: s.Seed, Count: max(1, s.Count)}
	for _, shape := range shapesOr(s.Shape, Prefix, OneKey) {
		if shape == Ranges {
			return Plan{}, &SettingError{"shape", string(shape), "a replayed history is watched as one-key, prefix (the whole keyspace) or all"}
		}
		sc := Scenario{Name: Replay, Shape: shape, Watchers: either(s.Watchers, defaultReplayers), Keys: len(r.keys), History: r.Facts.Revisions}
		s.spread(&sc)
		if err := s.fits(sc); err != nil {
			return Plan{}, err
		}
		p.Scenarios = append(p.Scenarios, sc)
	}
	return p, nil
}

// workload of a recording has its keys; it writes nothing.
func (r *Recording) workload() *workload {
	w := &workload{}
	for _, key := range r.keys {
		w.keys = append(w.keys, []byte(key))
	}
	return w
}

// recordKey reads the key of a stored record: main revision, '_', sub
// revision, both 8 bytes big endian, and 't' for a tombstone.
func recordKey(k []byte) (main int64, tombstone bool, err error) {
	if len(k) < 17 || len(k) > 18 || k[8] != '_' || len(k) == 18 && k[17] != 't' {
		return 0, false, fmt.Errorf("record key %x is no revision", k)
	}
	return int64(binary.BigEndian.Uint64(k)), len(k) == 18, nil
}

// compactRevision is the revision below which history may be gone; 0: none.
func compactRevision(view backend.View) (rev int64, err error) {
	for _, name := range []string{"scheduledCompactRev", "finishedCompactRev"} {
		value, ok, err := view.Get(backend.SpaceMeta, nil, []byte(name))
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		main, _, err := recordKey(value)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		rev = max(rev, main)
	}
	return rev, nil
}

func lastRevision(view backend.View) (last int64, err error) {
	var bad error
	err = view.Scan(backend.SpaceKey, nil, nil, func(k, _ []byte) bool {
		last, _, bad = recordKey(k)
		return bad == nil
	})
	return last, errors.Join(bad, err)
}
