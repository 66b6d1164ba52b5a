package watch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/mvcc"
)

func TestPrefixOf(t *testing.T) {
	for _, row := range []struct {
		lo, hi string
		open   bool
		prefix string
		ok     bool
	}{
		{lo: "\x00", open: true, prefix: "", ok: true},
		{lo: "a", hi: "b", prefix: "a", ok: true},
		{lo: "ab", hi: "ac", prefix: "ab", ok: true},
		{lo: "a\xff", hi: "b", prefix: "a\xff", ok: true},
		{lo: "\xff\xff", open: true, prefix: "\xff\xff", ok: true},
		{lo: "\xff\xff", hi: "\xff\xff\x01"},
		{lo: "a", open: true},
		{lo: "a", hi: "c"},
		{lo: "a", hi: "bb"},
		{lo: "a", hi: "a\x00"},
		{lo: "ab", hi: "bc"},
	} {
		s := mvcc.Span{Lo: []byte(row.lo), Hi: []byte(row.hi)}
		if row.open {
			s.Hi = nil
		}
		p, ok := prefixOf(s)
		assert.Equal(t, row.ok, ok, "%q", row)
		if ok {
			assert.Equal(t, row.prefix, string(p), "%q", row)
		}
	}
}

// TestRangeIndexModel holds the index against a list, with spans of all
// shapes: single keys, prefixes, other ranges, open ends.
func TestRangeIndexModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 'b', 0xfe, 0xff}), 1, 3)
		span := rapid.Custom(func(t *rapid.T) mvcc.Span {
			lo := key.Draw(t, "lo")
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				return mvcc.SpanOf(lo, nil)
			case 1:
				return mvcc.SpanOf(lo, []byte{0})
			case 2:
				return mvcc.Span{Lo: lo, Hi: prefixEnd(lo)}
			}
			return mvcc.Span{Lo: lo, Hi: key.Draw(t, "hi")}
		})
		var x rangeIndex[int]
		model := map[string]struct {
			span mvcc.Span
			v    int
		}{}
		name := func(s mvcc.Span) string { return fmt.Sprintf("%q %q %v", s.Lo, s.Hi, s.Hi == nil) }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				s := span.Draw(t, "span")
				if s.Empty() {
					return
				}
				v := rapid.IntRange(1, 1000).Draw(t, "v")
				if at := x.find(rangeOf(s)); at != 0 {
					*x.at(at) = v
				} else {
					at := x.add(rangeOf(s), v)
					require.Equal(t, at, x.find(rangeOf(s)))
					require.Equal(t, name(s), name(x.rangeAt(at).span()))
				}
				back := rangeOf(s).span()
				require.Equal(t, name(s), name(back), "the same set in the same form")
				model[name(s)] = struct {
					span mvcc.Span
					v    int
				}{s, v}
			},
			"delete": func(t *rapid.T) {
				s := span.Draw(t, "span")
				if at := x.find(rangeOf(s)); at != 0 {
					x.remove(at)
				}
				delete(model, name(s))
			},
			"": func(t *rapid.T) {
				k := key.Draw(t, "key")
				var want []int
				for _, m := range model {
					if m.span.Contains(k) {
						want = append(want, m.v)
					}
					at := x.find(rangeOf(m.span))
					require.NotZero(t, at)
					require.Equal(t, m.v, *x.at(at))
				}
				require.Equal(t, len(model), x.len())
				got := x.match(nil, k)
				slices.Sort(want)
				slices.Sort(got)
				require.Equal(t, want, got, "key %q", k)
				require.Equal(t, len(want) > 0, x.holds(k))
			},
		})
	})
}

// BenchmarkRangeIndexMatch: an event among many single keys, prefixes or other
// ranges, one of which holds it or none; nested has three wide ranges around
// all of them besides.
func BenchmarkRangeIndexMatch(b *testing.B) {
	key := func(i int) []byte { return fmt.Appendf(nil, "registry/pods/namespace-%07d/", i) }
	for _, n := range []int{10_000, 1_000_000} {
		for _, shape := range []string{"key", "prefix", "range", "nested"} {
			var x rangeIndex[*group]
			g := &group{}
			for _, i := range rand.Perm(n) {
				s := mvcc.SpanOf(key(i), nil)
				switch shape {
				case "prefix":
					s.Hi = prefixEnd(key(i))
				case "range", "nested":
					s.Hi = append(key(i), 'z')
				}
				x.add(rangeOf(s), g)
			}
			want := 1
			if shape == "nested" {
				for i := range 3 {
					x.add(rangeOf(mvcc.Span{Lo: []byte("registry/pods/name"), Hi: []byte{'s', byte(i)}}), g)
				}
				want = 4
			}
			keys := make([][]byte, 1<<16)
			for i := range keys {
				keys[i] = key(rand.IntN(n))
			}
			run := func(name string, want int) {
				b.Run(fmt.Sprintf("%d/%s/%s", n, shape, name), func(b *testing.B) {
					var hits []*group
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if hits = x.match(hits[:0], keys[i%len(keys)]); len(hits) != want {
							b.Fatal(len(hits))
						}
					}
				})
			}
			run("hit", want)
			for _, k := range keys {
				k[len(k)-1] = '.'
			}
			run("miss", want-1)
		}
	}
}
