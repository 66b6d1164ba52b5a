package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"
)

// Machine is where a run happened. Empty fields could not be found out.
type Machine struct {
	CPU         string `json:"cpu,omitempty"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes,omitempty"`
	OS          string `json:"os"`
	Filesystem  string `json:"filesystem,omitempty"`
	Fsync       *Fsync `json:"fsync_ns,omitempty"`
}

// Fsync is what it costs to append 4 KiB and wait until they are on disk.
type Fsync struct {
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`
	Samples int           `json:"samples"`
}

// InspectMachine describes this machine and the file system that holds dir;
// an empty dir leaves the file system out.
func InspectMachine(dir string) Machine {
	m := Machine{CPU: cpuModel(), Cores: runtime.GOMAXPROCS(0), MemoryBytes: memoryTotal(), OS: osRelease()}
	if dir != "" {
		m.Filesystem = filesystem(dir)
	}
	return m
}

const (
	fsyncSamples = 200
	fsyncBytes   = 4096
	fsyncLongest = 2 * time.Second // of measuring: slow disks give fewer samples
)

// MeasureFsync measures the disk under dir with a file that it removes.
func MeasureFsync(dir string) (_ *Fsync, err error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return nil, fmt.Errorf("bench: measure fsync: %w", err)
	}
	defer func() {
		_ = f.Close()
		if removeErr := os.Remove(f.Name()); err == nil && removeErr != nil {
			err = fmt.Errorf("bench: measure fsync: %w", removeErr)
		}
	}()
	page := make([]byte, fsyncBytes)
	took := make([]time.Duration, 0, fsyncSamples)
	for start := time.Now(); len(took) < fsyncSamples && time.Since(start) < fsyncLongest; {
		at := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, fmt.Errorf("bench: measure fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("bench: measure fsync: %w", err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return &Fsync{P50: took[len(took)/2], P99: took[len(took)*99/100], Samples: len(took)}, nil
}

// usage is what a scenario used of the machine, sampled while it ran.
type usage struct {
	heapStart int64 // the same when it began
	heapMax   int64 // live and not yet swept objects, the most seen
	rssMax    int64 // resident memory, the most seen; 0 where it cannot be read
	cpu       time.Duration
	wall      time.Duration
}

// meter samples the process until it is read. One goroutine's own.
type meter struct {
	start    time.Time
	cpuStart time.Duration
	usage
	sample [1]metrics.Sample
	rss    int64 // at the last look
}

func newMeter() *meter {
	m := &meter{start: time.Now(), cpuStart: cpuTime()}
	m.sample[0].Name = "/memory/classes/heap/objects:bytes"
	m.look()
	m.heapStart = m.heapMax
	return m
}

// look takes a sample; cheap, it stops nothing.
func (m *meter) look() {
	metrics.Read(m.sample[:])
	m.heapMax = max(m.heapMax, int64(m.sample[0].Value.Uint64()))
	m.rss = residentBytes()
	m.rssMax = max(m.rssMax, m.rss)
}

// memory is what the process had at the last look: resident memory, or the
// heap where that cannot be read.
func (m *meter) memory() int64 {
	if m.rss > 0 {
		return m.rss
	}
	return int64(m.sample[0].Value.Uint64())
}

func (m *meter) read() usage {
	m.look()
	m.cpu, m.wall = cpuTime()-m.cpuStart, time.Since(m.start)
	return m.usage
}

// diskBytes adds up the files under dir, as the file system reports their
// sizes where it can: a sparse file counts what it occupies.
func diskBytes(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		sum += occupied(info)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("bench: size of %s: %w", dir, err)
	}
	return sum, nil
}
