//go:build !linux

package bolt

import "os"

const mapFlags = 0

// headMap watches nothing here: a file truncated below its first two pages
// stops views for ever.
type headMap struct{}

func mapHead(*os.File, int) (headMap, error) { return headMap{}, nil }

func (headMap) touch() byte { return 0 }

func (headMap) unmap() error { return nil }

// unlock leaves it to the closing of the file.
func unlock(*os.File) error { return nil }
