package main

import (
	"errors"

	"github.com/watchkv/watchkv/mvcc"
)

// findData is findPlace for commands that need data to be there.
func findData(dir, engineName string) (place, error) {
	at, err := findPlace(dir, engineName)
	if err == nil && at.fresh {
		err = failed("--data-dir %q: holds no data", dir)
	}
	return at, err
}

// readStore opens the store in --data-dir for reading only; done closes it
// and its engine.
func (p place) readStore() (store *mvcc.Store, done func() error, err error) {
	engine, err := p.openReadOnly("data-dir")
	if err != nil {
		return nil, nil, err
	}
	store, err = mvcc.Open(engine, mvcc.Config{ReadOnly: true})
	if err != nil {
		return nil, nil, errors.Join(failed("--data-dir %q: %v", p.dir, err), engine.Close())
	}
	return store, func() error { return errors.Join(store.Close(), engine.Close()) }, nil
}
