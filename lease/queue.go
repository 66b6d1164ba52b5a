package lease

import "container/heap"

// queue has the leases whose time runs, the next due first.
type queue []*record

// set puts le at the place of its due time and reports whether it is the
// first now.
func (q *queue) set(le *record) (first bool) {
	if le.place < 0 {
		heap.Push(q, le)
	} else {
		heap.Fix(q, le.place)
	}
	return le.place == 0
}

// drop takes le out, if it is in.
func (q *queue) drop(le *record) {
	if le.place >= 0 {
		heap.Remove(q, le.place)
	}
}

// Len implements heap.Interface.
func (q queue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

// Swap implements heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	le := x.(*record)
	le.place = len(*q)
	*q = append(*q, le)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	le := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	le.place = -1
	return le
}
