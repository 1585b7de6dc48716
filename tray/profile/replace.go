package profile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// replace writes a file of the profile in one step, for the account's eyes
// only: a crash, or a power cut, leaves the old one or the new one.
func (p Profile) replace(path string, content []byte) (err error) {
	f, err := os.CreateTemp(p.dir, filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("profile: %w", err)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
