//go:build !windows

package profile

import (
	"errors"
	"os"
)

// syncDir makes a renaming in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
