package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/page"
)

// writePage writes the page of --html.
func (r *reportCommand) writePage(documents []document) error {
	var results []*bench.Result
	for _, d := range documents {
		results = append(results, d.results...)
	}
	options := page.Options{File: filepath.Base(r.html)}
	err := bench.WriteWhole(r.html, func(w io.Writer) error { return page.Write(w, results, options) })
	if err != nil {
		return unmeasured("%s: %v", r.html, err)
	}
	r.say("%s   a page of %d results; it opens anywhere and loads nothing", r.html, len(results))
	return nil
}

// takeOut writes the result files that a page has inside into the working
// directory. What stands there already is never replaced.
func (r *reportCommand) takeOut() error {
	f, err := os.Open(r.extract)
	if err != nil {
		return misused("--extract %q: %v", r.extract, withoutName(err))
	}
	defer func() { _ = f.Close() }() // nothing was written
	files, err := page.Extract(f)
	switch {
	case errors.Is(err, page.ErrNoResults):
		return misused("--extract %q: %v", r.extract, page.ErrNoResults)
	case err != nil:
		return misused("--extract %q: %v", r.extract, err)
	}
	for _, file := range files {
		switch there, err := os.ReadFile(file.Name); {
		case err == nil && bytes.Equal(there, file.JSON):
		case err == nil:
			return unmeasured("%s: stands here already, and holds something else; go to another directory", file.Name)
		case !errors.Is(err, os.ErrNotExist):
			return unmeasured("%s: %v", file.Name, withoutName(err))
		default:
			err := bench.WriteWhole(file.Name, func(w io.Writer) error {
				_, err := w.Write(file.JSON)
				return err
			})
			if err != nil {
				return unmeasured("%s: %v", file.Name, err)
			}
		}
		if _, err := fmt.Fprintln(r.term.out, file.Name); err != nil {
			return unmeasured("the names cannot be written: %v", err)
		}
	}
	return nil
}

// withoutName leaves the name of the file out of an error that is printed
// behind it.
func withoutName(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
