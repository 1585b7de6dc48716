//go:build !windows

package autostart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// write puts an entry in its place. The folder, if it is missing, is made with
// folderMode.
func write(file string, folderMode fs.FileMode, entry []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), folderMode); err != nil {
		return fmt.Errorf("autostart: %w", err)
	}
	if err := os.WriteFile(file, entry, 0o644); err != nil {
		return fmt.Errorf("autostart: %w", err)
	}
	return nil
}

// Off ends that the program starts at login.
func (e Entry) Off() error {
	file, err := e.file()
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("autostart: %w", err)
	}
	return nil
}
