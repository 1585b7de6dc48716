//go:build linux

package bed

import (
	"os"
	"path/filepath"
	"strings"
)

// Install runs an installer silently, with properties.
func (w *Wine) Install(msi string, properties ...string) { w.msiexec("/i", msi, properties) }

// Uninstall removes what an installer has installed.
func (w *Wine) Uninstall(msi string, properties ...string) { w.msiexec("/x", msi, properties) }

func (w *Wine) msiexec(verb, msi string, properties []string) {
	w.t.Helper()
	log := filepath.Join(w.work, "msi.log")
	args := append([]string{verb, Path(msi), "/qn", "/l*", Path(log)}, properties...)
	if out, ok := w.Does("msiexec", args...); !ok {
		text, _ := os.ReadFile(log)
		w.t.Fatalf("msiexec %s: %s\n%s", strings.Join(args, " "), out, text)
	}
}

// Registry is a value, or nothing if there is none.
func (w *Wine) Registry(key, name string) string {
	w.t.Helper()
	out, ok := w.Does("reg", "query", key, "/v", name)
	if !ok {
		return ""
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == name {
			return strings.Join(fields[2:], " ")
		}
	}
	return ""
}

// HasFile says whether there is a file, by its path on Windows' drive C, or by its
// name alone, wherever it is.
func (w *Wine) HasFile(path string) (has bool) {
	drive := filepath.Join(w.prefix, "drive_c")
	if rest, ok := strings.CutPrefix(path, `C:\`); ok {
		_, err := os.Stat(filepath.Join(drive, strings.ReplaceAll(rest, `\`, "/")))
		return err == nil
	}
	_ = filepath.WalkDir(drive, func(file string, _ os.DirEntry, _ error) error {
		has = has || filepath.Base(file) == path
		return nil // what can't be read isn't it
	})
	return has
}
