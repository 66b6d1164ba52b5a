package backend

import (
	"context"
	"errors"
	"io"
)

// ContextWriter is for Backup: it writes to W until Context is done. Err is
// its first error, kept because some libraries drop it. Not safe for
// concurrent use.
type ContextWriter struct {
	Context context.Context
	W       io.Writer
	Err     error
}

func (c *ContextWriter) Write(p []byte) (n int, err error) {
	if c.Err != nil {
		return 0, c.Err
	}
	if c.Err = c.Context.Err(); c.Err == nil {
		n, c.Err = c.W.Write(p)
	}
	return n, c.Err
}

// ContextReader is for Restore: it reads from R until Context is done. Err is
// its first error but io.EOF. Not safe for concurrent use.
type ContextReader struct {
	Context context.Context
	R       io.Reader
	Err     error
}

func (c *ContextReader) Read(p []byte) (n int, err error) {
	if c.Err != nil {
		return 0, c.Err
	}
	if c.Err = c.Context.Err(); c.Err != nil {
		return 0, c.Err
	}
	n, err = c.R.Read(p)
	if !errors.Is(err, io.EOF) {
		c.Err = err
	}
	return n, err
}
