package backend_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func TestBatch(t *testing.T) {
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("a"), []byte("12"))
	b.Append(backend.SpaceMeta, []byte("bc"), nil)
	b.Delete(backend.SpaceKey, []byte("a"))
	assert.Equal(t, []backend.Op{
		{Kind: backend.OpPut, Space: backend.SpaceKey, Key: []byte("a"), Value: []byte("12")},
		{Kind: backend.OpAppend, Space: backend.SpaceMeta, Key: []byte("bc")},
		{Kind: backend.OpDelete, Space: backend.SpaceKey, Key: []byte("a")},
	}, b.Ops())
	assert.Equal(t, 3, b.Len())
	assert.EqualValues(t, 3+2+1+3*32, b.Size())
	b.Reset()
	assert.Zero(t, b.Len())
	assert.Zero(t, b.Size())
}

func TestBatchCheck(t *testing.T) {
	_, spaces, err := backend.Options{}.RegisteredSpaces()
	require.NoError(t, err)
	key := func(n int) []byte { return bytes.Repeat([]byte("k"), n) }
	for _, c := range []struct {
		name     string
		space    backend.Space
		key      []byte
		maxBytes int64
		maxOps   int
		want     error
	}{
		{"no bounds", backend.SpaceKey, key(1), 0, 0, nil},
		{"at the bounds", backend.SpaceKey, key(8), 40, 1, nil},
		{"a byte over", backend.SpaceKey, key(9), 40, 1, backend.ErrBatchTooLarge},
		{"longest key", backend.SpaceKey, key(backend.MaxKeyBytes), 0, 0, nil},
		{"too long", backend.SpaceKey, key(backend.MaxKeyBytes + 1), 0, 0, backend.ErrKeySize},
		{"empty", backend.SpaceKey, key(0), 0, 0, backend.ErrKeySize},
		{"unknown", 77, key(1), 0, 0, backend.ErrUnknownSpace},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b backend.Batch
			b.Delete(c.space, c.key)
			assert.ErrorIs(t, b.Check(&spaces, c.maxBytes, c.maxOps), c.want)
		})
	}
	var two backend.Batch
	two.Delete(backend.SpaceKey, key(1))
	two.Delete(backend.SpaceKey, key(1))
	require.ErrorIs(t, two.Check(&spaces, 0, 1), backend.ErrBatchTooLarge)
	require.NoError(t, two.Check(&spaces, 0, 2))
}

func TestPrepareDir(t *testing.T) {
	own := func(name string) bool { return strings.HasSuffix(name, ".own") }
	write := func(t *testing.T, dir, name string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	t.Run("missing is made", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		fresh, err := backend.PrepareDir(dir, false, own)
		require.NoError(t, err)
		assert.True(t, fresh)
		assert.DirExists(t, dir)
	})
	t.Run("missing is not made read-only", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a")
		_, err := backend.PrepareDir(dir, true, own)
		require.ErrorIs(t, err, fs.ErrNotExist)
		assert.NoDirExists(t, dir)
	})
	t.Run("empty but for what others leave", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
		write(t, dir, "LOCK")
		write(t, dir, ".hidden")
		fresh, err := backend.PrepareDir(dir, false, own)
		require.NoError(t, err)
		assert.True(t, fresh)
		assert.False(t, backend.DirHolds(dir, own))
		_, err = backend.PrepareDir(dir, true, own)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
	t.Run("own beside others", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "a.other")
		write(t, dir, "b.own")
		fresh, err := backend.PrepareDir(dir, false, own)
		require.NoError(t, err)
		assert.False(t, fresh)
		assert.True(t, backend.DirHolds(dir, own))
	})
	t.Run("foreign", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			write(t, dir, name)
		}
		_, err := backend.PrepareDir(dir, false, own)
		require.ErrorIs(t, err, backend.ErrDamaged)
		assert.ErrorContains(t, err, dir+" holds a, b, c and 2 more")
	})
}
