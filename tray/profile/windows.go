package profile

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// Windows is the path of the file with the sizes of windows.
func (p Profile) Windows() string { return filepath.Join(p.dir, "windows.toml") }

// WindowSizes returns what KeepWindowSizes has kept: width and height by the
// kind of window. A file that is missing, or that nobody can read, is no reason
// to show no window: it holds nothing then.
func (p Profile) WindowSizes() map[string][2]int {
	b, err := os.ReadFile(p.Windows())
	if err != nil {
		return nil
	}
	var sizes map[string][2]int
	if err := toml.Unmarshal(b, &sizes); err != nil {
		return nil
	}
	return sizes
}

// KeepWindowSizes replaces what is kept.
func (p Profile) KeepWindowSizes(sizes map[string][2]int) error {
	b, err := toml.Marshal(sizes)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return p.replace(p.Windows(), b)
}
