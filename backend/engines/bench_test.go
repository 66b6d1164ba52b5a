package engines_test

import (
	"testing"

	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
)

func BenchmarkEngines(b *testing.B) {
	for _, d := range engines.All() {
		b.Run(d.Name, func(b *testing.B) { backendtest.Bench(b, d) })
	}
}
