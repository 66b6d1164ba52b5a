package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// keyBytes is the length of every key: that of a Kubernetes object's name
// under a prefix.
const keyBytes = 64

// keyTail fills keys up to their length: the number stands early, where
// messages that cut long keys still show it.
const keyTail = "-of-a-name-about-as-long-as-they-are-in-use"

// stampBytes at the head of a value carry the intended time of its put, so
// that it travels over any wire. Shorter values carry none.
const stampBytes = 8

// workload makes keys and values from a seed. It is immutable: any number of
// goroutines may use it.
type workload struct {
	seed       uint64
	prefix     string // of every key
	shared     bool   // keys elsewhere are others'
	keyBytes   int
	keys       [][]byte
	valueBytes int
	noise      []byte // values are windows of it: cheap, and engines cannot compress them away
}

// defaultPrefix of the keys, where the target has none of its own.
const defaultPrefix = "registry/watchbench/"

// numberBytes of a key are its kind and its number.
const numberBytes = len("o000000000")

// newWorkload makes keys under the prefix, which is the whole of what may be
// watched if the store is shared.
func newWorkload(seed uint64, sc Scenario, prefix string, shared bool) *workload {
	w := &workload{seed: seed, prefix: prefix, shared: shared, valueBytes: sc.ValueBytes}
	w.keyBytes = KeyBytes(prefix)
	w.keys = make([][]byte, sc.Keys)
	for i := range w.keys {
		w.keys[i] = w.name('o', i)
	}
	w.noise = make([]byte, 1<<16+max(sc.ValueBytes, nodeBytes))
	chacha := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: byte(seed >> 24), 31: 1})
	_, _ = chacha.Read(w.noise) // never fails, by its contract
	return w
}

// name is a key by its kind and number.
func (w *workload) name(kind byte, number int) []byte {
	return fmt.Appendf(make([]byte, 0, w.keyBytes+numberBytes), "%s%c%09d%s", w.prefix, kind, number, keyTail)[:w.keyBytes]
}

// key is the key of put n.
func (w *workload) key(n int64) []byte { return w.keys[w.keyNumber(n)] }

func (w *workload) keyNumber(n int64) int {
	return int(mix(w.seed, uint64(n)) % uint64(len(w.keys)))
}

// numberOf is the number of a key of this workload.
func (w *workload) numberOf(key []byte) (n int) {
	for _, digit := range key[len(w.prefix)+1 : len(w.prefix)+numberBytes] {
		n = 10*n + int(digit-'0')
	}
	return n
}

// appendValue appends the value of put n, due at the given nanosecond of the
// session's clock, to dst.
func (w *workload) appendValue(dst []byte, n, due int64) []byte {
	return w.appendSized(dst, n, due, w.valueBytes)
}

// appendSized is appendValue with a size of its own, up to what the workload
// was made for.
func (w *workload) appendSized(dst []byte, n, due int64, size int) []byte {
	at := len(dst)
	from := mix(w.seed+1, uint64(n)) & (1<<16 - 1)
	dst = append(dst, w.noise[from:from+uint64(size)]...)
	if size >= stampBytes {
		binary.LittleEndian.PutUint64(dst[at:], uint64(due))
	}
	return dst
}

// stamp reads the intended time back; ok is false where the value has none.
func stamp(value []byte) (due int64, ok bool) {
	if len(value) < stampBytes {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(value)), true
}

// wholeKeyspace is the Prefix shape of scenarios that replay a history: a
// range of every key there can be. On a store that others use too it is the
// prefix of the workload.
const wholeKeyspace Shape = "whole-keyspace"

// idleKey is the i-th key that nobody writes.
func (w *workload) idleKey(i int) []byte {
	return w.name('i', i)
}

// watchRange is what watcher i of a scenario watches, as key and end of a
// watch request. parts is how many ranges the keys are cut into.
func (w *workload) watchRange(shape Shape, i, parts int) (key, end []byte) {
	switch shape {
	case wholeKeyspace:
		if !w.shared {
			return []byte{0}, []byte{0}
		}
		return []byte(w.prefix), prefixEnd(w.prefix)
	case Prefix:
		return []byte(w.prefix), prefixEnd(w.prefix)
	case Ranges:
		lo, hi := w.keysOf(shape, i, parts)
		if hi == len(w.keys) {
			return w.keys[lo], prefixEnd(w.prefix)
		}
		return w.keys[lo], w.keys[hi]
	}
	return w.keys[i%len(w.keys)], nil
}

// keysOf is which keys watchRange covers, as numbers from and up to to.
func (w *workload) keysOf(shape Shape, i, parts int) (from, to int) {
	switch shape {
	case wholeKeyspace, Prefix:
		return 0, len(w.keys)
	case Ranges:
		return i * len(w.keys) / parts, (i + 1) * len(w.keys) / parts
	}
	return i % len(w.keys), i%len(w.keys) + 1
}

// prefixEnd is the smallest key above all keys with the prefix, which must
// not end in 0xff.
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

// mix is splitmix64: a number that looks random and depends on both alone.
func mix(seed, n uint64) uint64 {
	z := seed*0x9e3779b97f4a7c15 + n*0xbf58476d1ce4e5b9 + 0x94d049bb133111eb
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
