// Package arch holds the layout of this module as tests: which package may
// import which, what a program that embeds one engine links, and what source
// files may not contain. It has no code of its own.
//
// A new package gets a row in the table of rules_test.go, in the change that
// adds it; without one the tests fail.
package arch
