package verify

import "fmt"

// join puts the fragments of a response together, and delivers it whole.
func (l *lane) join(r *Response) {
	first := l.joining
	switch {
	case first == nil:
		whole := *r
		l.joining, l.parts = &whole, []Response{*r}
		return
	case r.WatchID != first.WatchID:
		l.s.broke("S4", fmt.Sprintf("a response of watch %d stands between the fragments of watch %d", r.WatchID, first.WatchID),
			l.partLine(&l.parts[len(l.parts)-1]), marked(l.partLine(r)))
		if !r.Fragment {
			l.deliver(r)
		}
		return
	}
	if r.Revision != first.Revision || r.Created != first.Created || r.Canceled != first.Canceled || r.CompactRevision != first.CompactRevision {
		l.s.broke("S2", fmt.Sprintf("fragments of one response differ: revision %d and %d", first.Revision, r.Revision),
			l.partLine(&l.parts[0]), marked(l.partLine(r)))
	}
	l.parts = append(l.parts, *r)
	first.Events = append(first.Events[:len(first.Events):len(first.Events)], r.Events...)
	first.Size += r.Size
	if r.Fragment {
		return
	}
	first.Fragment = false
	l.fragmented = append(l.fragmented, l.parts)
	l.joining, l.parts = nil, nil
	l.deliver(first)
}

func (l *lane) partLine(r *Response) Line {
	kind := what(r)
	if r.Fragment {
		kind = "fragment"
	}
	return Line{What: kind, Text: text(r, l.s), Note: fmt.Sprintf("%d bytes", r.Size)}
}

func marked(l Line) Line {
	l.Mark = true
	return l
}
