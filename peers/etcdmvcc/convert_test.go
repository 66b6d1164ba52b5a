package etcdmvcc_test

import (
	"testing"

	"github.com/watchkv/watchkv/peers/etcdmvcc"
)

func BenchmarkConvert(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(etcdmvcc.ConvertCost(), "ns/event")
	}
}
