package metrics

import "github.com/prometheus/procfs"

// descriptors are the process's files.
type descriptors struct{ used, limit float64 }

// readDescriptors reads them; what the system does not tell stays 0.
func readDescriptors() (d descriptors) {
	self, err := procfs.Self()
	if err != nil {
		return d
	}
	if n, err := self.FileDescriptorsLen(); err == nil {
		d.used = float64(n)
	}
	if limits, err := self.Limits(); err == nil {
		d.limit = float64(limits.OpenFiles)
	}
	return d
}
