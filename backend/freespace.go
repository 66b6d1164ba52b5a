package backend

import (
	"fmt"
	"io/fs"
)

// FreeSpacer is the ability to tell how much room is left, for engines that
// keep files. It costs some microseconds, at most some hundred.
type FreeSpacer interface {
	FreeSpace() (FreeSpace, error)
}

// FreeSpace is the room an engine has, in bytes.
type FreeSpace struct {
	// Bytes is what can still be written: what the volume has left for this
	// user, and what the engine can use again inside its files. -1: unknown.
	Bytes int64
	// Floor is what this engine may write without being asked, such as
	// memtables and the output of its own compactions. With less room than
	// that it may hang, end the process or fail the batch it is given. It may
	// move with the engine's state.
	Floor int64
}

// VolumeFree is the room that the volume of an existing path has left for
// this user, in bytes; -1 if the system does not know, as for a tmpfs without
// a limit. Quotas of single users are not seen, nor is a lack of inodes.
func VolumeFree(path string) (int64, error) {
	free, err := volumeFree(path)
	if err != nil {
		return -1, fmt.Errorf("free space at %s: %w", path, err)
	}
	return free, nil
}

// DiskBytes is what a file takes on the volume: more than its length where it
// was lengthened ahead, less where it has holes. Its length if the system does
// not tell.
func DiskBytes(info fs.FileInfo) int64 { return diskBytes(info) }

// RoomToOpen answers ErrNoSpace if the volume of path has less than need
// bytes left: for engines whose library, as it opens, does not survive a full
// disk. An unknown room passes.
func RoomToOpen(path string, need int64) error {
	free, err := VolumeFree(path)
	if err != nil {
		return err
	}
	if free >= 0 && free < need {
		return fmt.Errorf("%s has %.1f MiB left, and to open may take %.1f MiB: free space on the volume first: %w",
			path, mebibytes(free), mebibytes(need), ErrNoSpace)
	}
	return nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
