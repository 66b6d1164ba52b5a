package backend

import "errors"

// Sentinels; engines wrap them with their name, the path and the numbers that
// matter.
var (
	// ErrClosed: the engine or view is closed.
	ErrClosed = errors.New("backend: closed")
	// ErrReadOnly: the engine was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("backend: opened read-only")
	// ErrLocked: another opener, in this process or another, holds the data.
	ErrLocked = errors.New("backend: held by another opener")
	// ErrBatchTooLarge: the batch exceeds Stats.MaxBatchBytes or MaxBatchOps.
	ErrBatchTooLarge = errors.New("backend: batch exceeds the engine's maximum")
	// ErrDamaged: the data on disk is not what was written, or not this
	// engine's at all.
	ErrDamaged = errors.New("backend: data damaged or foreign")
	// ErrKeySize: a key of a batch is empty or longer than MaxKeyBytes.
	ErrKeySize = errors.New("backend: key empty or too long")
	// ErrUnknownSpace: the space was not registered in Options.Spaces.
	ErrUnknownSpace = errors.New("backend: space not registered")
	// ErrNoSpace: the volume has less room than the call may need; nothing was
	// tried.
	ErrNoSpace = errors.New("backend: not enough room on the volume")
)
