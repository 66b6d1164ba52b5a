package badger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/badger"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, badger.Driver())
}

func put(t *testing.T, e backend.Engine, key string, value []byte) {
	t.Helper()
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte(key), value)
	require.NoError(t, e.Apply(&b, backend.Sync))
}

// A power loss leaves memtables of no bytes, beside which badger does not
// open.
func TestEmptyMemtable(t *testing.T) {
	dir := t.TempDir()
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	put(t, e, "a", []byte("1"))
	require.NoError(t, e.Close())
	empty := filepath.Join(dir, "00099.mem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))

	_, err = badger.Open(dir, backend.Options{ReadOnly: true})
	require.ErrorContains(t, err, "open it for writing once")
	assert.FileExists(t, empty)

	e, err = badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	assert.NoFileExists(t, empty)
	require.NoError(t, e.Close())
}

// Live memtables begin with no bytes: a refused opener must not remove them.
func TestRefusedOpenRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	empty := filepath.Join(dir, "00099.mem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = badger.Open(dir, backend.Options{})
	require.ErrorIs(t, err, backend.ErrLocked)
	assert.FileExists(t, empty)
	require.NoError(t, e.Close())
}

func TestFlippedBit(t *testing.T) {
	dir := t.TempDir()
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	for i := range 2000 {
		b.Append(backend.SpaceKey, []byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte{byte(i), 7}, 100))
	}
	require.NoError(t, e.Apply(&b, backend.Sync))
	require.NoError(t, e.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.Len(t, tables, 1)
	data, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	data[len(data)/3] ^= 1
	require.NoError(t, os.WriteFile(tables[0], data, 0o600))

	e, err = badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.ErrorIs(t, err, backend.ErrDamaged)
	require.NoError(t, e.Close())
}

// A view opens while a commit is under way: it shares the transaction that the
// Apply before began. And it stays what it was as generations go by.
func TestViewsShareTheirMoment(t *testing.T) {
	e, err := badger.Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	var views []backend.View
	for i := range 5 {
		put(t, e, "a", []byte{byte('0' + i)})
		for range 2 {
			v, err := e.View()
			require.NoError(t, err)
			views = append(views, v)
		}
	}
	for i, v := range views {
		value, ok, err := v.Get(backend.SpaceKey, nil, []byte("a"))
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, string(rune('0'+i/2)), string(value))
		require.NoError(t, v.Close())
	}
	require.NoError(t, e.Close())
}

func TestRefusesBadgersOwnSpace(t *testing.T) {
	_, err := badger.Open(t.TempDir(), backend.Options{Spaces: []backend.SpaceInfo{{Space: '!', Name: "bang"}}})
	require.ErrorContains(t, err, "!badger!")
}
