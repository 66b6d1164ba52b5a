package pebble_test

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
)

// count returns what a view shows of the key space.
func count(t *testing.T, e backend.Engine) int {
	t.Helper()
	v, err := e.View()
	require.NoError(t, err)
	n := 0
	require.NoError(t, v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { n++; return true }))
	require.NoError(t, v.Close())
	return n
}

// Everything an engine does stays inside the file system it was given.
func TestDriverFS_StaysInside(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const path = "/data/of/pebble"
	d := pebble.DriverFS(vfs.NewMem())
	assert.False(t, d.Holds(path))
	_, err := d.Open(path, backend.Options{ReadOnly: true})
	require.Error(t, err)
	e, err := d.Open(path, backend.Options{})
	require.NoError(t, err)
	_, err = d.Open(path, backend.Options{})
	require.ErrorIs(t, err, backend.ErrLocked)
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("k"), []byte("v"))
	require.NoError(t, e.Apply(&b, backend.Sync))
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.NoError(t, err)
	require.NoError(t, e.(backend.Reclaimer).Reclaim(t.Context()))
	var copied bytes.Buffer
	require.NoError(t, e.(backend.Backuper).Backup(t.Context(), &copied))
	require.NoError(t, e.Close())
	assert.True(t, d.Holds(path))

	e, err = d.Open(path, backend.Options{})
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, e))
	require.NoError(t, e.Close())
	restored, err := d.Restore(t.Context(), "/restored", &copied, backend.Options{})
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, restored))
	require.NoError(t, restored.Close())
	assert.NoDirExists(t, "/data/of/pebble")
	assert.NoDirExists(t, "/restored")
}

// What is not synced is gone after a power loss, what is stays.
func TestDriverFS_LosesPower(t *testing.T) {
	fsys := vfs.NewCrashableMem()
	e, err := pebble.DriverFS(fsys).Open("/data", backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("durable"), []byte("v"))
	require.NoError(t, e.Apply(&b, backend.Sync))
	b.Reset()
	b.Put(backend.SpaceKey, []byte("lost"), []byte("v"))
	require.NoError(t, e.Apply(&b, backend.NoSync))
	after := fsys.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, e.Close())
	e, err = pebble.DriverFS(after).Open("/data", backend.Options{})
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, e))
	require.NoError(t, e.Close())
}
