package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/procfs"
)

// PIDMeter reads a process of this machine.
type PIDMeter struct{ PID int }

// Name implements Meter.
func (m PIDMeter) Name() string { return "--server-pid" }

// Read implements Meter. Threads that ended count.
func (m PIDMeter) Read(context.Context) (u Usage, err error) {
	p, err := procfs.NewProc(m.PID)
	if errors.Is(err, os.ErrNotExist) {
		return u, fmt.Errorf("no process %d here", m.PID)
	}
	if err != nil {
		return u, err
	}
	stat, err := p.Stat()
	if err != nil {
		return u, err
	}
	u.CPU, u.KnowsCPU = time.Duration(stat.CPUTime()*float64(time.Second)), true
	u.MemoryBytes, u.KnowsMemory = int64(stat.ResidentMemory()), true
	return u, nil
}
