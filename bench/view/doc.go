// Package view writes results for other programs: lines for benchstat, rows
// for spreadsheets, logs for the tools of HdrHistogram. What people read is in
// package bench and its page.
//
// A result whose promises broke has no figures; every view says so where it
// can, and none invents a figure. docs/results.md describes the forms.
package view

import "github.com/watchkv/watchkv/bench"

// Input is a result and the file it came from.
type Input struct {
	File   string // its name, for people
	Result *bench.Result
}
