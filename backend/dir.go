package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// PrepareDir is for engines that keep a directory of files: it makes sure
// that path is a directory that holds the engine's own files or none at all,
// so that one engine never settles in the data of another. The directory is
// made if missing, unless readOnly, in which case missing data are an error
// wrapping fs.ErrNotExist. own tells the engine's files by their names;
// foreign files are an error wrapping ErrDamaged that lists some of them.
// fresh: the directory holds nothing yet.
func PrepareDir(path string, readOnly bool, own func(name string) bool) (fresh bool, err error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return false, err
		}
		return true, SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return false, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return JudgeDir(path, names, readOnly, own)
}

// JudgeDir is what PrepareDir makes of a directory that holds names, for
// engines that list it themselves; path is for errors only.
func JudgeDir(path string, names []string, readOnly bool, own func(name string) bool) (fresh bool, err error) {
	var foreign []string
	for _, name := range names {
		if own(name) {
			return false, nil
		}
		// Left by the system in the root of a volume, by a desktop, or by an
		// engine that got no further than locking.
		if name != "lost+found" && name != "LOCK" && !strings.HasPrefix(name, ".") {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		return false, fmt.Errorf("%s holds %s and nothing of this engine: %w", path, listNames(foreign), ErrDamaged)
	}
	if readOnly {
		return false, fmt.Errorf("%s holds no data: %w", path, fs.ErrNotExist)
	}
	return true, nil
}

func listNames(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// DirHolds tells whether path is a directory with at least one file that own
// accepts; for Driver.Holds.
func DirHolds(path string, own func(name string) bool) bool {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if own(entry.Name()) {
			return true
		}
	}
	return false
}

// SyncDir makes the names in a directory survive power loss, on systems that
// can: without it a new file may be gone although its content was synced.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
