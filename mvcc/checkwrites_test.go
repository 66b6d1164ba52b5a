package mvcc

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naiveWrites is the duplicate rule said the slow way: it lists the writes of
// a branch, each with the operation of this level that it comes from.
type naiveWrite struct {
	key, end string // of a delete; a put has its key alone
	delete   bool
	from     int  // operation of this level
	nested   bool // it comes from a nested transaction
	inElse   bool // of its Else branch
}

func naiveList(ops []Op) ([]naiveWrite, bool) {
	var list []naiveWrite
	for i, op := range ops {
		switch op.Type {
		case OpPut:
			list = append(list, naiveWrite{key: string(op.Key), from: i})
		case OpDeleteRange:
			list = append(list, naiveWrite{key: string(op.Key), end: string(op.End), delete: true, from: i})
		case OpTxn:
			for _, inElse := range []bool{false, true} {
				branch := op.Txn.Then
				if inElse {
					branch = op.Txn.Else
				}
				nested, ok := naiveList(branch)
				if !ok {
					return nil, false
				}
				for _, w := range nested {
					w.from, w.nested, w.inElse = i, true, inElse
					list = append(list, w)
				}
			}
		}
	}
	for _, a := range list {
		for _, b := range list {
			if naiveClash(a, b) {
				return nil, false
			}
		}
	}
	for i, a := range list {
		for _, b := range list[i+1:] {
			if !a.delete && !b.delete && a.key == b.key && (a.from != b.from) {
				return nil, false
			}
		}
	}
	return list, true
}

// naiveClash reports whether put a meets delete b.
func naiveClash(a, b naiveWrite) bool {
	if a.delete || !b.delete || b.end == "\x00" {
		return false
	}
	if b.end == "" && a.key != b.key || b.end != "" && (a.key < b.key || a.key >= b.end) {
		return false
	}
	switch {
	case !b.nested: // a delete of this level meets every put
		return true
	case !a.nested: // a put of this level meets every delete
		return true
	}
	return b.from < a.from
}

func drawOps(t *rapid.T, depth int) []Op {
	var ops []Op
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		key := rapid.StringMatching(`[a-c]`).Draw(t, "key")
		switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			ops = append(ops, nestedOp(drawOps(t, depth-1), drawOps(t, depth-1)))
		case kind == 1:
			ops = append(ops, deleteOp(key, rapid.SampledFrom([]string{"", "b", "c", "d", "\x00"}).Draw(t, "end")))
		default:
			ops = append(ops, putOp(key, ""))
		}
	}
	return ops
}

func checkDuplicates(t *rapid.T) {
	ops := drawOps(t, 3)
	_, ok := naiveList(ops)
	_, _, err := checkWrites(ops)
	if ok {
		require.NoError(t, err, fmt.Sprintf("%+v", ops))
	} else {
		require.ErrorIs(t, err, ErrDuplicateKey, fmt.Sprintf("%+v", ops))
	}
}

// E2
func TestCheckWrites_AgainstNaive(t *testing.T) { rapid.Check(t, checkDuplicates) }

// FuzzTxnCheck holds the duplicate rule against the slow way to say it.
func FuzzTxnCheck(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkDuplicates)) }
