//go:build unix

package badger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/watchkv/watchkv/backend"
)

// withDirLock runs fn under the lock that badger itself takes.
func withDirLock(path string, exclusive bool, fn func() error) (err error) {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err = unix.Flock(int(dir.Fd()), how|unix.LOCK_NB)
	if isLockHeld(err) {
		return fmt.Errorf("%w: %w", backend.ErrLocked, err)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return fn()
}

func isLockHeld(err error) bool { return errors.Is(err, unix.EWOULDBLOCK) }
