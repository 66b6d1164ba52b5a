package engines_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

func TestTable(t *testing.T) {
	var names []string
	for _, d := range engines.All() {
		names = append(names, d.Name)
		found, ok := engines.Lookup(d.Name)
		require.True(t, ok)
		assert.Equal(t, d.Name, found.Name)
		assert.Equal(t, d.Volatile, d.Holds == nil, "%s keeps data that it can tell", d.Name)
	}
	assert.Equal(t, []string{"mem", "bolt", "pebble", "badger"}, names)
	_, ok := engines.Lookup("leveldb")
	assert.False(t, ok)
	_, ok = engines.Lookup("")
	assert.False(t, ok)
}

// Each engine refuses the directory of each other and leaves it usable.
func TestEnginesKeepApart(t *testing.T) {
	for _, owner := range engines.All() {
		if owner.Volatile {
			continue
		}
		t.Run(owner.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			_, found := engines.Holding(dir)
			assert.False(t, found)
			e, err := owner.Open(dir, backend.Options{})
			require.NoError(t, err)
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("a"), []byte("1"))
			require.NoError(t, e.Apply(&b, backend.Sync))
			require.NoError(t, e.Close())

			holding, found := engines.Holding(dir)
			require.True(t, found)
			assert.Equal(t, owner.Name, holding.Name)
			for _, other := range engines.All() {
				if other.Volatile || other.Name == owner.Name {
					continue
				}
				assert.False(t, other.Holds(dir), other.Name)
				for _, readOnly := range []bool{false, true} {
					wrong, err := other.Open(dir, backend.Options{ReadOnly: readOnly})
					if !assert.ErrorIs(t, err, backend.ErrDamaged, other.Name) && err == nil {
						require.NoError(t, wrong.Close())
					}
					assert.ErrorContains(t, err, other.Name)
					assert.ErrorContains(t, err, dir)
				}
			}
			e, err = owner.Open(dir, backend.Options{ReadOnly: true})
			require.NoError(t, err)
			require.NoError(t, e.Close())
		})
	}
}
