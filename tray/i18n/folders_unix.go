//go:build !windows

package i18n

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folders are where languages are added, or texts replaced, by dropping in a
// folder as the program has them itself: TAG/NAME.toml. They are those of the
// XDG base directories, the person's own last.
func Folders() []string {
	all := strings.Split(cmp.Or(os.Getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share"), ":")
	slices.Reverse(all) // the first one counts most
	home, _ := os.UserHomeDir()
	if own := cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share")); filepath.IsAbs(own) {
		all = append(all, own)
	}
	var folders []string
	for _, folder := range all {
		if filepath.IsAbs(folder) {
			folders = append(folders, filepath.Join(folder, "earshot", "locales"))
		}
	}
	return folders
}
