package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// abilityCases prove the abilities of engines that have them.
func abilityCases() []testCase {
	return []testCase{
		{"Backup", "Backup writes a copy of the whole store that Restore opens again.", backup},
		{"BackupIsOneMoment", "Backup is as of one moment, without stopping writers.", backupUnderLoad},
		{"BackupEnds", "Backup fails when the writer does or the context is done.", func(t *testing.T, f *fixture) {
			a, ok := f.open().(backend.Backuper)
			if !ok {
				return
			}
			f.put("a", "1")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, a.Backup(ctx, new(bytes.Buffer)), context.Canceled)
			full := errors.New("no room")
			require.ErrorIs(t, a.Backup(t.Context(), brokenWriter{full}), full)
			f.put("b", "2")
			assert.Equal(t, []string{"a", "1", "b", "2"}, f.contents(backend.SpaceKey))
			assert.Zero(t, f.engine.Stats().OpenViews)
		}},
		{"RestoreCutShort", "Restore of a backup that is not whole fails and leaves nothing that opens.", restoreCutShort},
		{"RestoreOverData", "Restore writes to a path where nothing may be yet.", func(t *testing.T, f *fixture) {
			a, ok := f.open().(backend.Backuper)
			if !ok || f.driver.Volatile {
				return
			}
			f.put("a", "1")
			var copied bytes.Buffer
			require.NoError(t, a.Backup(t.Context(), &copied))
			f.put("b", "2")
			f.close()
			before := fingerprint(t, f.path)
			e, err := f.driver.Restore(t.Context(), f.path, &copied, backend.Options{})
			if !assert.Error(t, err) {
				require.NoError(t, e.Close())
			}
			assert.Equal(t, before, fingerprint(t, f.path))
		}},
		{"Reclaim", "Reclaim gives space back and changes no entry; views go on.", reclaim},
		{"Verify", "A Verify report says what was checked; a sound store passes.", func(t *testing.T, f *fixture) {
			a, ok := f.open().(backend.Verifier)
			if !ok {
				return
			}
			fill(t, f, 2000)
			report, err := a.Verify(t.Context())
			require.NoError(t, err)
			assert.NotEmpty(t, report.Checked)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = a.Verify(ctx)
			require.ErrorIs(t, err, context.Canceled)
			f.put("after", "works")
		}},
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write(p []byte) (int, error) { return 0, w.err }

// fill writes n entries in batches of 100 and returns them as contents does.
func fill(t *testing.T, f *fixture, n int) []string {
	t.Helper()
	var all []string
	var b backend.Batch
	for i := range n {
		key, value := fmt.Sprintf("fill%06d", i), fmt.Sprintf("value %d %x", i, bytes.Repeat([]byte{byte(i)}, 40))
		b.Append(backend.SpaceKey, []byte(key), []byte(value))
		all = append(all, key, value)
		if b.Len() == 100 || i == n-1 {
			require.NoError(t, f.engine.Apply(&b, backend.NoSync))
			b.Reset()
		}
	}
	return all
}

func backup(t *testing.T, f *fixture) {
	a, ok := f.open().(backend.Backuper)
	if !ok {
		require.Nil(t, f.driver.Restore, "a Restore without a Backup")
		return
	}
	want := fill(t, f, 3000)
	var b backend.Batch
	b.Delete(backend.SpaceKey, []byte(want[0]))
	b.Put(backend.SpaceKey, []byte(want[2]), []byte("changed"))
	b.Put(backend.SpaceMeta, []byte("empty"), nil)
	b.Put(backend.SpaceKey, []byte("large"), bytes.Repeat([]byte("x"), 3<<19))
	require.NoError(t, f.engine.Apply(&b, backend.NoSync))
	var copied bytes.Buffer
	require.NoError(t, a.Backup(t.Context(), &copied))
	f.put("late", "not in the backup")

	put := &fixture{t: t, driver: f.driver, path: filepath.Join(t.TempDir(), "restored")}
	e, err := f.driver.Restore(t.Context(), put.path, &copied, backend.Options{})
	require.NoError(t, err)
	put.engine = e
	check := func() {
		got := put.contents(backend.SpaceKey)
		require.Len(t, got, len(want))
		assert.Equal(t, want[2], got[0])
		assert.Equal(t, "changed", got[1])
		assert.True(t, equal(want[4:], got[2:len(got)-2]))
		assert.Equal(t, "large", got[len(got)-2])
		assert.Len(t, got[len(got)-1], 3<<19)
		assert.Equal(t, []string{"empty", ""}, put.contents(backend.SpaceMeta))
	}
	check()
	if !f.driver.Volatile {
		put.close()
		put.open()
		check()
	}
	put.put("more", "works")
	put.close()
}

// backupUnderLoad backs up while a writer gives many keys one number after
// the other: the copy must hold one number only.
func backupUnderLoad(t *testing.T, f *fixture) {
	e := f.open()
	a, ok := e.(backend.Backuper)
	if !ok {
		return
	}
	const keys = 50
	write := func(n int) {
		var b backend.Batch
		for k := range keys {
			b.Put(backend.SpaceKey, fmt.Appendf(nil, "key%02d", k), fmt.Appendf(nil, "%06d", n))
		}
		assert.NoError(t, e.Apply(&b, backend.NoSync))
	}
	write(0)
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			default:
				write(n)
			}
		}
	})
	var copies [3]bytes.Buffer
	for i := range copies {
		assert.NoError(t, a.Backup(t.Context(), &copies[i]))
	}
	close(done)
	writing.Wait()
	for i := range copies {
		restored, err := f.driver.Restore(t.Context(), filepath.Join(t.TempDir(), "restored"), &copies[i], backend.Options{})
		require.NoError(t, err)
		put := &fixture{t: t, driver: f.driver, engine: restored}
		got := put.contents(backend.SpaceKey)
		require.Len(t, got, 2*keys)
		for j := 1; j < len(got); j += 2 {
			assert.Equal(t, got[1], got[j])
		}
		put.close()
	}
}

func restoreCutShort(t *testing.T, f *fixture) {
	a, ok := f.open().(backend.Backuper)
	if !ok {
		return
	}
	fill(t, f, 500)
	var whole bytes.Buffer
	require.NoError(t, a.Backup(t.Context(), &whole))
	for _, size := range []int{0, 1, whole.Len() / 2, whole.Len() - 1} {
		path := filepath.Join(t.TempDir(), "restored")
		e, err := f.driver.Restore(t.Context(), path, bytes.NewReader(whole.Bytes()[:size]), backend.Options{})
		if !assert.Error(t, err, "%d bytes of %d", size, whole.Len()) {
			require.NoError(t, e.Close())
			continue
		}
		assert.ErrorIs(t, err, backend.ErrDamaged, "%d bytes of %d", size, whole.Len())
		if f.driver.Volatile {
			continue
		}
		e, err = f.driver.Open(path, backend.Options{ReadOnly: true})
		if !assert.Error(t, err, "open after %d bytes of %d", size, whole.Len()) {
			require.NoError(t, e.Close())
		}
		require.NoError(t, os.RemoveAll(path))
	}
}

func reclaim(t *testing.T, f *fixture) {
	a, ok := f.open().(backend.Reclaimer)
	if !ok {
		return
	}
	all := fill(t, f, 5000)
	v, err := f.engine.View()
	require.NoError(t, err)
	var b backend.Batch
	var want []string
	for i := 0; i < len(all); i += 2 {
		if i%20 == 0 {
			want = append(want, all[i], all[i+1])
			continue
		}
		b.Delete(backend.SpaceKey, []byte(all[i]))
	}
	b.Put(backend.SpaceMeta, []byte("m"), []byte("1"))
	require.NoError(t, f.engine.Apply(&b, backend.Sync))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Reclaim(ctx), context.Canceled)

	// An engine may wait for the view at the end, so it runs beside.
	done := make(chan error, 1)
	go func() { done <- a.Reclaim(t.Context()) }()
	assert.True(t, equal(all, scan(t, v, backend.SpaceKey, nil, nil)))
	late, err := f.engine.View()
	require.NoError(t, err)
	assert.True(t, equal(want, scan(t, late, backend.SpaceKey, nil, nil)))
	require.NoError(t, late.Close())
	require.NoError(t, v.Close())
	require.NoError(t, <-done)

	assert.True(t, equal(want, f.contents(backend.SpaceKey)))
	f.put("z", "works")
	want = append(want, "z", "works")
	assert.True(t, equal(want, f.contents(backend.SpaceKey)))
	assert.Equal(t, []string{"m", "1"}, f.contents(backend.SpaceMeta))
	if f.driver.Volatile {
		return
	}
	f.close()
	f.open()
	assert.True(t, equal(want, f.contents(backend.SpaceKey)))
	assert.Equal(t, []string{"m", "1"}, f.contents(backend.SpaceMeta))
}
