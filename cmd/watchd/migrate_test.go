package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// endsAfter is a context that ends when it was asked that often.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A copy that was interrupted, wherever, does not open; the same command
// begins it anew.
func TestMigrate_Interrupted(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	r := restoring{dir: filepath.Join(dir, "old"), engine: "bolt"}
	require.NoError(t, r.run(t.Context(), filepath.Join(etcdFiles, "snapshot.db"), &out))
	for _, engine := range []string{"pebble", "badger", "bolt"} {
		from, to := "bolt:"+r.dir, engine+":"+filepath.Join(dir, engine)
		for _, after := range []int{20, 300, 590} {
			err := migrate(&endsAfter{t.Context(), after}, from, to, &out)
			require.ErrorContains(t, err, "the same command begins it again")
			at, err := findEngineDir("to", to)
			require.NoError(t, err)
			half, err := at.openReadOnly("to")
			require.NoError(t, err)
			_, err = mvcc.Open(half, mvcc.Config{ReadOnly: true})
			require.ErrorIs(t, err, mvcc.ErrUnfinished)
			require.NoError(t, half.Close())
		}
		out.Reset()
		require.NoError(t, migrate(t.Context(), from, to, &out))
		require.Contains(t, out.String(), "revision 600, hash")
		err := migrate(t.Context(), from, to, &out)
		require.ErrorContains(t, err, "holds data already")
	}
}

// So is a restore, and a start from an etcd file.
func TestLoad_Interrupted(t *testing.T) {
	at, err := findPlace(filepath.Join(t.TempDir(), "data"), "pebble")
	require.NoError(t, err)
	engine, err := openTarget(at, "data-dir")
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	file, err := openEtcdFile(t.Context(), filepath.Join(etcdFiles, "snapshot.db"), false)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	_, err = file.Load(&endsAfter{t.Context(), 1}, engine, etcdfile.LoadConfig{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = mvcc.Open(engine, mvcc.Config{})
	require.ErrorIs(t, err, mvcc.ErrUnfinished)
	loaded, err := file.Load(t.Context(), engine, etcdfile.LoadConfig{})
	require.NoError(t, err)
	require.EqualValues(t, 600, loaded.Rev)
}
