package backendtest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func diskCases() []testCase {
	return []testCase{
		{"Reopen", "Sync returns once the batch survives; a close loses nothing.", func(t *testing.T, f *fixture) {
			f.open()
			var want []string
			for i := range 200 {
				key := fmt.Sprintf("%04d", i)
				f.put(key, "value of "+key)
				want = append(want, key, "value of "+key)
			}
			var b backend.Batch
			b.Put(backend.SpaceMeta, []byte("empty"), nil)
			b.Delete(backend.SpaceKey, []byte("0000"))
			require.NoError(t, f.engine.Apply(&b, backend.NoSync))
			for range 3 {
				f.close()
				f.open()
				assert.Equal(t, want[2:], f.contents(backend.SpaceKey))
				assert.Equal(t, []string{"empty", ""}, f.contents(backend.SpaceMeta))
			}
		}},
		{"Crash", "A batch is seen whole or not at all, by views and after a crash.", crash},
		{"SecondOpen", "A second open of the same data for writing is refused at once with ErrLocked.", secondOpen},
		{"ReadOnly", "ReadOnly opens existing data without changing a byte of it; Apply then answers ErrReadOnly.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1", "b", "2")
			f.close()
			before := fingerprint(t, f.path)
			f.openWith(backend.Options{ReadOnly: true})
			assert.Equal(t, []string{"a", "1", "b", "2"}, f.contents(backend.SpaceKey))
			assert.Empty(t, f.contents(backend.SpaceMeta))
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("a"), []byte("2"))
			require.ErrorIs(t, f.engine.Apply(&b, backend.Sync), backend.ErrReadOnly)
			if a, ok := f.engine.(backend.Reclaimer); ok {
				require.ErrorIs(t, a.Reclaim(t.Context()), backend.ErrReadOnly)
			}
			if a, ok := f.engine.(backend.Verifier); ok {
				_, err := a.Verify(t.Context())
				require.NoError(t, err)
			}
			f.engine.Stats()
			f.close()
			assert.Equal(t, before, fingerprint(t, f.path))
		}},
		{"ReadOnlyNewSpace", "A registered space the data do not have yet is empty, read-only, too.", func(t *testing.T, f *fixture) {
			few := []backend.SpaceInfo{{Space: backend.SpaceKey, Name: "key"}}
			f.openWith(backend.Options{Spaces: few})
			f.put("a", "1")
			f.close()
			before := fingerprint(t, f.path)
			f.openWith(backend.Options{ReadOnly: true})
			assert.Empty(t, f.contents(backend.SpaceLease))
			f.withView(func(v backend.View) {
				_, ok, err := v.Get(backend.SpaceLease, nil, []byte("a"))
				require.NoError(t, err)
				assert.False(t, ok)
			})
			f.close()
			assert.Equal(t, before, fingerprint(t, f.path))
			f.open()
			var b backend.Batch
			b.Put(backend.SpaceLease, []byte("l"), []byte("1"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Equal(t, []string{"l", "1"}, f.contents(backend.SpaceLease))
			assert.Equal(t, []string{"a", "1"}, f.contents(backend.SpaceKey))
		}},
		{"ReadOnlyMissing", "Missing data is an error, and nothing is made.", func(t *testing.T, f *fixture) {
			for _, path := range []string{f.path, filepath.Join(f.path, "never")} {
				e, err := f.driver.Open(path, backend.Options{ReadOnly: true})
				if assert.ErrorIs(t, err, fs.ErrNotExist) {
					continue
				}
				require.NoError(t, e.Close())
			}
			entries, err := os.ReadDir(f.path)
			require.NoError(t, err)
			assert.Empty(t, entries)
		}},
		{"ForeignDirectory", "Data that are not this engine's at all are refused with ErrDamaged and stay as they are.", func(t *testing.T, f *fixture) {
			require.NoError(t, os.WriteFile(filepath.Join(f.path, "letter.txt"), []byte("Dear all"), 0o600))
			before := fingerprint(t, f.path)
			for _, readOnly := range []bool{false, true} {
				e, err := f.driver.Open(f.path, backend.Options{ReadOnly: readOnly})
				if !assert.ErrorIs(t, err, backend.ErrDamaged) {
					require.NoError(t, e.Close())
				}
				assert.ErrorContains(t, err, f.driver.Name)
				assert.ErrorContains(t, err, f.path)
				assert.ErrorContains(t, err, "letter.txt")
			}
			assert.Equal(t, before, fingerprint(t, f.path))
			e, err := f.driver.Open(filepath.Join(f.path, "letter.txt"), backend.Options{})
			if !assert.Error(t, err, "a file that is no data") {
				require.NoError(t, e.Close())
			}
			assert.Equal(t, before, fingerprint(t, f.path))
		}},
		{"Holds", "Holds tells from the names of files alone whether path holds data of this engine.", func(t *testing.T, f *fixture) {
			assert.False(t, f.driver.Holds(f.path))
			assert.False(t, f.driver.Holds(filepath.Join(f.path, "never")))
			f.open()
			assert.True(t, f.driver.Holds(f.path))
			f.close()
			assert.True(t, f.driver.Holds(f.path))
		}},
		{"MakesDirectories", "Open creates the data at path, with the directories above.", func(t *testing.T, f *fixture) {
			f.path = filepath.Join(f.path, "a", "b")
			f.open()
			f.put("a", "1")
			f.close()
			f.open()
			assert.Equal(t, []string{"a", "1"}, f.contents(backend.SpaceKey))
		}},
	}
}

// crash copies the files of an open engine: what a kill at that moment leaves.
// Batches applied with Sync are all there; of later ones with NoSync a prefix.
func crash(t *testing.T, f *fixture) {
	f.open()
	const batches, perBatch, synced = 60, 5, 40
	for i := range batches {
		var b backend.Batch
		for j := range perBatch {
			b.Append(backend.SpaceKey, fmt.Appendf(nil, "%04d-%d", i, j), fmt.Appendf(nil, "value %d", i))
		}
		b.Put(backend.SpaceMeta, []byte("newest"), []byte(strconv.Itoa(i)))
		how := backend.Sync
		if i >= synced {
			how = backend.NoSync
		}
		require.NoError(t, f.engine.Apply(&b, how))
	}
	killed := t.TempDir()
	copyFiles(t, killed, f.path)
	f.close()

	before := fingerprint(t, killed)
	after := &fixture{t: t, driver: f.driver, path: killed}
	// Read-only may be refused after a crash, but must not touch the files.
	if e, err := f.driver.Open(killed, backend.Options{ReadOnly: true}); err == nil {
		require.NoError(t, e.Close())
	} else {
		assert.ErrorContains(t, err, "read-only")
	}
	assert.Equal(t, before, fingerprint(t, killed))

	after.open()
	newest, err := strconv.Atoi(after.contents(backend.SpaceMeta)[1])
	require.NoError(t, err)
	assert.GreaterOrEqual(t, newest, synced-1)
	got := after.contents(backend.SpaceKey)
	assert.Len(t, got, 2*perBatch*(newest+1))
	for i := 0; i < len(got); i += 2 {
		n := i / 2
		assert.Equal(t, fmt.Sprintf("%04d-%d", n/perBatch, n%perBatch), got[i])
	}
	after.put("later", "works")
	after.close()
}

func secondOpen(t *testing.T, f *fixture) {
	f.open()
	f.put("a", "1")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(f.path, link))
	work, err := os.Getwd()
	require.NoError(t, err)
	relative, err := filepath.Rel(work, f.path)
	require.NoError(t, err)
	for _, path := range []string{f.path, f.path + string(filepath.Separator), relative, link} {
		for _, readOnly := range []bool{false, true} {
			e, err := f.driver.Open(path, backend.Options{ReadOnly: readOnly})
			if !assert.ErrorIs(t, err, backend.ErrLocked, "%s, read-only %v", path, readOnly) && err == nil {
				require.NoError(t, e.Close())
			}
			assert.ErrorContains(t, err, path)
		}
	}
	f.put("b", "2") // the refusals did no harm
	f.close()
	f.open()
	assert.Equal(t, []string{"a", "1", "b", "2"}, f.contents(backend.SpaceKey))
}

// copyFiles copies a flat directory and leaves holes where a file has zeros:
// some engines make files far longer than what is in them.
func copyFiles(t *testing.T, to, from string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	buf := make([]byte, 1<<20)
	zeros := make([]byte, len(buf))
	for _, entry := range entries {
		in, err := os.Open(filepath.Join(from, entry.Name()))
		require.NoError(t, err)
		out, err := os.Create(filepath.Join(to, entry.Name()))
		require.NoError(t, err)
		var size int64
		for {
			n, err := io.ReadFull(in, buf)
			if !bytes.Equal(buf[:n], zeros[:n]) {
				_, err := out.WriteAt(buf[:n], size)
				require.NoError(t, err)
			}
			size += int64(n)
			if err != nil {
				require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
				break
			}
		}
		require.NoError(t, out.Truncate(size))
		require.NoError(t, errors.Join(in.Close(), out.Close()))
	}
}

// fingerprint maps the files below dir to their contents' hash.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	prints := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, file)
		prints[path] = fmt.Sprintf("%d bytes %x", n, sum.Sum(nil))
		return errors.Join(err, file.Close())
	}))
	return prints
}
