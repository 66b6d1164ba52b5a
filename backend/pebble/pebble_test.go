package pebble_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/pebble"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, pebble.Driver())
}
