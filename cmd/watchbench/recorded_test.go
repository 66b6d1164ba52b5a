package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A result names no user, neither by a path nor with a password.
func TestRecorded(t *testing.T) {
	assert.Equal(t, []string{"watchbench", "run", "--password", "***", "-b", "mem"}, recorded([]string{"bin/watchbench", "run", "--password", "secret", "-b", "mem"}))
	given := []string{"run", "--dir", "/users/ana/data", "--json=/users/ana/out.json", "--cacert", "/users/anatol/ca", "--dir=/users/ana", "x=/users/ana"}
	assert.Equal(t, []string{"run", "--dir", "~/data", "--json=~/out.json", "--cacert", "/users/anatol/ca", "--dir=~", "x=/users/ana"}, homeless(given, "/users/ana"))
	assert.Equal(t, []string{"--dir", "/data"}, homeless([]string{"--dir", "/data"}, "/"))
}
