package main

import (
	"path/filepath"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// like is an earlier result whose plan is measured again.
type like struct {
	file   string
	result *bench.Result
}

// readLike reads the result of --like, if one is given, and makes the flags
// that choose a store those of the result, where they are not given.
func (r *runCommand) readLike() error {
	set := r.output.set
	if !set.Changed("like") {
		return nil
	}
	for _, flag := range loadFlagNames() {
		if set.Changed(flag) {
			return misused("--%s with --like: the plan is that of %s; leave one of them out", flag, r.likeFile)
		}
	}
	results, err := bench.ReadFile(r.likeFile)
	if err != nil {
		return misused("--like %v", err)
	}
	if len(results) > 1 {
		return misused("--like %s: is of %d targets; repeat it by watchbench compare", r.likeFile, len(results))
	}
	res := results[0]
	if err := res.Plan.Check(); err != nil {
		return misused("--like %s: %v", r.likeFile, err)
	}
	switch {
	case res.Source != nil && !set.Changed("etcd-file"):
		return misused("--like %s: replays %s; name that file by --etcd-file", r.likeFile, res.Source.File)
	case res.Source == nil && set.Changed("etcd-file"):
		return misused("--like %s: replays no file; leave --etcd-file out", r.likeFile)
	case set.Changed("target"):
	case res.Target.Server():
		return misused("--like %s: is of %s at %s; say which server by --target", r.likeFile, res.Target.Name(), strings.Join(res.Target.Endpoints, ","))
	default:
		if !set.Changed("backend") {
			r.store.backend = res.Target.Engine
		}
		if !set.Changed("durability") && res.Target.Durability != "" {
			r.store.durability = res.Target.Durability
		}
	}
	r.like = &like{filepath.Base(r.likeFile), res}
	return nil
}

// line says what is unlike the earlier result before anything is measured.
func (l *like) line(here *bench.Result) string {
	unlike := bench.Unlike(here, l.result)
	if here.Source != nil && *here.Source != *l.result.Source {
		unlike = append(unlike, "another history: "+figure.Count(here.Source.Events)+" events here, "+figure.Count(l.result.Source.Events)+" there")
	}
	text := l.file + ", its plan and seed"
	if len(unlike) == 0 {
		return text + "; nothing else differs"
	}
	return text + "; " + strings.Join(unlike, " · ")
}
