package backend

import "golang.org/x/sys/unix"

func volumeFree(path string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		break
	}
	if st.Blocks == 0 {
		return -1, nil // no limit but memory
	}
	return int64(st.Bavail) * st.Frsize, nil
}
