package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const etcdFiles = "../../mvcc/testdata/etcd"

// A start from an etcd file fills an empty directory; the same start repeated
// goes on with what is there, even if the file is gone; another is refused.
func TestFromEtcd(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(etcdFiles, "snapshot.db"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "snap.db")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--backend", "bolt", "--data-dir", dir, "--listen-client-urls", anyPort, "--from-etcd", file}

	p := up(t, args...)
	require.Len(t, p.find("started from an etcd file"), 1)
	assert.EqualValues(t, 600, p.find("started from an etcd file")[0]["revision"])
	put, err := p.client().Put(t.Context(), "new", "v")
	require.NoError(t, err)
	require.EqualValues(t, 601, put.Header.Revision)
	p.signal(os.Interrupt)
	require.Equal(t, exitStopped, p.wait())

	require.NoError(t, os.Remove(file))
	p = up(t, args...)
	require.Empty(t, p.find("started from an etcd file"))
	require.Len(t, p.find("this data directory was made from that etcd file before; going on with what it holds now"), 1)
	got, err := p.client().Get(t.Context(), "new")
	require.NoError(t, err)
	require.EqualValues(t, 601, got.Header.Revision)
	p.signal(os.Interrupt)
	require.Equal(t, exitStopped, p.wait())

	other := append(args[:len(args)-1:len(args)-1], filepath.Join(etcdFiles, "leases.db"), "--skip-hash-check")
	p, ready := launch(t, nil, other...)
	_, ok := <-ready
	require.False(t, ok)
	assert.Equal(t, exitFailed, p.wait())
	require.NotEmpty(t, p.log())
	assert.Contains(t, p.log()[len(p.log())-1]["plain"], "holds data already; leave --from-etcd out")
}
