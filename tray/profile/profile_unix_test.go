//go:build !windows

package profile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// otherName is another path of a directory.
func otherName(t *testing.T, dir string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func TestSocketsFitTheSystem(t *testing.T) {
	p := open(t)
	t.Setenv("XDG_RUNTIME_DIR", "/"+strings.Repeat("long/", 30))
	if s := p.Socket(); len(s) > 103 {
		t.Errorf("%s is too long for a socket", s)
	}
}

func TestNewDirectoryIsPrivate(t *testing.T) {
	p := open(t)
	info, err := os.Stat(p.Dir())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
