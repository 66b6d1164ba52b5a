//go:build !unix

package badger

import "os"

// withDirLock cannot lock a directory here. Without the lock nothing may be
// removed, so fn does not run.
func withDirLock(path string, exclusive bool, fn func() error) error { return nil }

// isLockHeld: badger opens its lock file alone here, and what fails then is
// that file.
func isLockHeld(err error) bool { return os.IsPermission(err) || os.IsExist(err) }
