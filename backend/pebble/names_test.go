package pebble

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// markerDisk looks, as each marker of a manifest is made, at what a power cut
// would leave.
type markerDisk struct {
	*vfs.MemFS
	t       *testing.T
	markers int
}

func (d *markerDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if _, manifest, ok := strings.Cut(d.PathBase(name), "MANIFEST-"); ok && strings.HasPrefix(d.PathBase(name), markerPrefix) {
		d.markers++
		left, err := d.CrashClone(vfs.CrashCloneCfg{}).List(d.PathDir(name))
		require.NoError(d.t, err)
		require.Contains(d.t, left, "MANIFEST-"+manifest)
	}
	return d.MemFS.Create(name, c)
}

// R1: a marker never reaches the disk before the name of its manifest.
func TestOpen_ManifestBeforeItsMarker(t *testing.T) {
	disk := &markerDisk{MemFS: vfs.NewCrashableMem(), t: t}
	require.NoError(t, disk.MkdirAll("/data", 0o700))
	for range 3 {
		e, err := DriverFS(disk).Open("/data", backend.Options{})
		require.NoError(t, err)
		require.NoError(t, e.Close())
	}
	require.GreaterOrEqual(t, disk.markers, 3)
}
