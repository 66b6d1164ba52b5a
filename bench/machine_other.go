//go:build !linux && !darwin

package bench

import "runtime"

func cpuModel() string         { return "" }
func memoryTotal() int64       { return 0 }
func osRelease() string        { return runtime.GOOS }
func filesystem(string) string { return "" }
func residentBytes() int64     { return 0 }
func writtenBytes() int64      { return -1 }
