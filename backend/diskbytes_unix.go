//go:build unix

package backend

import (
	"io/fs"
	"syscall"
)

// blockUnit is the unit of st_blocks.
const blockUnit = 512

func diskBytes(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(stat.Blocks) * blockUnit
	}
	return info.Size()
}
