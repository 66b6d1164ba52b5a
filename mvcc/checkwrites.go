package mvcc

import (
	"fmt"
	"maps"
)

// checkWrites answers ErrDuplicateKey if ops could put a key twice, or put a
// key that a range deleted beside it covers, else what the operations may put
// and delete. The rule is etcd's to the letter, since clients depend on what
// it lets pass:
//
//   - Puts of one level are held against each other, against all deletes of
//     the level, and against whatever its nested transactions may do.
//   - Puts of a nested transaction are held against all deletes of the level
//     above it, and against puts and deletes of nested transactions before it.
//     Deletes of a nested transaction behind it are not looked at: such a put
//     passes and the later transaction deletes it.
//   - The two branches of one transaction are not held against each other.
//   - Deletes may overlap.
//   - A delete of every key from one on (end is the byte 0x00) covers nothing
//     here: etcd reads that end as a key, which makes an empty range.
//
// So a key may have two events in one revision after all, by the second and
// the last point; both are kept, in order.
func checkWrites(ops []Op) (puts map[string]bool, deletes []Span, err error) {
	puts = make(map[string]bool)
	for i := range ops {
		if op := &ops[i]; op.Type == OpDeleteRange {
			if span := (Span{Lo: op.Key, Hi: op.End}); len(op.End) > 0 {
				deletes = append(deletes, span)
			} else {
				deletes = append(deletes, SpanOf(op.Key, nil))
			}
		}
	}
	for i := range ops {
		if ops[i].Type != OpTxn {
			continue
		}
		inThen, deletedThen, err := checkWrites(ops[i].Txn.Then)
		if err != nil {
			return nil, nil, err
		}
		inElse, deletedElse, err := checkWrites(ops[i].Txn.Else)
		if err != nil {
			return nil, nil, err
		}
		for _, branch := range [2]map[string]bool{inThen, inElse} {
			for key := range branch {
				if puts[key] || covered(deletes, key) {
					return nil, nil, fmt.Errorf("key %q: %w", key, ErrDuplicateKey)
				}
			}
		}
		maps.Copy(puts, inThen)
		maps.Copy(puts, inElse)
		deletes = append(append(deletes, deletedThen...), deletedElse...)
	}
	for i := range ops {
		if ops[i].Type != OpPut {
			continue
		}
		key := string(ops[i].Key)
		if puts[key] || covered(deletes, key) {
			return nil, nil, fmt.Errorf("key %q: %w", key, ErrDuplicateKey)
		}
		puts[key] = true
	}
	return puts, deletes, nil
}

func covered(deletes []Span, key string) bool {
	for _, d := range deletes {
		if d.Contains([]byte(key)) {
			return true
		}
	}
	return false
}
