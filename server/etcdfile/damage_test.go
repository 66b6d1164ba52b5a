package etcdfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// small is the file of a small store, without a trailing hash.
func small(t testing.TB) []byte {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	s, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	for i := range 120 {
		_, err := s.Put(ctx, fmt.Appendf(nil, "key-%02d", i%30), bytes.Repeat([]byte("v"), 40))
		require.NoError(t, err)
	}
	_, err = s.DeleteRange(ctx, []byte("key-0"), []byte("key-1"))
	require.NoError(t, err)
	require.NoError(t, s.Compact(ctx, 50))
	dir := t.TempDir()
	built, err := etcdfile.Build(ctx, s, etcdfile.BuildConfig{Dir: dir, Identity: identity})
	require.NoError(t, err)
	body := make([]byte, built.Facts.Size)
	_, err = built.Read(body)
	require.NoError(t, errors.Join(err, built.Close(), s.Close(), engine.Close()))
	return body
}

// loadBytes opens and loads a file; what it answers must be no panic.
func loadBytes(t require.TestingT, path string, body []byte) error {
	require.NoError(t, os.WriteFile(path, body, 0o600))
	f, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{SkipHashCheck: true})
	if err != nil {
		return err
	}
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	_, err = f.Load(ctx, engine, etcdfile.LoadConfig{DiscardAuth: true})
	_, statusErr := f.Status(ctx)
	if err == nil && statusErr != nil {
		err = fmt.Errorf("status: %w", statusErr)
	}
	return errors.Join(err, f.Close(), engine.Close())
}

// R5: damage in any page is an error or, in a value, unseen; never a panic.
// With the trailing hash everything is seen (TestOpen_Refuses).
func TestLoad_FlippedAndCutPages(t *testing.T) {
	body := small(t)
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, loadBytes(t, path, body))
	refused := 0
	for page := 0; page < len(body); page += 4096 {
		for _, at := range []int{0, 8, 10, 12, 16, 20, 24, 28, 32, 40, 200, 2000, 4090} {
			flipped := bytes.Clone(body)
			flipped[page+at] ^= 0x41
			if loadBytes(t, path, flipped) != nil {
				refused++
			}
		}
		require.Error(t, loadBytes(t, path, body[:page]), "cut at page %d", page/4096)
		require.Error(t, loadBytes(t, path, body[:page+100]), "cut in page %d", page/4096)
	}
	require.Greater(t, refused, 20)
}

// FuzzLoad lays bytes over a good file: an error or a store, never a panic.
func FuzzLoad(f *testing.F) {
	body := small(f)
	for _, at := range []uint32{0, 16, 4096, 8192, 12288, 16384, 20480} {
		f.Add(at, []byte{0xff, 0, 1})
	}
	f.Fuzz(func(t *testing.T, at uint32, over []byte) {
		changed := bytes.Clone(body)
		copy(changed[int(at)%len(changed):], over)
		_ = loadBytes(t, filepath.Join(t.TempDir(), "f"), changed)
	})
}
