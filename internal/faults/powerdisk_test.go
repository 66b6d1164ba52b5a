package faults

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// memDisk is a disk in memory whose power can be cut at any call that changes
// it. The disk itself goes on after the cut, as the process above it does:
// what the cut left is a copy.
type memDisk struct {
	vfs.FS
	mem *vfs.MemFS

	noSync bool // syncs answer at once and do nothing

	logSyncs atomic.Int64 // syncs of log files that have ended

	mu   sync.Mutex // guards all below; held while the cut copies the disk
	left int        // changing calls until the cut; below 0: none is planned
	cut  func()     // what the cut does, once, before the call
	gate *syncGate  // nil: open
}

// syncGate holds up syncs of log files.
type syncGate struct {
	entered chan token // receives one when a sync is held up; sent by the file
	open    chan token // closed to let all pass
}

// holdLogs holds up every sync of a log file from now on until open is closed.
func (d *memDisk) holdLogs() *syncGate {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = &syncGate{entered: make(chan token, 100), open: make(chan token)}
	return d.gate
}

// token is what goes over a channel that only says when.
type token struct{}

func newMemDisk(mem *vfs.MemFS) *memDisk { return &memDisk{FS: mem, mem: mem, left: -1} }

// planCut makes the n-th changing call from now on, counted from 0, find the
// power cut: cut runs before it.
func (d *memDisk) planCut(n int, cut func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.cut = n, cut
}

// cutNow runs the planned cut unless it has happened.
func (d *memDisk) cutNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runCutLocked()
}

func (d *memDisk) runCutLocked() {
	if d.cut != nil {
		d.cut()
		d.cut = nil
	}
}

func (d *memDisk) changing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut == nil {
		return
	}
	if d.left == 0 {
		d.runCutLocked()
	}
	d.left--
}

// afterCut is the disk as a cut at this moment leaves it: what was synced, and
// of the rest each block of 4 KiB and each name with a chance of percent.
func (d *memDisk) afterCut(percent int, r *rand.Rand) *vfs.MemFS {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
}

func (d *memDisk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &memDiskFile{File: f, disk: d, isLog: strings.HasSuffix(name, ".log")}, nil
}

func (d *memDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.changing()
	f, err := d.FS.Create(name, c)
	return d.wrap(name, f, err)
}

func (d *memDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.changing()
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.wrap(to, f, err)
}

func (d *memDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	d.changing()
	f, err := d.FS.OpenReadWrite(name, c, o...)
	return d.wrap(name, f, err)
}

func (d *memDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(name, f, err)
}

func (d *memDisk) Rename(from, to string) error {
	d.changing()
	return d.FS.Rename(from, to)
}

func (d *memDisk) Remove(name string) error {
	d.changing()
	return d.FS.Remove(name)
}

func (d *memDisk) RemoveAll(name string) error {
	d.changing()
	return d.FS.RemoveAll(name)
}

func (d *memDisk) waitAtGate() {
	d.mu.Lock()
	g := d.gate
	d.mu.Unlock()
	if g != nil {
		g.entered <- token{}
		<-g.open
	}
}

type memDiskFile struct {
	vfs.File
	disk  *memDisk
	isLog bool
}

func (f *memDiskFile) Write(p []byte) (int, error) {
	f.disk.changing()
	return f.File.Write(p)
}

func (f *memDiskFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.changing()
	return f.File.WriteAt(p, off)
}

func (f *memDiskFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *memDiskFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo promises nothing, so it may do nothing.
func (f *memDiskFile) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *memDiskFile) sync(sync func() error) error {
	f.disk.changing()
	if f.isLog {
		f.disk.waitAtGate()
	}
	if f.disk.noSync {
		return nil
	}
	err := sync()
	if f.isLog {
		f.disk.logSyncs.Add(1)
	}
	return err
}
