package bolt_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/bolt"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, bolt.Driver())
}
