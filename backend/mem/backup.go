package mem

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/watchkv/watchkv/backend"
)

const backupHead = "watchkv mem 1\n"

// Backup writes one view.
func (e *engine) Backup(ctx context.Context, w io.Writer) error {
	v, err := e.View()
	if err != nil {
		return fmt.Errorf("mem: backup: %w", err)
	}
	err = backend.WriteEntries(ctx, w, backupHead, v, &e.spaces)
	if err := errors.Join(err, v.Close()); err != nil {
		return fmt.Errorf("mem: backup: %w", err)
	}
	return nil
}

func restore(ctx context.Context, path string, r io.Reader, o backend.Options) (backend.Engine, error) {
	if o.ReadOnly {
		return nil, fmt.Errorf("mem: restore: %w", backend.ErrReadOnly)
	}
	e, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := backend.ReadEntries(ctx, r, backupHead, e); err != nil {
		return nil, errors.Join(fmt.Errorf("mem: restore: %w", err), e.Close())
	}
	return e, nil
}
