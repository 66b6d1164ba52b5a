package bolt_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
)

// fillPages puts about 400 KiB into the file.
func fillPages(t *testing.T, e backend.Engine) {
	t.Helper()
	var b backend.Batch
	for i := range 1000 {
		b.Append(backend.SpaceKey, fmt.Appendf(nil, "%05d", i), bytes.Repeat([]byte{byte(i)}, 300))
	}
	require.NoError(t, e.Apply(&b, backend.Sync))
}

// A file that is truncated while it is open: every call answers an error that
// names it, none hangs, nothing dies, and the lock is let go.
func TestTruncated_WhileOpen(t *testing.T) {
	for _, size := range []int64{0, 1, 4096, 5000, 8192, 20_000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			defer goleak.VerifyNone(t)
			dir := t.TempDir()
			e, err := bolt.Open(dir, backend.Options{})
			require.NoError(t, err)
			fillPages(t, e)
			before, err := e.View()
			require.NoError(t, err)
			require.NoError(t, os.Truncate(filepath.Join(dir, "db"), size))

			damaged := func(what string, err error) {
				t.Helper()
				assert.ErrorIs(t, err, backend.ErrDamaged, what)
				assert.ErrorContains(t, err, dir, what)
			}
			scan := func(v backend.View) error {
				return v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
					return bytes.Count(value, value[:1]) == len(value) // reads what it is given
				})
			}
			damaged("scan", scan(before))
			_, _, err = before.Get(backend.SpaceKey, nil, []byte("00999"))
			damaged("get", err)
			require.NoError(t, before.Close())
			if v, err := e.View(); err != nil {
				damaged("view", err)
			} else {
				damaged("scan again", scan(v))
				require.NoError(t, v.Close())
			}
			_, err = e.(backend.Verifier).Verify(t.Context())
			damaged("verify", err)
			damaged("backup", e.(backend.Backuper).Backup(t.Context(), io.Discard))
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("late"), nil)
			damaged("apply", e.Apply(&b, backend.Sync))
			damaged("apply again", e.Apply(&b, backend.Sync))
			damaged("reclaim", e.(backend.Reclaimer).Reclaim(t.Context()))
			require.NoError(t, e.Close())
			_, err = bolt.Open(dir, backend.Options{})
			if size > 0 {
				damaged("open", err)
			}
			assert.NotErrorIs(t, err, backend.ErrLocked)
		})
	}
}

// A truncation below what bbolt reads under its locks, met there: bbolt is
// given up and the directory can be opened again all the same.
func TestTruncated_ThenClosedAndReplaced(t *testing.T) {
	dir := t.TempDir()
	e, err := bolt.Open(dir, backend.Options{})
	require.NoError(t, err)
	fillPages(t, e)
	require.NoError(t, os.Truncate(filepath.Join(dir, "db"), 0))
	for range 100 {
		_, err := e.View()
		require.ErrorIs(t, err, backend.ErrDamaged)
	}
	require.NoError(t, e.Close())
	_, err = bolt.Open(dir, backend.Options{})
	require.ErrorIs(t, err, backend.ErrDamaged, "an empty file is a damaged one")
	require.NoError(t, os.Remove(filepath.Join(dir, "db")))
	e, err = bolt.Open(dir, backend.Options{})
	require.NoError(t, err)
	require.NoError(t, e.Close())
}
