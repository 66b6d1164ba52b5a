// Package examples finds the commands that the project's documents show and
// runs them, so that none of them can go stale. It is used by tests alone: by
// its own, and by that of the nested module peers for what needs a real etcd.
//
// Find reads a document, Rules says for each command how it is made small
// enough for a test or why it is not run as it stands, and a Sandbox runs it
// in a directory of its own by the shell that a reader would use. A command
// that no rule matches is a mistake of the document, or a rule is missing.
package examples
