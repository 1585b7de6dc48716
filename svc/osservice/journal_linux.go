package osservice

import (
	"fmt"
	"os"
	"syscall"
)

// Journal says whether what is written to a file goes to systemd's journal
// (systemd.exec(5), JOURNAL_STREAM).
func Journal(file *os.File) bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Dev == device && stat.Ino == inode
}
