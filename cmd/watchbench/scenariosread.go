package main

import (
	"io"
	"os"

	"github.com/watchkv/watchkv/bench/scenariofile"
)

// readScenarioFile reads a file that people named, or - for standard input.
func readScenarioFile(path string) (data []byte, err error) {
	if path == "" {
		return nil, misused("--file \"\": a file is missing; watchbench scenarios NAME --yaml prints one")
	}
	in := os.Stdin
	if path != "-" {
		if in, err = os.Open(path); err != nil {
			return nil, misused("--file %q: %v", path, cause(err))
		}
		defer in.Close()
	}
	// One byte more tells a file that is too long.
	if data, err = io.ReadAll(io.LimitReader(in, scenariofile.MaxBytes+1)); err != nil {
		return nil, misused("--file %q: %v", path, cause(err))
	}
	return data, nil
}
