package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// committer commits batches on a goroutine of its own, so that Apply can
// return when pebble never does.
type committer struct {
	db      *pebble.DB
	failure *failure
	work    chan commit // Apply sends, close closes; unbuffered: one caller
	done    chan error  // the goroutine sends; room for the answer nobody waits for
	ended   chan struct{}
}

type commit struct {
	batch *pebble.Batch
	how   *pebble.WriteOptions
}

func newCommitter(db *pebble.DB, f *failure) *committer {
	c := &committer{db: db, failure: f, work: make(chan commit), done: make(chan error, 1), ended: make(chan struct{})}
	go c.run()
	return c
}

func (c *committer) run() {
	defer close(c.ended)
	for w := range c.work {
		err := c.commit(w)
		c.done <- errors.Join(err, w.batch.Close())
	}
}

// commit holds locks of pebble's in its first half only: in the second, which
// waits for the disk, an error of the log is safe.
func (c *committer) commit(w commit) error {
	c.failure.enter()
	if !w.how.Sync {
		defer c.failure.leave()
		return c.db.Apply(w.batch, w.how)
	}
	err := c.db.ApplyNoSyncWait(w.batch, w.how)
	c.failure.leave()
	if err != nil {
		return err
	}
	return w.batch.SyncWait()
}

// apply returns when the batch is committed or the engine has failed.
func (c *committer) apply(w commit) error {
	if err := c.failure.err(); err != nil {
		return errors.Join(err, w.batch.Close())
	}
	select {
	case c.work <- w:
	case <-c.failure.failed: // the goroutine may be gone for good
		return c.failure.cause
	}
	select {
	case err := <-c.done:
		return err
	case <-c.failure.failed:
	}
	select {
	case err := <-c.done: // it was durable before something else failed
		return err
	default:
		return fmt.Errorf("%w (the outcome is unknown until the next open)", c.failure.cause)
	}
}
