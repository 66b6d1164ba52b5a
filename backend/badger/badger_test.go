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

// A table is damaged behind the engine's back, and then opened.
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
	e, err = badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	data[len(data)/3] ^= 1
	file, err := os.OpenFile(tables[0], os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(data, 0) // in place, so that the map shows it
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.ErrorIs(t, err, backend.ErrDamaged)
	assert.ErrorContains(t, err, filepath.Base(tables[0])+": block ")
	require.NoError(t, e.Close())
	for _, readOnly := range []bool{true, false} {
		_, err = badger.Open(dir, backend.Options{ReadOnly: readOnly})
		require.ErrorIs(t, err, backend.ErrDamaged)
		assert.ErrorContains(t, err, dir+": table "+filepath.Base(tables[0])+": block ")
	}
}

// badger would begin anew, and delete what no MANIFEST names.
func TestMissingManifest(t *testing.T) {
	dir := t.TempDir()
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	put(t, e, "a", []byte("1"))
	require.NoError(t, e.Close())
	manifest := filepath.Join(dir, "MANIFEST")
	whole, err := os.ReadFile(manifest)
	require.NoError(t, err)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.Len(t, tables, 1)
	require.NoError(t, os.Remove(manifest))
	_, err = badger.Open(dir, backend.Options{})
	require.ErrorIs(t, err, backend.ErrDamaged)
	assert.ErrorContains(t, err, "MANIFEST is missing beside")
	require.NoError(t, os.WriteFile(manifest, whole[:8], 0o600)) // its head alone
	_, err = badger.Open(dir, backend.Options{})
	require.ErrorIs(t, err, backend.ErrDamaged)
	assert.ErrorContains(t, err, "it has lost its end")
	assert.FileExists(t, tables[0])
	require.NoError(t, os.WriteFile(manifest, whole, 0o600))
	e, err = badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	require.NoError(t, e.Close())
}

// Open sees damage in the log of a memtable by the commits behind it, drops a
// torn last commit, and takes every other log as it is, whole or cut by itself.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	const commits = 20
	for i := range commits {
		put(t, e, string(rune('a'+i)), bytes.Repeat([]byte{byte(i)}, 100))
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	whole, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	require.NoError(t, e.Close())
	end := len(bytes.TrimRight(whole, "\x00"))
	each := (end - 20) / commits
	open := func(t *testing.T, damage func(log []byte) []byte) (n int, err error) {
		dir := t.TempDir()
		e, err := badger.Open(dir, backend.Options{})
		require.NoError(t, err)
		require.NoError(t, e.Close())
		log := damage(bytes.Clone(whole[:end+100]))
		path := filepath.Join(dir, filepath.Base(logs[0]))
		require.NoError(t, os.WriteFile(path, log, 0o600))
		if len(log) == end+100 {
			require.NoError(t, os.Truncate(path, int64(len(whole))))
		}
		if e, err = badger.Open(dir, backend.Options{}); err != nil {
			return 0, err
		}
		v, err := e.View()
		require.NoError(t, err)
		require.NoError(t, v.Scan(backend.SpaceKey, nil, nil, func(_, _ []byte) bool { n++; return true }))
		require.NoError(t, v.Close())
		require.NoError(t, e.Close())
		return n, nil
	}
	for name, test := range map[string]struct {
		damage func(log []byte) []byte
		want   int // 0: refused
	}{
		"whole":            {func(log []byte) []byte { return log }, commits},
		"cut by badger":    {func(log []byte) []byte { return log[:end] }, commits},
		"cut":              {func(log []byte) []byte { return log[:end-each/2] }, 0},
		"torn last commit": {func(log []byte) []byte { clear(log[end-each/2:]); return log }, commits - 1},
		"bit in the last":  {func(log []byte) []byte { log[end-each/2] ^= 1; return log }, commits - 1},
		"bit before it":    {func(log []byte) []byte { log[end-each-each/2] ^= 1; return log }, 0},
		"bit in the first": {func(log []byte) []byte { log[20+each/2] ^= 1; return log }, 0},
		"zeros":            {func(log []byte) []byte { clear(log[20+2*each : 20+5*each]); return log }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := open(t, test.damage)
			if test.want == 0 {
				require.ErrorIs(t, err, backend.ErrDamaged)
				require.ErrorContains(t, err, filepath.Base(logs[0]))
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, n)
		})
	}
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

// A crash before the first manifest is in its place leaves a directory that
// opens.
func TestUnfinishedFirstManifest(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "MANIFEST-REWRITE"), []byte("Bdgr"), 0o600))
	e, err := badger.Open(dir, backend.Options{})
	require.NoError(t, err)
	put(t, e, "a", []byte("1"))
	require.NoError(t, e.Close())
}
