package slab

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// bytesModel is what a Bytes must hold: by owner, the string and its number.
type bytesModel struct {
	b       Bytes
	strings map[uint32][]byte
	numbers map[uint32]uint32
	owners  uint32 // ever
}

func newBytesModel() *bytesModel {
	m := &bytesModel{strings: map[uint32][]byte{}, numbers: map[uint32]uint32{}}
	m.b.Moved = func(owner, number uint32) { m.numbers[owner] = number }
	return m
}

func (m *bytesModel) add(s []byte) {
	m.owners++
	m.strings[m.owners] = s
	m.numbers[m.owners] = m.b.Add(m.owners, s[:len(s)/2], s[len(s)/2:])
}

// remove lets go of the string of an owner, or of one not far above it.
func (m *bytesModel) remove(owner uint32) {
	for range m.owners {
		if number, ok := m.numbers[owner]; ok {
			m.b.Remove(number)
			delete(m.numbers, owner)
			delete(m.strings, owner)
			return
		}
		owner = owner%m.owners + 1
	}
}

func (m *bytesModel) check(t require.TestingT) {
	require.Len(t, m.strings, len(m.numbers))
	seen := map[uint32]bool{}
	least := 0
	for owner, s := range m.strings {
		number := m.numbers[owner]
		require.False(t, number == 0 || seen[number])
		seen[number] = true
		require.True(t, bytes.Equal(s, m.b.At(number)), "string of %d bytes", len(s))
		least += len(s)
	}
	held, live := 0, 0
	for _, p := range m.b.pieces {
		held += cap(p.data)
		live += p.live
	}
	require.Equal(t, live, m.b.live)
	require.GreaterOrEqual(t, live, least)
	require.LessOrEqual(t, held, 2*live+2*pieceLen)
	if live == 0 {
		require.Zero(t, held)
	}
}

func TestBytesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newBytesModel()
		length := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(100, 300), rapid.IntRange(largeLen-20, largeLen+20))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				m.add(bytes.Repeat([]byte{byte(m.owners)}, length.Draw(t, "length")))
			},
			"many": func(t *rapid.T) {
				n := length.Draw(t, "length")
				for range rapid.IntRange(0, 2*pieceLen).Draw(t, "bytes") / (n + unit) {
					m.add(bytes.Repeat([]byte{byte(m.owners)}, n))
				}
			},
			"remove": func(t *rapid.T) {
				m.remove(rapid.Uint32Range(1, m.owners+1).Draw(t, "owner"))
			},
			"remove many": func(t *rapid.T) {
				step := rapid.Uint32Range(1, 5).Draw(t, "step")
				for o := uint32(1); o <= m.owners; o += step {
					if _, ok := m.numbers[o]; ok {
						m.remove(o)
					}
				}
			},
			"": func(t *rapid.T) { m.check(t) },
		})
	})
}

// FuzzBytes reads its input as calls: the length of a string to add, or of
// which owner to remove one.
func FuzzBytes(f *testing.F) {
	f.Add([]byte{0, 5, 0, 255, 1, 1, 1, 2, 2, 9})
	f.Fuzz(func(t *testing.T, input []byte) {
		m := newBytesModel()
		for ; len(input) >= 2; input = input[2:] {
			switch n := int(input[1]); input[0] % 4 {
			case 0:
				m.add(make([]byte, n))
			case 1:
				if m.owners > 0 {
					m.remove(uint32(n)%m.owners + 1)
				}
			case 2:
				for range 40 {
					m.add(make([]byte, 10*n))
				}
			case 3:
				for o := range m.owners {
					if o%7 != uint32(n%7) && m.numbers[o] != 0 {
						m.remove(o)
					}
				}
			}
		}
		m.check(t)
	})
}

// One string that stays among very many that come and go keeps no piece for
// itself alone.
func TestBytes_ChurnKeepsLittle(t *testing.T) {
	m := newBytesModel()
	for range 50 {
		m.add([]byte("stays"))
		for range 3 * pieceLen / 32 {
			number := m.b.Add(1<<31, []byte("comes and goes"))
			m.b.Remove(number)
		}
	}
	m.check(t)
	require.Len(t, m.strings, 50)
	require.Less(t, len(m.b.pieces)-len(m.b.free), 5)
}

func TestBytes_Full(t *testing.T) {
	var b Bytes
	require.False(t, b.Full())
	b.pieces = make([]piece, maxPieces)
	require.True(t, b.Full())
	b.free = make([]uint32, sparePieces)
	require.False(t, b.Full())
}
