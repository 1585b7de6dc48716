package profile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func usualDir() (string, error) {
	data, err := os.UserCacheDir() // %LOCALAPPDATA%
	if err != nil {
		return "", err
	}
	return filepath.Join(data, "Earshot"), nil
}

// Socket is the address of the local API: a named pipe whose name holds the
// account's security identifier.
func (p Profile) Socket() string {
	account := "unknown"
	if user, err := windows.GetCurrentProcessToken().GetTokenUser(); err == nil {
		account = user.User.Sid.String()
	}
	return `\\.\pipe\earshot-` + account + "-" + p.ID()
}

func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("profile: lock %s: %w", f.Name(), err)
	}
	return nil
}
