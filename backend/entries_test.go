package backend_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
)

const head = "test 1\n"

func TestEntries(t *testing.T) {
	from, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	for i := range 3000 {
		b.Append(backend.SpaceKey, []byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte{byte(i)}, i%2000))
	}
	b.Put(backend.SpaceMeta, []byte("empty"), nil)
	b.Put(backend.SpaceMeta, []byte("large"), make([]byte, 5<<20))
	require.NoError(t, from.Apply(&b, backend.Sync))
	whole := write(t, from)

	to, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	require.NoError(t, backend.ReadEntries(t.Context(), iotest.HalfReader(bytes.NewReader(whole)), head, to))
	assert.True(t, bytes.Equal(whole, write(t, to)))

	lost := errors.New("line cut")
	empty, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	require.ErrorIs(t, backend.ReadEntries(t.Context(), iotest.ErrReader(lost), head, empty), lost)
}

func write(t *testing.T, e backend.Engine) []byte {
	t.Helper()
	_, spaces, err := backend.Options{}.RegisteredSpaces()
	require.NoError(t, err)
	v, err := e.View()
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, backend.WriteEntries(t.Context(), &out, head, v, &spaces))
	require.NoError(t, v.Close())
	return out.Bytes()
}

// Every cut and every flipped bit is seen.
func TestEntriesDamage(t *testing.T) {
	from, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("a"), []byte("value"))
	b.Put(backend.SpaceLease, []byte("b"), nil)
	require.NoError(t, from.Apply(&b, backend.Sync))
	whole := write(t, from)
	read := func(data []byte) error {
		e, err := mem.Open("", backend.Options{})
		require.NoError(t, err)
		return backend.ReadEntries(t.Context(), bytes.NewReader(data), head, e)
	}
	for n := range whole {
		require.ErrorIs(t, read(whole[:n]), backend.ErrDamaged, "cut to %d bytes", n)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		require.Error(t, read(flipped), "bit flipped at %d", i)
	}
	require.NoError(t, read(whole))
}
