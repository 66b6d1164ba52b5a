package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/etcd"
	"github.com/watchkv/watchkv/bench/figure"
)

// serverSubject is a server that somebody else runs.
type serverSubject struct {
	kind  *etcd.Kind
	allow int64    // of --allow-write; 0: not given
	taken []string // variables that its connection was read from
}

func (s *serverSubject) facts() bench.TargetFacts { return s.kind.Facts() }

// prepare sets what may be written; check says beforehand whether that is
// enough.
func (s *serverSubject) prepare(string) (bench.Kind, error) {
	limit, _ := s.limit()
	s.kind.Allow(limit)
	return s.kind, nil
}

func (s *serverSubject) release() error { return s.kind.Close() }

// left is what stays on the server if it is not released.
func (s *serverSubject) left() string { return s.kind.Left() }

// quotaShare of the free quota is what a run may write unasked.
const quotaShare = 0.10

// limit is how much may be written; known is false where a server does not
// tell its quota and nobody said what it may take.
func (s *serverSubject) limit() (bytes int64, known bool) {
	free, known := etcd.FreeBytes(s.kind.Status())
	switch {
	case s.allow > 0:
		return s.allow, true
	case !known:
		return 0, false
	case free < 0: // it has no quota: its disk is the bound, which is not seen
		return 0, false
	}
	return int64(quotaShare * float64(free)), true
}

// check refuses a plan that would harm the server.
func (s *serverSubject) check(plan bench.Plan) error {
	need, _ := etcd.Estimate(plan, s.kind.Prefix())
	return s.bears(need)
}

// bears refuses to write to a server that is not well, or more than it should
// take.
func (s *serverSubject) bears(need int64) error {
	if why := etcd.Unfit(s.kind.Status()); why != "" {
		return unmeasured("%s; nothing was written", why)
	}
	limit, known := s.limit()
	ask := typed(need)
	switch {
	case !known && need > 0:
		return unmeasured("would write %s, and the server does not tell its quota (older than 3.6, or none set); allow by --allow-write %s", figure.Bytes(need), ask)
	case need > limit && s.allow > 0:
		return unmeasured("would write %s, over the %s of --allow-write; allow by --allow-write %s", figure.Bytes(need), figure.ShortBytes(s.allow), ask)
	case need > limit:
		free, _ := etcd.FreeBytes(s.kind.Status())
		return unmeasured("would write %s, over 10%% of %s free quota; allow by --allow-write %s", figure.Bytes(need), figure.Bytes(free), ask)
	}
	return nil
}

// room refuses a plan that is one of several for which what was written before
// leaves too little of what may be written.
func (s *serverSubject) room(plan bench.Plan) error {
	need, _ := etcd.Estimate(plan, s.kind.Prefix())
	if limit, known := s.limit(); !known || s.kind.Spent()+need > limit {
		return fmt.Errorf("would write %s, %s of %s are left; --allow-write allows more", figure.Bytes(need), figure.Bytes(max(0, limit-s.kind.Spent())), figure.Bytes(limit))
	}
	return nil
}

// typed is a size as a flag takes it, not below n.
func typed(n int64) string {
	const mega, giga = 1 << 20, 1 << 30
	if n >= giga {
		return fmt.Sprintf("%.1fGiB", math.Ceil(float64(n)*10/giga)/10)
	}
	return fmt.Sprintf("%dMiB", (n+mega-1)/mega)
}

func (s *serverSubject) where(plan bench.Plan, _ string) []note {
	notes := []note{{"server", s.serverLine()}, {"writes", s.writesLine(plan)}}
	if len(s.taken) > 0 {
		notes = append(notes, note{"taken", lines(s.taken, 9)})
	}
	return notes
}

// serverLine is what the endpoints said of themselves.
func (s *serverSubject) serverLine() string {
	var parts []string
	for _, st := range s.kind.Status() {
		role := "follower"
		if st.Leads {
			role = "leader"
		}
		text := fmt.Sprintf("%s %s, revision %d, %s in use", st.Endpoint, role, st.Revision, figure.Bytes(st.DBBytes))
		if st.QuotaBytes > 0 {
			text = fmt.Sprintf("%s %s, revision %d, %s of %s quota used", st.Endpoint, role, st.Revision, figure.Bytes(st.DBBytes), figure.ShortBytes(st.QuotaBytes))
		}
		if len(st.Alarms) > 0 {
			text += ", alarm " + strings.Join(st.Alarms, " ")
		}
		parts = append(parts, text)
	}
	for _, endpoint := range s.kind.Absent() {
		parts = append(parts, endpoint+" does not answer, left out")
	}
	return lines(parts, 9)
}

func (s *serverSubject) writesLine(plan bench.Plan) string {
	need, bounded := etcd.Estimate(plan, s.kind.Prefix())
	amount := "at most about " + figure.Bytes(need)
	if !bounded {
		limit, _ := s.limit()
		amount = "as fast as it gets, and stops at " + figure.Bytes(limit)
	}
	return lines([]string{
		amount + " under " + s.kind.Prefix(), "deleted at the end",
		"deleted keys keep their space until compaction and defragmentation",
	}, 9)
}
