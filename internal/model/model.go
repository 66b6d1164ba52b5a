// Package model is a store written to be obviously right: every revision is
// kept whole in a slice, the present is a map that a transaction copies, the
// past is found by replaying. Tests compare the real store and its watches
// with it.
//
// A Store is for one goroutine.
package model

import (
	"bytes"
	"fmt"
	"maps"
	"sort"

	"github.com/watchkv/watchkv/mvcc"
)

// Store is the naive store.
type Store struct {
	rev, compact int64
	commits      []mvcc.Commit            // all of them, also below compact
	now          map[string]mvcc.KeyValue // keys alive at rev
	beside       map[string]string        // records outside history
}

// New is an empty store: revision 1, as etcd has it.
func New() *Store {
	return &Store{rev: 1, now: map[string]mvcc.KeyValue{}, beside: map[string]string{}}
}

// Rev is the current revision.
func (s *Store) Rev() int64 { return s.rev }

// CompactRev is the compact revision, 0 if there was no compaction.
func (s *Store) CompactRev() int64 { return s.compact }

// Commits is all of history, also what is compacted. Events carry Prev, as
// the key was before their revision.
func (s *Store) Commits() []mvcc.Commit { return s.commits }

// Tx is one transaction being built.
type Tx struct {
	before, now map[string]mvcc.KeyValue
	rev         int64 // the revision it gets if it changes something
	events      []mvcc.Event
	beside      map[string]string
	store       *Store
}

// Update runs fn and commits what it changed, unless it fails.
func (s *Store) Update(fn func(tx *Tx) error) (int64, error) {
	tx := &Tx{before: s.now, now: make(map[string]mvcc.KeyValue, len(s.now)), rev: s.rev + 1, beside: maps.Clone(s.beside), store: s}
	for k, kv := range s.now {
		tx.now[k] = kv
	}
	if err := fn(tx); err != nil {
		return 0, err
	}
	s.beside = tx.beside
	if len(tx.events) > 0 {
		s.rev, s.now = tx.rev, tx.now
		s.commits = append(s.commits, mvcc.Commit{Rev: tx.rev, Events: tx.events})
	}
	return s.rev, nil
}

// Put sets a key.
func (tx *Tx) Put(key, value []byte, lease int64) {
	old, alive := tx.now[string(key)]
	if !alive {
		old.CreateRevision = tx.rev
	}
	tx.add(mvcc.EventPut, mvcc.KeyValue{
		Key: bytes.Clone(key), Value: append([]byte{}, value...), Lease: lease,
		CreateRevision: old.CreateRevision, ModRevision: tx.rev, Version: old.Version + 1,
	})
}

// PutBeside sets a record outside history.
func (tx *Tx) PutBeside(key, value string) { tx.beside[key] = value }

// DeleteBeside removes one.
func (tx *Tx) DeleteBeside(key string) { delete(tx.beside, key) }

// Beside is all of them, as the transaction sees them; not to be changed.
func (tx *Tx) Beside() map[string]string { return tx.beside }

// Beside is all records outside history; not to be changed.
func (s *Store) Beside() map[string]string { return s.beside }

// LeaseKeys lists the keys that have this lease, sorted.
func (tx *Tx) LeaseKeys(lease int64) [][]byte { return leased(tx.now, lease) }

// LeaseKeys lists the keys that have this lease, sorted.
func (s *Store) LeaseKeys(lease int64) [][]byte { return leased(s.now, lease) }

func leased(state map[string]mvcc.KeyValue, lease int64) [][]byte {
	keys := [][]byte{}
	for _, kv := range inSpan(state, mvcc.Span{}) {
		if kv.Lease == lease {
			keys = append(keys, kv.Key)
		}
	}
	return keys
}

// Delete removes the keys of a span, in order, and returns what they were.
func (tx *Tx) Delete(span mvcc.Span) []mvcc.KeyValue {
	gone := tx.Keys(span)
	for _, kv := range gone {
		tx.add(mvcc.EventDelete, mvcc.KeyValue{Key: kv.Key, ModRevision: tx.rev})
	}
	return gone
}

func (tx *Tx) add(typ mvcc.EventType, kv mvcc.KeyValue) {
	e := mvcc.Event{Type: typ, KV: kv}
	if was, alive := tx.before[string(kv.Key)]; alive {
		e.Prev = &was
	}
	tx.events = append(tx.events, e)
	if typ == mvcc.EventDelete {
		delete(tx.now, string(kv.Key))
	} else {
		tx.now[string(kv.Key)] = kv
	}
}

// Written reports whether the transaction has written the key, as an Update
// closure of the real store must not do twice.
func (tx *Tx) Written(key []byte) bool {
	for _, e := range tx.events {
		if bytes.Equal(e.KV.Key, key) {
			return true
		}
	}
	return false
}

// Keys lists what the transaction sees of a span, its own writes included.
func (tx *Tx) Keys(span mvcc.Span) []mvcc.KeyValue { return inSpan(tx.now, span) }

func inSpan(state map[string]mvcc.KeyValue, span mvcc.Span) []mvcc.KeyValue {
	var out []mvcc.KeyValue
	for k, kv := range state {
		if span.Contains([]byte(k)) {
			out = append(out, kv)
		}
	}
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i].Key, out[j].Key) < 0 })
	return out
}

// at is the state at a revision, by replay.
func (s *Store) at(rev int64) map[string]mvcc.KeyValue {
	if rev == s.rev {
		return s.now
	}
	state := map[string]mvcc.KeyValue{}
	for _, c := range s.commits {
		if c.Rev > rev {
			break
		}
		for _, e := range c.Events {
			if e.Type == mvcc.EventDelete {
				delete(state, string(e.KV.Key))
			} else {
				state[string(e.KV.Key)] = e.KV
			}
		}
	}
	return state
}

// Range reads a range at a revision.
func (s *Store) Range(key, end []byte, o mvcc.RangeOptions) (mvcc.RangeResult, error) {
	switch {
	case o.Rev <= 0:
		o.Rev = s.rev
	case o.Rev > s.rev:
		return mvcc.RangeResult{}, mvcc.ErrFutureRevision
	case o.Rev < s.compact:
		return mvcc.RangeResult{}, &mvcc.CompactedError{Requested: o.Rev, Compact: s.compact}
	}
	r := answer(inSpan(s.at(o.Rev), mvcc.SpanOf(key, end)), o)
	r.Rev = s.rev
	return r, nil
}

// answer cuts what a range found to what was asked for.
func answer(kvs []mvcc.KeyValue, o mvcc.RangeOptions) mvcc.RangeResult {
	r := mvcc.RangeResult{Count: int64(len(kvs))}
	if o.CountOnly {
		return r
	}
	if o.Limit > 0 && int64(len(kvs)) > o.Limit {
		kvs, r.More = kvs[:o.Limit], true
	}
	for _, kv := range kvs {
		if o.KeysOnly {
			kv.Value, kv.Lease = nil, 0
		}
		r.KVs = append(r.KVs, kv)
	}
	return r
}

// Events is what a watch on span from revision `from` gets, of history up to
// the current revision; it is wrong to ask below the compact revision.
func (s *Store) Events(span mvcc.Span, from int64) []mvcc.Event {
	var out []mvcc.Event
	for _, c := range s.commits {
		for _, e := range c.Events {
			if c.Rev >= from && span.Contains(e.KV.Key) {
				out = append(out, e)
			}
		}
	}
	return out
}

// Compact forgets below rev.
func (s *Store) Compact(rev int64) error {
	if rev > s.rev {
		return fmt.Errorf("compact at %d, current is %d: %w", rev, s.rev, mvcc.ErrFutureRevision)
	}
	if rev <= s.compact {
		return &mvcc.CompactedError{Requested: rev, Compact: s.compact}
	}
	s.compact = rev
	return nil
}

// Bump raises the revision and compacts there.
func (s *Store) Bump(by int64) {
	s.rev += by
	s.compact = s.rev
}
