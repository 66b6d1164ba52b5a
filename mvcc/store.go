package mvcc

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/backend"
)

var errStub = errors.New("mvcc: not there yet")

// Store is a multi-version key-value store over one engine.
type Store struct{}

// WriteTx is the handle of one Update closure.
type WriteTx struct{}

func Open(engine backend.Engine, cfg Config) (*Store, error) { return nil, errStub }
func (s *Store) Close() error                                { return errStub }
func (s *Store) Rev() int64                                  { return 1 }
func (s *Store) CompactRev() int64                           { return 0 }
func (s *Store) Config() Config                              { return Config{} }
func (s *Store) ReadOnly() (reason string, readOnly bool)    { return "", false }
func (s *Store) Stats() Stats                                { return Stats{} }
func (s *Store) Put(ctx context.Context, key, value []byte) (rev int64, err error) {
	return 0, errStub
}
func (s *Store) DeleteRange(ctx context.Context, key, end []byte) (DeleteResult, error) {
	return DeleteResult{}, errStub
}
func (s *Store) Txn(ctx context.Context, t Txn) (TxnResult, error) { return TxnResult{}, errStub }
func (s *Store) Update(ctx context.Context, fn func(tx *WriteTx) error) (rev int64, err error) {
	return 0, errStub
}
func (tx *WriteTx) Rev() int64                                       { return 0 }
func (tx *WriteTx) Put(key, value []byte, lease int64) error         { return errStub }
func (tx *WriteTx) DeleteRange(key, end []byte) (int64, error)       { return 0, errStub }
func (tx *WriteTx) Get(key []byte) (kv KeyValue, ok bool, err error) { return kv, false, errStub }
func (tx *WriteTx) Range(key, end []byte, o RangeOptions) (RangeResult, error) {
	return RangeResult{}, errStub
}
func (s *Store) Compact(ctx context.Context, rev int64) error { return errStub }
func (s *Store) Bump(ctx context.Context, by int64) error     { return errStub }
func (s *Store) Get(key []byte, rev int64) (kv KeyValue, ok bool, err error) {
	return kv, false, errStub
}
func (s *Store) Range(key, end []byte, o RangeOptions) (RangeResult, error) {
	return RangeResult{}, errStub
}
func (s *Store) HashKV(ctx context.Context, rev int64) (HashResult, error) {
	return HashResult{}, errStub
}
func (s *Store) Wait(ctx context.Context, rev int64) error { return errStub }
func (s *Store) Recent(dst []Commit, from int64, maxCommits int) (commits []Commit, first int64, ok bool) {
	return dst, 0, false
}
func (s *Store) RecentFirst() int64 { return 2 }
func (s *Store) History(ctx context.Context, q HistoryQuery) (Chunk, error) {
	return Chunk{}, errStub
}
func (s *Store) Revisions(dst []KeyRev, span Span, from, to int64, lim RevLimits) (revs []KeyRev, cut bool, visited int) {
	return dst, false, 0
}
func (s *Store) CountRevisions(span Span, from int64, maxKeys, maxRevs int) (n int, exact bool) {
	return 0, true
}
func (s *Store) Newest(dst []KeyRev, span Span, from, to int64, keep int) (revs []KeyRev, cut bool) {
	return dst, false
}
func (s *Store) ReadRevisions(ctx context.Context, dst []Event, revs []KeyRev) ([]Event, error) {
	return dst, errStub
}
func (s *Store) Previous(ctx context.Context, dst []*KeyValue, evs []*Event) (prev []*KeyValue, missing int, err error) {
	return dst, 0, errStub
}
func (s *Store) VersionAt(key []byte, rev int64) (kr KeyRev, ok bool) { return kr, false }
func (s *Store) CheckStart(rev int64) error                           { return errStub }
