// Package interval indexes half-open ranges of byte keys, so that the ranges
// which contain one key are found without looking at the others.
//
// A Tree is a treap ordered by range; each node also knows which range below
// it ends last, so Stab can leave out whole subtrees. Insert and Delete take
// expected O(log n), Stab O((1+k)·log n) for k hits. Nothing recurses, so
// depth never meets a stack, and Stab does not allocate. Nodes lie in a slab
// and are linked by number: a stored range costs 48 bytes, its value and its
// bounds.
//
// The shape follows from the order of calls alone: priorities come from a
// generator that starts the same in every Tree.
package interval

import (
	"bytes"

	"github.com/watchkv/watchkv/internal/slab"
)

// Tree holds values under ranges lo <= key < hi. The zero value is empty and
// ready. Equal ranges may be stored many times. A Tree must not be copied
// after first use and has no lock: the caller serialises Insert and Delete
// against everything; several Stabs may run at once.
type Tree[V any] struct {
	root   Ref
	nodes  slab.Slab[node[V]]
	random uint32
}

// Ref is the handle of one stored range in its tree, good until it is
// deleted; then it may come to be another's. 0 is none.
type Ref uint32

type node[V any] struct {
	bounds []byte // lo and hi, one behind the other
	split  uint32 // where hi begins
	open   bool   // there is no hi

	parent, left, right Ref
	last                Ref    // one that ends last in this subtree, perhaps itself
	priority            uint32 // a parent's is never smaller than its child's; 0 once deleted
	value               V
}

func (n *node[V]) lo() []byte { return n.bounds[:n.split] }

func (n *node[V]) hi() []byte {
	if n.open {
		return nil
	}
	return n.bounds[n.split:]
}

func (t *Tree[V]) at(i Ref) *node[V] { return t.nodes.At(uint32(i)) }

// Range returns the bounds given to Insert; they must not be modified.
func (t *Tree[V]) Range(i Ref) (lo, hi []byte) {
	n := t.at(i)
	return n.lo(), n.hi()
}

// Value returns where what is stored with the range is, until the next Insert
// or Delete.
func (t *Tree[V]) Value(i Ref) *V { return &t.at(i).value }

// Len returns the number of stored ranges, duplicates counted.
func (t *Tree[V]) Len() int { return t.nodes.Len() }

// Insert stores v under a copy of lo <= key < hi. A nil hi is unbounded; a
// non-nil hi that is not above lo gives a range that contains nothing, stored
// all the same.
func (t *Tree[V]) Insert(lo, hi []byte, v V) Ref {
	bounds := append(append(make([]byte, 0, len(lo)+len(hi)), lo...), hi...)
	i := Ref(t.nodes.Add(node[V]{
		bounds: bounds, split: uint32(len(lo)), open: hi == nil, priority: t.nextPriority(), value: v,
	}))
	n := t.at(i)
	n.last = i

	parent, link := Ref(0), &t.root
	for *link != 0 {
		parent = *link
		at := t.at(parent)
		if endLess(t.at(at.last).hi(), hi) {
			at.last = i
		}
		if rangeLess(lo, hi, at.lo(), at.hi()) {
			link = &at.left
		} else {
			link = &at.right
		}
	}
	n.parent = parent
	*link = i
	for n.parent != 0 && n.priority > t.at(n.parent).priority {
		t.rotateUp(i)
	}
	return i
}

// Find returns a range stored under exactly these bounds, or 0.
func (t *Tree[V]) Find(lo, hi []byte) Ref {
	i := t.root
	for i != 0 {
		n := t.at(i)
		switch {
		case rangeLess(lo, hi, n.lo(), n.hi()):
			i = n.left
		case rangeLess(n.lo(), n.hi(), lo, hi):
			i = n.right
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
		t.updateLast(at)
	}
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
			if !above(t.at(n.last).hi(), key) {
				break // everything below ends at or before key
			}
			if n.left != 0 {
				next = n.left
				break
			}
			next = n.visitThenRight(key, visit)
		case from == n.left:
			next = n.visitThenRight(key, visit)
		}
		from, i = i, next
	}
}

// visitThenRight handles n when its left side is done and returns the node to
// go on with.
func (n *node[V]) visitThenRight(key []byte, visit func(v V)) Ref {
	if bytes.Compare(n.lo(), key) > 0 {
		return n.parent // all to the right begin later still
	}
	if above(n.hi(), key) {
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
		if child != 0 && endLess(t.at(n.last).hi(), t.at(t.at(child).last).hi()) {
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
