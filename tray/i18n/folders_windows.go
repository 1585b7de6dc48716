package i18n

import (
	"os"
	"path/filepath"
)

// Folders are where languages are added, or texts replaced, by dropping in a
// folder as the program has them itself: TAG\NAME.toml. The first is beside the
// program, then those for all people of the computer and for this one.
func Folders() (folders []string) {
	if program, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Join(filepath.Dir(program), "locales"))
	}
	for _, variable := range []string{"ProgramData", "AppData"} {
		if folder := os.Getenv(variable); folder != "" {
			folders = append(folders, filepath.Join(folder, "Earshot", "locales"))
		}
	}
	return folders
}
