package backend

import (
	"math"

	"golang.org/x/sys/windows"
)

func volumeFree(path string) (int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return -1, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return -1, err
	}
	return int64(min(free, math.MaxInt64)), nil
}
