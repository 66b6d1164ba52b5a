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
	prefix     string
	keys       [][]byte
	valueBytes int
	noise      []byte // values are windows of it: cheap, and engines cannot compress them away
}

func newWorkload(seed uint64, sc Scenario) *workload {
	w := &workload{seed: seed, prefix: "registry/watchbench/", valueBytes: sc.ValueBytes}
	w.keys = make([][]byte, sc.Keys)
	for i := range w.keys {
		w.keys[i] = fmt.Appendf(make([]byte, 0, keyBytes), "%so%09d%s", w.prefix, i, keyTail)[:keyBytes]
	}
	w.noise = make([]byte, 1<<16+sc.ValueBytes)
	chacha := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: byte(seed >> 24), 31: 1})
	_, _ = chacha.Read(w.noise) // never fails, by its contract
	return w
}

// key is the key of put n.
func (w *workload) key(n int64) []byte { return w.keys[w.keyNumber(n)] }

func (w *workload) keyNumber(n int64) int {
	return int(mix(w.seed, uint64(n)) % uint64(len(w.keys)))
}

// appendValue appends the value of put n, due at the given nanosecond of the
// session's clock, to dst.
func (w *workload) appendValue(dst []byte, n, due int64) []byte {
	at := len(dst)
	from := mix(w.seed+1, uint64(n)) & (1<<16 - 1)
	dst = append(dst, w.noise[from:from+uint64(w.valueBytes)]...)
	if w.valueBytes >= stampBytes {
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
// range of every key there can be.
const wholeKeyspace Shape = "whole-keyspace"

// idleKey is the i-th key that nobody writes.
func (w *workload) idleKey(i int) []byte {
	return fmt.Appendf(nil, "%si%09d%s", w.prefix, i, keyTail)[:keyBytes]
}

// watchRange is what watcher i of a scenario watches, as key and end of a
// watch request. parts is how many ranges the keys are cut into.
func (w *workload) watchRange(shape Shape, i, parts int) (key, end []byte) {
	switch shape {
	case wholeKeyspace:
		return []byte{0}, []byte{0}
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
