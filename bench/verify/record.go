package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Line is one step of a record: a request, a response or a write.
type Line struct {
	What string `json:"what"` // "create", "event", "progress", ...
	Text string `json:"text"`
	Note string `json:"note,omitempty"`
	Mark bool   `json:"mark,omitempty"` // the step that broke it
}

// maxRecord is the longest record shown; what is between is left out.
const maxRecord = 10

// what names a response in a record.
func what(r *Response) string {
	switch {
	case r.Created && r.Canceled:
		return "refused"
	case r.Created:
		return "created"
	case r.Canceled:
		return "canceled"
	case len(r.Events) == 1:
		return "event"
	case len(r.Events) > 1:
		return "events"
	case r.CaughtUp:
		return "caught up"
	}
	return "progress"
}

func text(r *Response, s *scene) string {
	id := fmt.Sprintf("id %d  ", r.WatchID)
	switch n := len(r.Events); {
	case n == 1:
		return id + eventText(&r.Events[0], s)
	case n > 1:
		return fmt.Sprintf("%s%s ... %s, %d in all", id, eventText(&r.Events[0], s), eventText(&r.Events[n-1], s), n)
	case r.Canceled && r.CompactRevision > 0:
		return fmt.Sprintf("%scompacted at %d", id, r.CompactRevision)
	case r.Canceled && r.Err != nil:
		return fmt.Sprintf("%s%v", id, r.Err)
	case r.Canceled:
		return strings.TrimSpace(id)
	}
	return fmt.Sprintf("%sat revision %d", id, r.Revision)
}

func eventText(e *mvcc.Event, s *scene) string {
	return fmt.Sprintf("%v %s@%d", e.Type, s.short(e.KV.Key), e.KV.ModRevision)
}

// rangeText is a range with the scene's prefix left out.
func rangeText(key, end []byte, s *scene) string {
	switch {
	case string(key) == s.prefix && string(end) == string(s.end()):
		return "every key"
	case len(end) == 0:
		return fmt.Sprintf("key %q", s.short(key))
	case len(end) == 1 && end[0] == 0:
		return fmt.Sprintf("from %q on", s.short(key))
	}
	return fmt.Sprintf("%q to %q", s.short(key), s.short(end))
}

// shortest is the record of a broken watch: as few of its responses as still
// break the same rule in the same way, with the requests that were made for
// its id between them.
func shortest(w *watched, b *watchtest.Broken) []Line {
	responses := make([]int, len(w.got))
	for i := range responses {
		responses[i] = i
	}
	keep := w.shrink(responses, b)
	var lines []Line
	next := 0
	asks := w.lane.asks
	flush := func(place int) {
		for ; next < len(asks) && asks[next].at <= place; next++ {
			if id := asks[next].id; id == w.id || id == everyID {
				lines = append(lines, asks[next].line)
			}
		}
	}
	for _, i := range keep {
		flush(w.places[i])
		r := &w.got[i]
		if r.Created && !r.Canceled && len(r.Events) == 0 && i != keep[len(keep)-1] && !slices.Contains(aboutCreated, b.ID) {
			continue // the create says it
		}
		lines = append(lines, Line{What: what(r), Text: text(r, w.lane.s)})
	}
	if n := len(lines); n > 0 {
		lines[n-1].Mark = true
	}
	if n := len(lines); n > maxRecord {
		short := append([]Line(nil), lines[:3]...)
		short = append(short, Line{What: "...", Text: fmt.Sprintf("%d steps left out", n-maxRecord+1)})
		lines = append(short, lines[n-maxRecord+4:]...)
	}
	return lines
}

// aboutCreated are rules in which the revision of Created counts.
var aboutCreated = []string{"C7", "C8", "C9", "C15", "N2"}

// maxTries bounds how often a record is checked again to make it shorter.
const maxTries = 300

// shrink leaves out responses, large parts first, as long as what is left
// breaks the same rule with the same words.
func (w *watched) shrink(keep []int, b *watchtest.Broken) []int {
	tries := 0
	for part := len(keep) / 2; part >= 1; part /= 2 {
		for from := 0; from < len(keep) && tries < maxTries; {
			to := min(from+part, len(keep))
			without := append(append([]int(nil), keep[:from]...), keep[to:]...)
			tries++
			if w.breaksSame(without, b) {
				keep = without
			} else {
				from = to
			}
		}
	}
	return keep
}

// breaksSame checks some of the watch's responses anew.
func (w *watched) breaksSame(some []int, b *watchtest.Broken) bool {
	check := watchtest.NewWatch(w.req.Request, w.opts)
	if w.canceled {
		check.CancelAsked()
	}
	for n, i := range some {
		err := check.Deliver(&w.got[i].Response)
		if err == nil {
			continue
		}
		again, ok := err.(*watchtest.Broken)
		return ok && n == len(some)-1 && again.ID == b.ID && again.Detail == b.Detail
	}
	err := check.Finish(w.lane.s.book.last())
	again, ok := err.(*watchtest.Broken)
	return ok && again.ID == b.ID && again.Detail == b.Detail
}
