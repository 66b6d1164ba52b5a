package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A result names no user, neither by a path nor by a password.
func TestRecorded(t *testing.T) {
	t.Setenv("HOME", "/home/ana")
	t.Setenv("USERPROFILE", "/home/ana")
	assert.Equal(t,
		[]string{"watchbench", "run", "--dir", "~/data", "--json=~/out.json", "--cacert", "/home/anatol/ca", "--password", "***", "-b", "mem", "--dir=~"},
		recorded([]string{"/home/ana/go/bin/watchbench", "run", "--dir", "/home/ana/data", "--json=/home/ana/out.json", "--cacert", "/home/anatol/ca", "--password", "secret", "-b", "mem", "--dir=/home/ana"}))
}
