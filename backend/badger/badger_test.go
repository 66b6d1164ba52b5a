package badger_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/badger"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, badger.Driver())
}
