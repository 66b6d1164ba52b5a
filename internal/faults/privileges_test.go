package faults

import (
	"os"
	"os/exec"
	"testing"
)

// This is the only file that skips. What the checks of the project run never
// skips: there a SKIP is a failure.

// needRoot skips the test unless it runs as root.
func needRoot(t *testing.T) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		t.Skipf("needs root, runs as user %d", uid)
	}
}

// needTool skips the test unless a program is installed; it returns its path.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs the program %s: %v", name, err)
	}
	return path
}

// needMount skips the test unless it may mount images through loop devices.
func needMount(t *testing.T) {
	t.Helper()
	needRoot(t)
	for _, tool := range []string{"mkfs.ext4", "mount", "umount", "losetup"} {
		needTool(t, tool)
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
}
