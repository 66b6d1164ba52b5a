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
	program := filepath.Join(t.TempDir(), "watchbench")
	build := exec.Command("go", "build", "-o", program, "./cmd/watchbench")
	build.Dir = repo
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	documents, err := examples.Documents(repo, program)
	require.NoError(t, err)

	server, err := etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), NoFsync: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Stop()) }()
	target := strings.Replace(server.Client.Endpoints()[0], "http://", "etcd://", 1)

	box, err := examples.NewSandbox(t.TempDir(), repo, program)
	require.NoError(t, err)
	ran := map[string]bool{}
	for _, doc := range documents {
		t.Run(doc.Name, func(t *testing.T) {
			for _, e := range doc.Examples {
				rule, ok := examples.RuleFor(e)
				if !ok || rule.Where != examples.Peers && rule.Where != examples.Etcd || ran[e.Text] {
					continue
				}
				ran[e.Text] = true
				began := time.Now()
				assert.NoError(t, box.Run(t.Context(), e, rule, target, *whole))
				t.Logf("%5.1f s  %s", time.Since(began).Seconds(), e)
			}
		})
	}
}
