//go:build unix

package examples

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// together lets a command that takes too long end with all that it started.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
}

// signalTogether signals a command and all that it started. One that is gone
// is no error.
func signalTogether(cmd *exec.Cmd, s os.Signal) error {
	err := syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
