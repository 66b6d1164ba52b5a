package bench

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A disk that is full in the middle leaves the old file as it was, and nothing
// half-written beside it.
func TestFullDiskLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
	err := writeFile(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1_258_291))
		return errors.Join(err, &fs.PathError{Op: "write", Path: dir + "/.out.json-1", Err: syscall.ENOSPC})
	})
	var full *DiskFull
	require.ErrorAs(t, err, &full)
	assert.Equal(t, "disk full after 1.20 MiB", full.Error())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(data))
}

// Whatever else fails says what, and not where nobody looks.
func TestWriteErrorsNameNoTemporaryFile(t *testing.T) {
	err := writeFile(filepath.Join(t.TempDir(), "none", "out.json"), func(io.Writer) error { return nil })
	require.EqualError(t, err, "no such file or directory")
	dir := t.TempDir()
	require.NoError(t, CanWrite(filepath.Join(dir, "out.json")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	require.EqualError(t, CanWrite(filepath.Join(dir, "none", "out.json")), "no such file or directory")
}
