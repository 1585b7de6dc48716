//go:build linux

package bed

import (
	"os"
	"path/filepath"
	"testing"
)

// Cache is the folder for what is slow to make and the same for every run:
// EARSHOT_CACHE, or .cache at the module's root.
func Cache(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("EARSHOT_CACHE")
	if dir == "" {
		dir = filepath.Join(ModuleRoot(t), ".cache")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// NeedRoot ends the test unless it runs as root: skipped, or failed where CI is
// true.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	const sentence = "this test boots a container and needs root"
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}
