//go:build !unix

package main

import (
	"errors"
	"syscall"
)

func reusePort(string, string, syscall.RawConn) error {
	return errors.New("--socket-reuse-port: not on this system")
}
