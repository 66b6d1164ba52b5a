package server

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

func TestIDs_OutliveTheStore(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	load := func(cfg mvcc.Config) (ids, bool) {
		store, err := mvcc.Open(engine, cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		id, kept, err := loadIDs(t.Context(), store)
		require.NoError(t, err)
		require.NotZero(t, id.cluster)
		require.NotZero(t, id.member)
		require.NotEqual(t, id.cluster, id.member)
		require.EqualValues(t, 1, store.Rev(), "no revision is made")
		return id, kept
	}
	_, kept := load(mvcc.Config{ReadOnly: true})
	require.False(t, kept)
	first, kept := load(mvcc.Config{})
	require.True(t, kept)
	for _, cfg := range []mvcc.Config{{}, {ReadOnly: true}} {
		again, kept := load(cfg)
		require.True(t, kept)
		require.Equal(t, first, again)
	}

	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	_, err = store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
		return tx.PutBeside(backend.SpaceMeta, idsKey, []byte("short"))
	})
	require.NoError(t, err)
	_, _, err = loadIDs(t.Context(), store)
	require.ErrorIs(t, err, mvcc.ErrDamaged)
}
