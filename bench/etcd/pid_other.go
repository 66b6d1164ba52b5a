//go:build !linux

package etcd

import (
	"context"
	"errors"
)

// PIDMeter reads a process of this machine.
type PIDMeter struct{ PID int }

// Name implements Meter.
func (m PIDMeter) Name() string { return "--server-pid" }

// Read implements Meter.
func (m PIDMeter) Read(context.Context) (Usage, error) {
	return Usage{}, errors.New("other processes can only be read on Linux; use --server-metrics")
}
