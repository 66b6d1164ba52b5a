package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/bench"
)

// subject is a store to measure, as the command line chose it.
type subject interface {
	// facts are what is known before anything is opened.
	facts() bench.TargetFacts
	// prepare opens what must be open while it is measured; dir is for files
	// of its own.
	prepare(dir string) (bench.Kind, error)
	// release ends what prepare began.
	release() error
	// check refuses a plan that the store must not be loaded with.
	check(plan bench.Plan) error
	// where says in the start of a run where that writes. dir is empty for a
	// temporary directory.
	where(plan bench.Plan, dir string) []note
}

// note is a line of the start of a run: a heading of at most eight letters,
// and the text.
type note struct{ heading, text string }

// engineSubject is a store over one engine, in this process.
type engineSubject struct{ kind bench.Embedded }

func (s *engineSubject) facts() bench.TargetFacts { return s.kind.Facts() }

func (s *engineSubject) prepare(dir string) (bench.Kind, error) {
	probe := filepath.Join(dir, "probe")
	k, err := s.kind.Probe(probe)
	if err = errors.Join(err, os.RemoveAll(probe)); err != nil {
		return nil, err
	}
	s.kind = k
	return k, nil
}

func (s *engineSubject) release() error { return nil }

func (s *engineSubject) check(bench.Plan) error { return nil }

func (s *engineSubject) where(plan bench.Plan, dir string) []note {
	return []note{{"files", filesLine(s.facts(), plan, dir)}}
}
