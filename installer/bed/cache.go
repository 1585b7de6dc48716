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

// ModuleRoot is the folder of go.mod.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
