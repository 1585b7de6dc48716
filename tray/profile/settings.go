package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"earshot/tray/settings"
)

// Load implements settings.File: a file that doesn't exist is empty, and what
// is wrong with its content is a *settings.FileError.
func (p Profile) Load() (settings.Chosen, error) {
	b, err := os.ReadFile(p.Settings())
	if errors.Is(err, fs.ErrNotExist) {
		return settings.Chosen{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return settings.Decode(p.Settings(), b)
}

// Save implements settings.File.
func (p Profile) Save(c settings.Chosen) error {
	return p.replace(p.Settings(), settings.Encode(c))
}
