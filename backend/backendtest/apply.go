package backendtest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func applyCases() []testCase {
	return []testCase{
		{"OrderInBatch", "Apply writes the batch, all or nothing, in the order of its operations.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("kept", "0", "gone", "0")
			var b backend.Batch
			key := func(s string) []byte { return []byte(s) }
			b.Put(backend.SpaceKey, key("a"), key("1"))
			b.Delete(backend.SpaceKey, key("a"))
			b.Delete(backend.SpaceKey, key("b"))
			b.Put(backend.SpaceKey, key("b"), key("1"))
			b.Put(backend.SpaceKey, key("c"), key("1"))
			b.Put(backend.SpaceKey, key("c"), key("2"))
			b.Delete(backend.SpaceKey, key("gone"))
			b.Put(backend.SpaceKey, key("d"), key("1"))
			b.Delete(backend.SpaceKey, key("d"))
			b.Put(backend.SpaceKey, key("d"), key("3"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Equal(t, []string{"b", "1", "c", "2", "d", "3", "kept", "0"}, f.contents(backend.SpaceKey))
		}},
		{"DeleteMissing", "OpDelete removes key; a missing one is no error.", func(t *testing.T, f *fixture) {
			f.open()
			var b backend.Batch
			b.Delete(backend.SpaceKey, []byte("never"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Empty(t, f.contents(backend.SpaceKey))
		}},
		{"EmptyBatch", "The zero value of Batch is empty and ready.", func(t *testing.T, f *fixture) {
			f.open()
			var b backend.Batch
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			require.NoError(t, f.engine.Apply(&b, backend.NoSync))
			assert.Empty(t, f.contents(backend.SpaceKey))
		}},
		{"BatchIsReusable", "The batch is the caller's again when Apply returns.", func(t *testing.T, f *fixture) {
			f.open()
			var b backend.Batch
			key, value := []byte("key-1"), []byte("value-1")
			for i := range 3 {
				key[4], value[6] = '1'+byte(i), '1'+byte(i)
				b.Put(backend.SpaceKey, key, value)
				require.NoError(t, f.engine.Apply(&b, backend.Sync))
				b.Reset()
			}
			copy(key, "xxxxx")
			copy(value, "yyyyyyy")
			assert.Equal(t, []string{"key-1", "value-1", "key-2", "value-2", "key-3", "value-3"}, f.contents(backend.SpaceKey))
		}},
		{"Append", "Append is Put for a key that is greater than every other key of the space.", func(t *testing.T, f *fixture) {
			f.open()
			var want []string
			for i := range 20 {
				var b backend.Batch
				for j := range 50 {
					key, value := fmt.Sprintf("%06d", i*50+j), fmt.Sprintf("value %d", j)
					b.Append(backend.SpaceKey, []byte(key), []byte(value))
					want = append(want, key, value)
				}
				require.NoError(t, f.engine.Apply(&b, backend.Sync))
			}
			assert.Equal(t, want, f.contents(backend.SpaceKey))
		}},
		{"EmptyValue", "An empty value differs from a missing key.", func(t *testing.T, f *fixture) {
			f.open()
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("nil"), nil)
			b.Append(backend.SpaceKey, []byte("zero"), []byte{})
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			f.withView(func(v backend.View) {
				for _, key := range []string{"nil", "zero"} {
					value, ok, err := v.Get(backend.SpaceKey, []byte("dst:"), []byte(key))
					require.NoError(t, err)
					assert.True(t, ok, key)
					assert.Equal(t, "dst:", string(value), key)
				}
				value, ok, err := v.Get(backend.SpaceKey, []byte("dst:"), []byte("missing"))
				require.NoError(t, err)
				assert.False(t, ok)
				assert.Equal(t, "dst:", string(value))
			})
			assert.Equal(t, []string{"nil", "", "zero", ""}, f.contents(backend.SpaceKey))
		}},
		{"Spaces", "Keys of different spaces never meet.", func(t *testing.T, f *fixture) {
			f.open()
			var b backend.Batch
			for _, info := range backend.DefaultSpaces() {
				b.Put(info.Space, []byte("key"), []byte(info.Name))
				b.Put(info.Space, []byte{0xff, 0xff}, []byte("last"))
				b.Put(info.Space, []byte{0}, []byte("first"))
			}
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			for _, info := range backend.DefaultSpaces() {
				assert.Equal(t, []string{"\x00", "first", "key", info.Name, "\xff\xff", "last"}, f.contents(info.Space), info.Name)
			}
			b.Reset()
			b.Delete(backend.SpaceMeta, []byte("key"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Equal(t, []string{"\x00", "first", "\xff\xff", "last"}, f.contents(backend.SpaceMeta))
			assert.Len(t, f.contents(backend.SpaceKey), 6)
		}},
		{"UnknownSpace", "ErrUnknownSpace: the space was not registered in Options.Spaces; nothing happened.", func(t *testing.T, f *fixture) {
			f.openWith(backend.Options{Spaces: []backend.SpaceInfo{{Space: backend.SpaceKey, Name: "key"}}})
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("a"), []byte("1"))
			b.Put(backend.SpaceMeta, []byte("a"), []byte("1"))
			require.ErrorIs(t, f.engine.Apply(&b, backend.Sync), backend.ErrUnknownSpace)
			assert.Empty(t, f.contents(backend.SpaceKey))
			f.withView(func(v backend.View) {
				_, _, err := v.Get(backend.SpaceMeta, nil, []byte("a"))
				require.ErrorIs(t, err, backend.ErrUnknownSpace)
				err = v.Scan(backend.SpaceMeta, nil, nil, func(k, v []byte) bool { return true })
				require.ErrorIs(t, err, backend.ErrUnknownSpace)
			})
		}},
		{"KeySize", "ErrKeySize: a key of a batch is empty or longer than MaxKeyBytes; nothing happened.", func(t *testing.T, f *fixture) {
			f.open()
			longest := bytes.Repeat([]byte("k"), backend.MaxKeyBytes)
			for _, key := range [][]byte{nil, {}, append(longest, 'k')} {
				var b backend.Batch
				b.Put(backend.SpaceKey, []byte("a"), []byte("1"))
				b.Put(backend.SpaceKey, key, []byte("1"))
				require.ErrorIs(t, f.engine.Apply(&b, backend.Sync), backend.ErrKeySize)
			}
			assert.Empty(t, f.contents(backend.SpaceKey))
			f.put(string(longest), "fits")
			assert.Equal(t, []string{string(longest), "fits"}, f.contents(backend.SpaceKey))
		}},
		{"BatchTooLarge", "A batch above the engine's stated maximum is refused with ErrBatchTooLarge and leaves nothing behind.", batchTooLarge},
		{"LargeValues", "Apply takes every batch within the stated maximum.", func(t *testing.T, f *fixture) {
			f.open()
			var want []string
			for i, size := range []int{1 << 10, 1<<16 - 1, 1 << 16, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
				key := fmt.Sprintf("key-%d", i)
				value := bytes.Repeat([]byte{byte(i), 7, 0}, size)[:size]
				f.put(key, string(value))
				want = append(want, key, string(value))
			}
			// Not assert.Equal: its diff of megabytes would say nothing.
			assert.True(t, equal(want, f.contents(backend.SpaceKey)))
			if f.driver.Volatile {
				return
			}
			f.close()
			f.open()
			assert.True(t, equal(want, f.contents(backend.SpaceKey)))
		}},
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// batchTooLarge fills batches exactly to each stated maximum, then one over.
func batchTooLarge(t *testing.T, f *fixture) {
	f.open()
	stats := f.engine.Stats()
	var fits, over backend.Batch
	if n := stats.MaxBatchOps; n > 0 {
		for i := range n {
			fits.Put(backend.SpaceKey, fmt.Appendf(nil, "%08d", i), nil)
		}
		over.Put(backend.SpaceKey, []byte("a"), []byte("1"))
		for i := range n {
			over.Put(backend.SpaceKey, fmt.Appendf(nil, "over%08d", i), nil)
		}
		require.LessOrEqual(t, fits.Size(), stats.MaxBatchBytes, "the operations bound is out of reach")
		require.NoError(t, f.engine.Apply(&fits, backend.Sync), "%d operations", n)
		require.ErrorIs(t, f.engine.Apply(&over, backend.Sync), backend.ErrBatchTooLarge)
		assert.Equal(t, n, f.count(backend.SpaceKey))
	}
	// Bounds beyond this are not filled: the test would need the memory.
	const fillable = 256 << 20
	n := stats.MaxBatchBytes
	if n <= 0 || n > fillable {
		return
	}
	before := f.count(backend.SpaceKey)
	fits.Reset()
	over.Reset()
	const value = 64 << 10
	body := bytes.Repeat([]byte("v"), value)
	entries := 0
	for ; fits.Size()+value+64 < n; entries++ {
		fits.Put(backend.SpaceKey, fmt.Appendf(nil, "large%08d", entries), body)
	}
	fits.Put(backend.SpaceKey, []byte("x"), nil)
	entries++
	rest := n - fits.Size() - int64(len("z")) - 32
	if rest >= 0 {
		fits.Put(backend.SpaceKey, []byte("z"), make([]byte, rest))
		entries++
	}
	require.Equal(t, n, fits.Size())
	for _, op := range fits.Ops() {
		over.Put(op.Space, append([]byte("over"), op.Key...), op.Value)
	}
	require.ErrorIs(t, f.engine.Apply(&over, backend.Sync), backend.ErrBatchTooLarge)
	assert.Equal(t, before, f.count(backend.SpaceKey))
	require.NoError(t, f.engine.Apply(&fits, backend.Sync), "%d bytes", n)
	assert.Equal(t, before+entries, f.count(backend.SpaceKey))
}
