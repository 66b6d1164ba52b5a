// Package soak lets a store and everything that listens to it work together
// for as long as it is told to: writers, readers, compactions, reopens,
// consumers that are quick, slow or die, on every engine in both durabilities.
// Every response is held against the promises by watch/watchtest, and after
// each life of the store nothing may be left: no goroutine, no view, no watch,
// no memory, no disk space. It has no code of its own; everything is in its
// tests.
//
//	go test ./internal/soak -run Soak -v -soak.duration 30m
//
// The seed that a run prints, given back with -soak.seed, repeats its mix of
// operations as far as goroutines run alike.
package soak
