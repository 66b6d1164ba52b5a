//go:build !linux

package bolt

const mapFlags = 0
