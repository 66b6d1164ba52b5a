//go:build unix

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// R6: a write that the system refuses ends writing: what was answered stays
// readable, the exit code tells, and the next start has all of it.
func TestStoreFails(t *testing.T) {
	program, err := exec.LookPath("watchd")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--backend", "pebble", "--data-dir", dir, "--listen-client-urls", anyPort}
	// No file may grow beyond 1 MiB, and the signal for that is ignored.
	p, ready := launchProgram(t, "bash", nil, append([]string{"-c", `trap '' XFSZ; ulimit -f 1024; exec "$0" "$@"`, program}, args...)...)
	p.awaitReady(ready)
	kv := pb.NewKVClient(p.client().ActiveConnection())
	value := make([]byte, 100_000)
	random := rand.NewChaCha8([32]byte{}) // does not compress
	answered := 0
	for err == nil && answered < 100 {
		_, _ = random.Read(value)
		if _, err = kv.Put(t.Context(), &pb.PutRequest{Key: fmt.Appendf(nil, "k%03d", answered), Value: value}); err == nil {
			answered++
		}
	}
	require.Error(t, err)
	require.Positive(t, answered)
	_, err = kv.Put(t.Context(), &pb.PutRequest{Key: []byte("small")})
	require.ErrorContains(t, err, "file too large")
	keys := &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), CountOnly: true}
	got, err := kv.Range(t.Context(), keys)
	require.NoError(t, err)
	assert.EqualValues(t, answered, got.Count)
	health, err := http.Get("http://" + p.address + "/health")
	require.NoError(t, err)
	said, err := io.ReadAll(health.Body)
	require.NoError(t, err)
	require.NoError(t, health.Body.Close())
	assert.Equal(t, http.StatusServiceUnavailable, health.StatusCode)
	assert.Contains(t, string(said), "file too large")
	p.signal(syscall.SIGTERM)
	assert.Equal(t, exitFailed, p.wait())
	assert.Contains(t, p.log()[len(p.log())-1]["plain"], "watchd: writing had ended before: mvcc: store failed")

	p = up(t, args...)
	got, err = pb.NewKVClient(p.client().ActiveConnection()).Range(t.Context(), keys)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got.Count, int64(answered))
}
