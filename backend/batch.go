package backend

import "fmt"

// MaxKeyBytes is the longest key a batch may carry: bbolt's bound, the
// smallest of the engines'.
const MaxKeyBytes = 32768

// OpKind tells the operations of a Batch apart.
type OpKind byte

const (
	OpPut    OpKind = 1 // set key to value
	OpAppend OpKind = 2 // OpPut, promising that key is above all of its space
	OpDelete OpKind = 3 // remove key; a missing one is no error
)

// Op is one operation of a Batch. Its slices belong to the batch.
type Op struct {
	Kind  OpKind
	Space Space
	Key   []byte
	Value []byte
}

// opOverhead is what an operation counts beside its bytes in Batch.Size: more
// than any of the engines adds to an entry.
const opOverhead = 32

// Batch is an ordered list of operations for Engine.Apply. The zero value is
// empty and ready. Not safe for concurrent use.
type Batch struct {
	ops  []Op
	size int64
}

// Put sets key to value. The batch keeps both slices: they must not change
// until the Apply that takes the batch has returned.
func (b *Batch) Put(s Space, key, value []byte) { b.add(Op{OpPut, s, key, value}) }

// Append is Put for a key that is greater than every other key of the space,
// on disk and in this batch; engines with pages fill them tighter. The slices
// are kept as by Put.
func (b *Batch) Append(s Space, key, value []byte) { b.add(Op{OpAppend, s, key, value}) }

// Delete removes key. The slice is kept as by Put.
func (b *Batch) Delete(s Space, key []byte) { b.add(Op{OpDelete, s, key, nil}) }

func (b *Batch) add(op Op) {
	b.ops = append(b.ops, op)
	b.size += int64(len(op.Key)) + int64(len(op.Value)) + opOverhead
}

// Ops returns the operations in order. The slice is the batch's own.
func (b *Batch) Ops() []Op { return b.ops }

// Len is the number of operations.
func (b *Batch) Len() int { return len(b.ops) }

// Size is what the batch weighs against Stats.MaxBatchBytes: key and value
// bytes and a fixed overhead for each operation.
func (b *Batch) Size() int64 { return b.size }

// Check is for engines: it answers what an Apply must refuse before anything
// happens. maxBytes and maxOps are the engine's own, 0 for no bound.
func (b *Batch) Check(spaces *SpaceSet, maxBytes int64, maxOps int) error {
	if maxBytes > 0 && b.size > maxBytes {
		return fmt.Errorf("batch of %d bytes in %d operations, at most %d bytes: %w", b.size, len(b.ops), maxBytes, ErrBatchTooLarge)
	}
	if maxOps > 0 && len(b.ops) > maxOps {
		return fmt.Errorf("batch of %d operations, at most %d: %w", len(b.ops), maxOps, ErrBatchTooLarge)
	}
	for i := range b.ops {
		op := &b.ops[i]
		if !spaces[op.Space] {
			return fmt.Errorf("operation %d in space %d: %w", i, op.Space, ErrUnknownSpace)
		}
		if len(op.Key) == 0 || len(op.Key) > MaxKeyBytes {
			return fmt.Errorf("operation %d has a key of %d bytes, 1 to %d fit: %w", i, len(op.Key), MaxKeyBytes, ErrKeySize)
		}
	}
	return nil
}

// Reset empties the batch and keeps its memory for reuse.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops = b.ops[:0]
	b.size = 0
}
