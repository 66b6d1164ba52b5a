package pebble

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// orderedNames makes names reach the disk in the order pebble relies on. It
// makes a manifest, then a marker with the manifest's name, and syncs the
// directory after both. A file system may keep the second name and lose the
// first when the power fails in between, and then the directory would not open
// again. So the directory is synced before each marker, too; there is one for
// each manifest, so this costs nothing that could be measured.
type orderedNames struct{ vfs.FS }

const markerPrefix = "marker."

func (o orderedNames) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(o.PathBase(name), markerPrefix) {
		dir, err := o.OpenDir(o.PathDir(name))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return nil, err
		}
	}
	return o.FS.Create(name, category)
}

// Unwrap is for pebble, which looks for the file system at the bottom.
func (o orderedNames) Unwrap() vfs.FS { return o.FS }
