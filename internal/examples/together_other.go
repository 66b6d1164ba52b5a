//go:build !unix

package examples

import (
	"errors"
	"os"
	"os/exec"
)

func together(*exec.Cmd) {}

func signalTogether(cmd *exec.Cmd, _ os.Signal) error {
	if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
