package etcdfile

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
)

// Sentinels that callers branch on. Damage is mvcc.ErrDamaged.
var (
	// ErrNoHash: the file has no trailing hash, as one that was copied from a
	// data directory. The text is etcd's.
	ErrNoHash = errors.New("snapshot missing hash but --skip-hash-check=false")
	// ErrAuthEnabled: the file has authentication on, and what it protects
	// would be open to everybody.
	ErrAuthEnabled = errors.New("the file has authentication enabled")
	// ErrInUse: a running etcd holds the file.
	ErrInUse = errors.New("the file is held by a running process")
)

// damage names the place in the file.
func damage(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, mvcc.ErrDamaged)...)
}
