// Package compare measures several targets in turn and says how they differ.
//
// [Run] takes a repetition of every target, then the next: what changes on the
// machine meanwhile meets all of them. [Tabulate] makes the table of a
// comparison, [Text] is its view for people, [Findings] are what may be said of
// it in a sentence: significant differences and nothing else.
//
// Nothing here starts a goroutine.
package compare
