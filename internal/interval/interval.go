// Package interval indexes half-open ranges of byte keys, so that the ranges
// which contain one key are found without looking at the others.
//
// A Tree is a treap ordered by range; each node also knows which range below
// it ends last, so Stab can leave out whole subtrees. Insert and Delete take
// expected O(log n), Stab O((1+k)·log n) for k hits. Nothing recurses, so
// depth never meets a stack, and Stab does not allocate. Nodes and bounds lie
// in slabs and are linked by number: a stored range costs 24 bytes and its
// value, and its bounds and 10 bytes.
//
// The shape follows from the order of calls alone: priorities come from a
// generator that starts the same in every Tree.
package interval

import (
	"bytes"
	"encoding/binary"

	"github.com/watchkv/watchkv/internal/slab"
)

// Tree holds values under ranges lo <= key < hi. The zero value is empty and
// ready. Equal ranges may be stored many times. A Tree must not be copied
// after first use and has no lock: the caller serialises Insert and Delete
// against everything; several Stabs may run at once.
type Tree[V any] struct {
	root   Ref
	nodes  slab.Slab[node[V]]
	bounds slab.Bytes // of the nodes: see splitBounds
	random uint32
}

// Ref is the handle of one stored range in its tree, good until it is
// deleted; then it may come to be another's. 0 is none.
type Ref uint32

type node[V any] struct {
	bounds              uint32 // in Tree.bounds
	parent, left, right Ref
	last                Ref    // one that ends last in this subtree, perhaps itself
	priority            uint32 // a parent's is never smaller than its child's; 0 once deleted
	value               V
}

// splitBounds reads bounds as they are stored: the length of lo, doubled, and
// one more if there is no hi; lo; hi.
func splitBounds(b []byte) (lo, hi []byte) {
	head, used := uint64(b[0]), 1
	if head >= 0x80 {
		head, used = binary.Uvarint(b)
	}
	lo, hi = b[used:used+int(head/2)], b[used+int(head/2):]
	if head%2 != 0 {
		return lo, nil
	}
	return lo, hi
}

func (t *Tree[V]) at(i Ref) *node[V] { return t.nodes.At(uint32(i)) }

// Range returns the bounds given to Insert. They must not be modified, and
// stay as they are until the next Insert or Delete.
func (t *Tree[V]) Range(i Ref) (lo, hi []byte) { return splitBounds(t.bounds.At(t.at(i).bounds)) }

func (t *Tree[V]) hi(i Ref) []byte {
	_, hi := t.Range(i)
	return hi
}

// Value returns where what is stored with the range is, until the next Insert
// or Delete.
func (t *Tree[V]) Value(i Ref) *V { return &t.at(i).value }

// Full reports whether there may be no room for another range: see slab.Bytes.
func (t *Tree[V]) Full() bool { return t.bounds.Full() }

// Len returns the number of stored ranges, duplicates counted.
func (t *Tree[V]) Len() int { return t.nodes.Len() }

// Insert stores v under a copy of lo <= key < hi. A nil hi is unbounded; a
// non-nil hi that is not above lo gives a range that contains nothing, stored
// all the same.
func (t *Tree[V]) Insert(lo, hi []byte, v V) Ref {
	if t.bounds.Moved == nil {
		t.bounds.Moved = func(i, bounds uint32) { t.at(Ref(i)).bounds = bounds }
	}
	i := Ref(t.nodes.Add(node[V]{priority: t.nextPriority(), value: v}))
	n := t.at(i)
	n.last = i
	head := 2 * uint64(len(lo))
	if hi == nil {
		head++
	}
	var buf [binary.MaxVarintLen64]byte
	n.bounds = t.bounds.Add(uint32(i), buf[:binary.PutUvarint(buf[:], head)], lo, hi)

	parent, link := Ref(0), &t.root
	for *link != 0 {
		parent = *link
		at := t.at(parent)
		if atLo, atHi := t.Range(parent); rangeLess(lo, hi, atLo, atHi) {
			link = &at.left
		} else {
			link = &at.right
		}
	}
	n.parent = parent
	*link = i
	// Where a last ends no earlier, so do those above.
	for ; parent != 0 && endLess(t.hi(t.at(parent).last), hi); parent = t.at(parent).parent {
		t.at(parent).last = i
	}
	for n.parent != 0 && n.priority > t.at(n.parent).priority {
		t.rotateUp(i)
	}
	return i
}

// Find returns a range stored under exactly these bounds, or 0.
func (t *Tree[V]) Find(lo, hi []byte) Ref {
	i := t.root
	for i != 0 {
		atLo, atHi := t.Range(i)
		switch {
		case rangeLess(lo, hi, atLo, atHi):
			i = t.at(i).left
		case rangeLess(atLo, atHi, lo, hi):
			i = t.at(i).right
		default:
			return i
		}
	}
	return 0
}

// Delete takes a range out and reports whether it was there: false for 0, and
// for one already deleted whose Ref is nobody else's yet.
func (t *Tree[V]) Delete(i Ref) bool {
	if i == 0 || uint32(i) >= t.nodes.End() || t.at(i).priority == 0 {
		return false
	}
	n := t.at(i)
	for n.left != 0 && n.right != 0 {
		if t.at(n.left).priority > t.at(n.right).priority {
			t.rotateUp(n.left)
		} else {
			t.rotateUp(n.right)
		}
	}
	t.replace(i, max(n.left, n.right)) // one of them, or none
	for at := n.parent; at != 0; at = t.at(at).parent {
		if t.at(at).last == i {
			t.updateLast(at)
		}
	}
	t.bounds.Remove(n.bounds)
	t.nodes.Remove(uint32(i))
	return true
}

// Stab calls visit for every stored range with lo <= key < hi, in ascending
// order of lo. visit must not insert into or delete from the tree.
func (t *Tree[V]) Stab(key []byte, visit func(v V)) {
	i, from := t.root, Ref(0) // from is the node the walk just came up from, if any
	for i != 0 {
		n := t.at(i)
		next := n.parent
		switch {
		case from == 0 || from == n.parent:
			if !above(t.hi(n.last), key) {
				break // everything below ends at or before key
			}
			if n.left != 0 {
				next = n.left
				break
			}
			next = t.visitThenRight(n, key, visit)
		case from == n.left:
			next = t.visitThenRight(n, key, visit)
		}
		from, i = i, next
	}
}

// visitThenRight handles n when its left side is done and returns the node to
// go on with.
func (t *Tree[V]) visitThenRight(n *node[V], key []byte, visit func(v V)) Ref {
	lo, hi := splitBounds(t.bounds.At(n.bounds))
	if bytes.Compare(lo, key) > 0 {
		return n.parent // all to the right begin later still
	}
	if above(hi, key) {
		visit(n.value)
	}
	if n.right != 0 {
		return n.right
	}
	return n.parent
}

// rotateUp lifts a node over its parent and takes over the subtree's last.
func (t *Tree[V]) rotateUp(i Ref) {
	n := t.at(i)
	over := n.parent
	p := t.at(over)
	t.replace(over, i)
	inner := n.left // of the two, what changes sides
	if p.left == i {
		inner = n.right
		p.left, n.right = inner, over
	} else {
		p.right, n.left = inner, over
	}
	if inner != 0 {
		t.at(inner).parent = over
	}
	p.parent = i
	n.last = p.last
	t.updateLast(over)
}

// replace puts with (may be 0) where old hangs; old keeps its own links.
func (t *Tree[V]) replace(old, with Ref) {
	parent := t.at(old).parent
	switch {
	case parent == 0:
		t.root = with
	case t.at(parent).left == old:
		t.at(parent).left = with
	default:
		t.at(parent).right = with
	}
	if with != 0 {
		t.at(with).parent = parent
	}
}

// updateLast finds a node's last again from it and its children.
func (t *Tree[V]) updateLast(i Ref) {
	n := t.at(i)
	n.last = i
	for _, child := range [...]Ref{n.left, n.right} {
		if child != 0 && endLess(t.hi(n.last), t.hi(t.at(child).last)) {
			n.last = t.at(child).last
		}
	}
}

// nextPriority is xorshift32 from a fixed start; never 0.
func (t *Tree[V]) nextPriority() uint32 {
	x := t.random
	if x == 0 {
		x = 0x9e3779b9
	}
	x ^= x << 13
	x ^= x >> 17
	x ^= x << 5
	t.random = x
	return x
}

// above reports whether end lies above key.
func above(end, key []byte) bool { return end == nil || bytes.Compare(key, end) < 0 }

// endLess reports whether end a lies below end b.
func endLess(a, b []byte) bool {
	if a == nil {
		return false
	}
	return b == nil || bytes.Compare(a, b) < 0
}

// rangeLess orders ranges by lo, then by end.
func rangeLess(aLo, aHi, bLo, bHi []byte) bool {
	if c := bytes.Compare(aLo, bLo); c != 0 {
		return c < 0
	}
	return endLess(aHi, bHi)
}
