// Package autostart makes the client start when the person logs in: by an XDG
// autostart file, by the Run key of the registry on Windows, or by a launch
// agent on macOS. It changes nothing that isn't the account's own.
package autostart

import (
	"os"
	"path/filepath"
)

// Entry is one program that starts at login. Profiles have entries of their
// own.
type Entry struct {
	// Program is the absolute path of the executable.
	Program string
	// Args follow it.
	Args []string
	// ID tells entries apart and is fit for a file name, such as "earshot".
	ID string
}

// Program returns the path of the running executable, through links: a package
// manager may replace what they lead to.
func Program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
