package main

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/internal/examples"

	"github.com/watchkv/watchkv/peers/etcd"
)

var whole = flag.Bool("examples.whole", false, "run examples as they stand where that takes a bounded time")

// The examples that need this module or a real etcd; the others run in
// internal/examples.
func TestExamples(t *testing.T) {
	repo, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	programs := examples.Programs{
		Watchbench: filepath.Join(dir, "watchbench"), Watchd: filepath.Join(dir, "watchd"), Etcdctl: filepath.Join(dir, "etcdctl"),
	}
	build := exec.Command("go", "build", "-o", dir, "./cmd/watchbench", "./cmd/watchd")
	build.Dir = repo
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command("go", "build", "-o", programs.Etcdctl, "go.etcd.io/etcd/etcdctl/v3").CombinedOutput()
	require.NoError(t, err, "%s", out)
	documents, err := examples.Documents(repo, programs)
	require.NoError(t, err)

	server, err := etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), NoFsync: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Stop()) }()
	target := strings.Replace(server.Client.Endpoints()[0], "http://", "etcd://", 1)

	ran := map[string]bool{}
	for _, doc := range documents {
		t.Run(doc.Name, func(t *testing.T) {
			box, err := examples.NewSandbox(t.TempDir(), repo, programs)
			require.NoError(t, err)
			defer func() { assert.NoError(t, box.Stop()) }()
			for _, e := range doc.Examples {
				rule, ok := examples.RuleFor(e)
				switch {
				case !ok || ran[e.Text]:
					continue
				case rule.Serves != "" && rule.Where == examples.Here && asked(doc): // once more, for what asks it
				case rule.Where != examples.Peers && rule.Where != examples.Etcd && rule.Where != examples.Etcdctl:
					continue
				default:
					ran[e.Text] = rule.Where != examples.Etcdctl // those are in an order
				}
				began := time.Now()
				assert.NoError(t, box.Run(t.Context(), e, rule, target, *whole))
				t.Logf("%5.1f s  %s", time.Since(began).Seconds(), e)
			}
		})
	}
}

// asked tells whether a document has commands for the watchd it starts.
func asked(doc examples.Document) bool {
	for _, e := range doc.Examples {
		if rule, ok := examples.RuleFor(e); ok && rule.Where == examples.Etcdctl {
			return true
		}
	}
	return false
}
