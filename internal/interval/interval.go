// Package interval indexes half-open ranges of byte keys, so that the ranges
// which contain one key are found without looking at the others.
//
// A Tree is a treap ordered by range; each node also knows which range below
// it ends last, so Stab can leave out whole subtrees. Insert and Delete take
// expected O(log n), Stab O((1+k)·log n) for k hits. Nothing recurses, so
// depth never meets a stack, and Stab does not allocate. A stored range costs
// 96 bytes beside its bounds.
//
// The shape follows from the order of calls alone: priorities come from a
// generator that starts the same in every Tree.
package interval

import "bytes"

// Tree holds values under ranges lo <= key < hi. The zero value is empty and
// ready. Equal ranges may be stored many times. A Tree must not be copied
// after first use and has no lock: the caller serialises Insert and Delete
// against everything; several Stabs may run at once.
type Tree[V any] struct {
	root   *Node[V]
	length int
	random uint64
}

// Node is the handle of one stored range, good until it is deleted.
type Node[V any] struct {
	lo, hi []byte
	value  V

	parent, left, right *Node[V]
	last                *Node[V] // one that ends last in this subtree, perhaps itself
	priority            uint64   // a parent's is never smaller than its child's; 0 once deleted
}

// Range returns the bounds given to Insert; they must not be modified.
func (n *Node[V]) Range() (lo, hi []byte) { return n.lo, n.hi }

// Value returns what was stored with the range.
func (n *Node[V]) Value() V { return n.value }

// Len returns the number of stored ranges, duplicates counted.
func (t *Tree[V]) Len() int { return t.length }

// Insert stores v under lo <= key < hi. A nil hi is unbounded; a non-nil hi
// that is not above lo gives a range that contains nothing, stored all the
// same. The tree keeps lo and hi: the caller must not modify them afterwards.
func (t *Tree[V]) Insert(lo, hi []byte, v V) *Node[V] {
	n := &Node[V]{lo: lo, hi: hi, value: v, priority: t.nextPriority()}
	n.last = n
	t.length++

	at, link := (*Node[V])(nil), &t.root
	for *link != nil {
		at = *link
		if endLess(at.last.hi, hi) {
			at.last = n
		}
		if rangeLess(lo, hi, at.lo, at.hi) {
			link = &at.left
		} else {
			link = &at.right
		}
	}
	n.parent = at
	*link = n
	for n.parent != nil && n.priority > n.parent.priority {
		t.rotateUp(n)
	}
	return n
}

// Find returns a node stored under exactly these bounds, or nil.
func (t *Tree[V]) Find(lo, hi []byte) *Node[V] {
	n := t.root
	for n != nil {
		switch {
		case rangeLess(lo, hi, n.lo, n.hi):
			n = n.left
		case rangeLess(n.lo, n.hi, lo, hi):
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// Delete takes n out and reports whether it was there: false for nil, for a
// node already deleted, and for one of another tree.
func (t *Tree[V]) Delete(n *Node[V]) bool {
	if n == nil || n.priority == 0 || n.top() != t.root {
		return false
	}
	for n.left != nil && n.right != nil {
		if n.left.priority > n.right.priority {
			t.rotateUp(n.left)
		} else {
			t.rotateUp(n.right)
		}
	}
	child := n.left
	if child == nil {
		child = n.right
	}
	parent := n.parent
	t.replace(n, child)
	for at := parent; at != nil; at = at.parent {
		at.updateLast()
	}
	n.priority = 0
	n.parent, n.left, n.right, n.last = nil, nil, nil, nil // a kept handle must not keep the tree alive
	t.length--
	return true
}

// Stab calls visit for every stored range with lo <= key < hi, in ascending
// order of lo. visit must not insert into or delete from the tree.
func (t *Tree[V]) Stab(key []byte, visit func(v V)) {
	n := t.root
	from := (*Node[V])(nil) // the node the walk just came up from, if any
	for n != nil {
		next := n.parent
		switch {
		case from == nil || from == n.parent:
			if !above(n.last.hi, key) {
				break // everything below ends at or before key
			}
			if n.left != nil {
				next = n.left
				break
			}
			next = n.visitThenRight(key, visit)
		case from == n.left:
			next = n.visitThenRight(key, visit)
		}
		from, n = n, next
	}
}

// visitThenRight handles n when its left side is done and returns the node to
// go on with.
func (n *Node[V]) visitThenRight(key []byte, visit func(v V)) *Node[V] {
	if bytes.Compare(n.lo, key) > 0 {
		return n.parent // all to the right begin later still
	}
	if above(n.hi, key) {
		visit(n.value)
	}
	if n.right != nil {
		return n.right
	}
	return n.parent
}

// rotateUp lifts n over its parent; n takes over the subtree's last.
func (t *Tree[V]) rotateUp(n *Node[V]) {
	p := n.parent
	t.replace(p, n)
	if p.left == n {
		p.left = n.right
		if p.left != nil {
			p.left.parent = p
		}
		n.right = p
	} else {
		p.right = n.left
		if p.right != nil {
			p.right.parent = p
		}
		n.left = p
	}
	p.parent = n
	n.last = p.last
	p.updateLast()
}

// replace puts with (may be nil) where old hangs; old keeps its own links.
func (t *Tree[V]) replace(old, with *Node[V]) {
	p := old.parent
	switch {
	case p == nil:
		t.root = with
	case p.left == old:
		p.left = with
	default:
		p.right = with
	}
	if with != nil {
		with.parent = p
	}
}

// updateLast finds n.last again from n and its children.
func (n *Node[V]) updateLast() {
	n.last = n
	if n.left != nil && endLess(n.last.hi, n.left.last.hi) {
		n.last = n.left.last
	}
	if n.right != nil && endLess(n.last.hi, n.right.last.hi) {
		n.last = n.right.last
	}
}

// top returns the root of the tree that holds n.
func (n *Node[V]) top() *Node[V] {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// nextPriority is xorshift64 from a fixed start.
func (t *Tree[V]) nextPriority() uint64 {
	x := t.random
	if x == 0 {
		x = 0x9e3779b97f4a7c15
	}
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
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
