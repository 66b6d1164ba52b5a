package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lasting is a subject of which something stays.
type lasting struct{ engineSubject }

func (*lasting) release() error { return errors.New("keys stay\nunder p/") }
func (*lasting) left() string   { return "keys stay under p/" }

// What a release leaves behind is told, and changes the exit code only of what
// had none.
func TestMeasuring_LetGo(t *testing.T) {
	var m measuring
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"all was well", nil, &exitError{exitUnmeasured, "keys stay; under p/"}},
		{"a broken promise", &exitError{code: exitBroken}, &exitError{exitBroken, "keys stay; under p/"}},
		{"with a reason", &exitError{exitBroken, "stopped"}, &exitError{exitBroken, "stopped; keys stay; under p/"}},
		{"no exit code", context.DeadlineExceeded, &exitError{exitUnmeasured, "context deadline exceeded; keys stay; under p/"}},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, m.letGo(&lasting{}, c.err)) })
	}
}

// Who ends verify at once is told what stays.
func TestVerify_SaysWhatIsLeft(t *testing.T) {
	var said bytes.Buffer
	v := &verifyCommand{measuring: measuring{term: &terminal{err: &said}}}
	_, _, err := v.openSubject(&lasting{})
	require.Error(t, err) // it is neither an engine nor a server
	v.sayLeft()
	assert.Equal(t, "watchbench: keys stay under p/\n", said.String())
}
