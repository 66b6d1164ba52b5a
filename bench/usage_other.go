//go:build !unix

package bench

import (
	"os"
	"time"
)

func cpuTime() time.Duration { return 0 }

// cpuUnmeasured is why cpuTime says nothing here.
const cpuUnmeasured = "no processor time of a process on this system"

func occupied(info os.FileInfo) int64 { return info.Size() }
