package badger

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func framed(t *testing.T, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := newFrameWriter(&out)
	for len(data) > 0 {
		n, err := w.Write(data[:min(piece, len(data))])
		require.NoError(t, err)
		data = data[n:]
	}
	require.NoError(t, w.close())
	return out.Bytes()
}

func TestFrames(t *testing.T) {
	for _, size := range []int{0, 1, maxFrame - 1, maxFrame, maxFrame + 1, 3*maxFrame + 5} {
		data := bytes.Repeat([]byte("abcde"), size/5+1)[:size]
		for _, piece := range []int{7777, maxFrame, 5 * maxFrame} {
			r := newFrameReader(iotest.HalfReader(bytes.NewReader(framed(t, data, piece))))
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.ended())
			assert.True(t, bytes.Equal(data, got), "%d bytes in pieces of %d", size, piece)
		}
	}
}

func TestFramesSeeDamage(t *testing.T) {
	whole := framed(t, []byte("some entries"), 100)
	for n := range whole {
		r := newFrameReader(bytes.NewReader(whole[:n]))
		_, err := io.ReadAll(r)
		require.ErrorIs(t, err, backend.ErrDamaged, "cut to %d bytes", n)
		require.ErrorIs(t, r.ended(), backend.ErrDamaged)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		_, err := io.ReadAll(newFrameReader(bytes.NewReader(flipped)))
		require.ErrorIs(t, err, backend.ErrDamaged, "bit flipped at %d", i)
	}
}
