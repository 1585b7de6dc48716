//go:build !windows

package profile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func usualDir() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "earshot"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "earshot"), nil
}

// longestSocket is what fits sun_path on every Unix that we run on.
const longestSocket = 103

// Socket is the address of the local API: a socket in XDG_RUNTIME_DIR, or in
// the profile itself where there is none. A path that is too long for a socket
// is replaced by one in a directory of the account's under the one for
// temporary files; whoever listens there must check that it is the account's.
func (p Profile) Socket() string {
	path := filepath.Join(p.dir, "earshot.sock")
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		path = filepath.Join(runtime, "earshot-"+p.ID()+".sock")
	}
	if len(path) > longestSocket {
		path = filepath.Join(os.TempDir(), "earshot-"+strconv.Itoa(os.Getuid()), p.ID()+".sock")
	}
	return path
}

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("profile: lock %s: %w", f.Name(), err)
	}
	return nil
}
