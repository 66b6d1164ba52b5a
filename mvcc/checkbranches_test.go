package mvcc

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a branch asks for is held against the state before it, and only of the
// branches that run.
func TestTxn_CheckedBeforeItRuns(t *testing.T) {
	gone := errors.New("no such lease")
	atRev := func(rev int64) Op { return Op{Type: OpRange, Key: []byte("a"), Range: RangeOptions{Rev: rev}} }
	leased := func(key string, id int64) Op { return Op{Type: OpPut, Key: []byte(key), Lease: id} }
	for _, test := range []struct {
		name string
		then []Op
		want error
	}{
		{"revision that the transaction itself makes", []Op{leased("x", 0), atRev(5)}, ErrFutureRevision},
		{"revision before", []Op{leased("x", 0), atRev(4)}, nil},
		{"compacted", []Op{atRev(2)}, ErrCompacted},
		{"negative", []Op{atRev(-2)}, ErrCompacted},
		{"unknown lease", []Op{leased("x", 9)}, gone},
		{"known lease", []Op{leased("x", 1)}, nil},
		{"the first that is wrong", []Op{leased("x", 9), atRev(99)}, gone},
		{"the first that is wrong, turned round", []Op{atRev(99), leased("x", 9)}, ErrFutureRevision},
		{"key that the transaction itself makes", []Op{{Type: OpTxn, Txn: &Txn{Then: []Op{leased("new", 0)}}},
			{Type: OpPut, Key: []byte("other"), IgnoreValue: true}}, ErrKeyMissing},
		{"nested", []Op{{Type: OpTxn, Txn: &Txn{Then: []Op{leased("x", 9)}}}}, gone},
		{"nested, not chosen", []Op{{Type: OpTxn, Txn: &Txn{Else: []Op{leased("x", 9), atRev(99)}}}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openMem(t, Config{})
			put(t, s, "a", "1") // 2
			put(t, s, "a", "2") // 3
			put(t, s, "b", "1") // 4
			require.NoError(t, s.Compact(ctx, 3))
			txn := Txn{Then: test.then, CheckLease: func(id int64) error {
				if id != 1 {
					return gone
				}
				return nil
			}}
			_, err := s.Txn(ctx, txn)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.want)
			require.EqualValues(t, 4, s.Rev())
		})
	}
}
