package mvcc

import "context"

// Txn runs a declarative transaction.
func (s *Store) Txn(ctx context.Context, t Txn) (TxnResult, error) { return TxnResult{}, ErrReadOnly }
func (s *Store) HashKV(ctx context.Context, rev int64) (HashResult, error) {
	return HashResult{}, ErrReadOnly
}
