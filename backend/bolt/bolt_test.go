package bolt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/bolt"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, bolt.Driver())
}

// foreignFile writes a file as etcd has it: our buckets, others, one inside
// another.
func foreignFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "snap.db")
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{"key", "meta", "lease", "alarm", "auth", "members"} {
			b, err := tx.CreateBucket([]byte(name))
			require.NoError(t, err)
			require.NoError(t, b.Put([]byte("a"), []byte("in "+name)))
			require.NoError(t, b.SetSequence(7))
		}
		_, err := tx.Bucket([]byte("key")).CreateBucket([]byte("nested"))
		return err
	}))
	require.NoError(t, db.Close())
	return path
}

func keys(t *testing.T, e backend.Engine, s backend.Space) (all []string) {
	t.Helper()
	v, err := e.View()
	require.NoError(t, err)
	require.NoError(t, v.Scan(s, nil, nil, func(key, value []byte) bool {
		all = append(all, string(key)+"="+string(value))
		return true
	}))
	require.NoError(t, v.Close())
	return all
}

func put(t *testing.T, e backend.Engine, key string, value []byte) {
	t.Helper()
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte(key), value)
	require.NoError(t, e.Apply(&b, backend.Sync))
}

func TestOpensFileAsItIs(t *testing.T) {
	path := foreignFile(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bolt.Driver().Holds(path))
	for _, readOnly := range []bool{true, false} {
		e, err := bolt.Open(path, backend.Options{ReadOnly: readOnly})
		require.NoError(t, err)
		assert.Equal(t, []string{"a=in key"}, keys(t, e, backend.SpaceKey))
		assert.Equal(t, []string{"a=in alarm"}, keys(t, e, backend.SpaceAlarm))
		require.NoError(t, e.Close())
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(before, after), "opening alone wrote, read-only %v", readOnly)
	}
}

// Writes and Reclaim leave buckets alone that the engine does not know.
func TestKeepsUnknownBuckets(t *testing.T) {
	path := foreignFile(t)
	e, err := bolt.Open(path, backend.Options{})
	require.NoError(t, err)
	put(t, e, "b", []byte("2"))
	require.NoError(t, e.(backend.Reclaimer).Reclaim(t.Context()))
	put(t, e, "c", []byte("3"))
	require.NoError(t, e.Close())

	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{"auth", "members"} {
			b := tx.Bucket([]byte(name))
			require.NotNil(t, b, name)
			assert.Equal(t, "in "+name, string(b.Get([]byte("a"))))
			assert.EqualValues(t, 7, b.Sequence())
		}
		key := tx.Bucket([]byte("key"))
		assert.NotNil(t, key.Bucket([]byte("nested")))
		assert.Equal(t, "3", string(key.Get([]byte("c"))))
		return nil
	}))
	require.NoError(t, db.Close())
}

func TestReclaimShrinksTheFile(t *testing.T) {
	dir := t.TempDir()
	e, err := bolt.Open(dir, backend.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	for i := range 40 {
		put(t, e, string(rune('A'+i)), bytes.Repeat([]byte("v"), 1<<20))
	}
	var b backend.Batch
	for i := range 39 {
		b.Delete(backend.SpaceKey, []byte(string(rune('A'+i))))
	}
	require.NoError(t, e.Apply(&b, backend.Sync))
	put(t, e, "after", nil) // the figures are those of the commit before
	before := e.Stats()
	assert.Less(t, before.InUseBytes, before.DiskBytes/10)
	require.NoError(t, e.(backend.Reclaimer).Reclaim(t.Context()))
	after := e.Stats()
	assert.Less(t, after.DiskBytes, before.DiskBytes/2)
	assert.NoFileExists(t, filepath.Join(dir, "db.reclaim"))
	assert.Len(t, keys(t, e, backend.SpaceKey), 2)
	// The lock went over to the new file.
	_, err = bolt.Open(dir, backend.Options{})
	require.ErrorIs(t, err, backend.ErrLocked)
}

func TestRemovesCopyThatCrashLeft(t *testing.T) {
	dir := t.TempDir()
	e, err := bolt.Open(dir, backend.Options{})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "db.reclaim"), []byte("half"), 0o600))
	e, err = bolt.Open(dir, backend.Options{})
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(dir, "db.reclaim"))
	require.NoError(t, e.Close())
}

func TestRefusesDamage(t *testing.T) {
	whole, err := os.ReadFile(foreignFile(t))
	require.NoError(t, err)
	page := os.Getpagesize()
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"text", []byte("Dear all, this is no database"), `"Dear all, this is no dat"`},
		{"cut", whole[:len(whole)/2/page*page], "bytes of"},
		{"cut in the first page", whole[:100], "bytes of"},
		{"both metas gone", append(make([]byte, 2*page), whole[2*page:]...), "not a bbolt file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			require.NoError(t, os.WriteFile(path, c.data, 0o600))
			for _, readOnly := range []bool{true, false} {
				_, err := bolt.Open(path, backend.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, backend.ErrDamaged)
				assert.ErrorContains(t, err, c.says)
				assert.ErrorContains(t, err, path)
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(c.data, after))
		})
	}
	t.Run("one meta gone", func(t *testing.T) {
		for _, meta := range []int{0, 1} {
			path := filepath.Join(t.TempDir(), "db")
			data := bytes.Clone(whole)
			clear(data[meta*page : (meta+1)*page])
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, err := bolt.Open(path, backend.Options{})
			require.ErrorIs(t, err, backend.ErrDamaged)
			require.ErrorContains(t, err, "the newest commit may be lost")
			e, err := bolt.Open(path, backend.Options{ReadOnly: true})
			require.NoError(t, err, "meta %d", meta)
			// The way that the error names.
			var copied bytes.Buffer
			require.NoError(t, e.(backend.Backuper).Backup(t.Context(), &copied))
			require.NoError(t, e.Close())
			e, err = bolt.Driver().Restore(t.Context(), t.TempDir(), &copied, backend.Options{})
			require.NoError(t, err)
			require.NoError(t, e.Close())
		}
	})
	t.Run("empty", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "db")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		for _, readOnly := range []bool{true, false} {
			_, err := bolt.Open(path, backend.Options{ReadOnly: readOnly})
			require.ErrorIs(t, err, backend.ErrDamaged)
			require.ErrorContains(t, err, "if nothing was ever stored in it, remove it")
		}
	})
}

// A page that is overwritten is found by an open for writing, by Verify, and
// by reads that meet it.
func TestVerifyFindsBrokenPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	e, err := bolt.Open(filepath.Dir(path), backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	for i := range 1000 {
		b.Append(backend.SpaceKey, []byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte("x"), 100))
	}
	require.NoError(t, e.Apply(&b, backend.Sync))
	require.NoError(t, e.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	page, damaged := os.Getpagesize(), 0
	for at := 2 * page; at+page <= len(data) && damaged < 5; at += page {
		if bytes.Contains(data[at:at+page], bytes.Repeat([]byte("x"), 100)) {
			copy(data[at+8:], []byte{0xff, 0xff, 0xff, 0xff}) // flags and count
			damaged++
		}
	}
	require.Equal(t, 5, damaged)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = bolt.Open(path, backend.Options{}) // bbolt alone would end the process
	require.ErrorIs(t, err, backend.ErrDamaged)
	e, err = bolt.Open(path, backend.Options{ReadOnly: true})
	require.NoError(t, err)
	v, err := e.View()
	require.NoError(t, err)
	err = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { return true })
	require.ErrorIs(t, err, backend.ErrDamaged)
	require.NoError(t, v.Close())
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.ErrorIs(t, err, backend.ErrDamaged)
	require.NoError(t, e.Close())
}
