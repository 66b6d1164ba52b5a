package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	backendtest.Run(t, mem.Driver())
}
