//go:build !windows

package engine

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// syncDir makes a renaming in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFile takes a lock that ends with the process.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("%w: lock %s: %w", ErrEngine, f.Name(), err)
	}
	return nil
}

// private makes a directory that nobody else can look into.
func private(dir string) error { return os.MkdirAll(dir, 0o700) }
