package backendtest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
)

// FuzzBatch turns bytes into batches, four bytes an operation, and compares
// what the reference engine holds after each with the model. A batch ends at
// an operation of kind 3.
func FuzzBatch(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 1, 5, 2, 0, 1, 0, 3, 0, 0, 0, 1, 0, 9, 9})
	f.Add([]byte{1, 1, 7, 0, 1, 1, 7, 1, 0, 1, 0, 2, 3, 3, 3, 3, 2, 1, 7, 0, 0, 3, 200, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := mem.Open("", backend.Options{})
		require.NoError(t, err)
		want := newModel()
		staged := want.clone()
		var b backend.Batch
		apply := func() {
			var size int64
			for _, op := range b.Ops() {
				size += int64(len(op.Key) + len(op.Value) + 32)
			}
			require.Equal(t, size, b.Size())
			require.NoError(t, e.Apply(&b, backend.Sync))
			want.apply(&b)
			require.Equal(t, staged, want)
			b.Reset()
			require.Zero(t, b.Len())
			require.Zero(t, b.Size())
			v, err := e.View()
			require.NoError(t, err)
			requireSame(t, want, v)
			require.NoError(t, v.Close())
		}
		for ; len(data) >= 4; data = data[4:] {
			op := backend.Op{
				Kind:  backend.OpKind(data[0]%4 + 1),
				Space: backend.Space(data[1]%4 + 1),
				Key:   bytes.Repeat([]byte{data[2]}, int(data[2]%3)+1),
				Value: bytes.Repeat([]byte{data[3]}, int(data[3]%5)),
			}
			if op.Kind == 4 {
				apply()
				continue
			}
			if op.Kind == backend.OpAppend && string(op.Key) <= staged.last(op.Space) {
				op.Kind = backend.OpPut // Append promises a greater key
			}
			var one backend.Batch
			addOp(&one, op)
			addOp(&b, op)
			staged.apply(&one)
		}
		apply()
		require.NoError(t, e.Close())
	})
}
