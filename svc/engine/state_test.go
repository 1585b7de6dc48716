package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory of an earlier version is taken and marked; one of a later version
// is refused by a sentence and not touched.
func TestStateVersion(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	key := e.Key().Public()
	e.Close()
	file := filepath.Join(dir, "engine", stateName)
	for _, before := range []string{"", "0\n", "1\n"} {
		if before == "" {
			err = os.Remove(file)
		} else {
			err = os.WriteFile(file, []byte(before), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := Open(t.Context(), Config{Dir: dir})
		if err != nil || e.Key().Public() != key {
			t.Fatalf("after %q: %v", before, err)
		}
		e.Close()
		if text, err := os.ReadFile(file); err != nil || string(text) != "1\n" {
			t.Errorf("after %q it is %q, %v", before, text, err)
		}
	}
	if err := os.WriteFile(file, []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrNewer) || !errors.Is(err, ErrEngine) || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("later state: %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "7\n" {
		t.Errorf("it was touched: %q, %v", text, err)
	}
	if err := os.WriteFile(file, []byte("seven\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrDamaged) {
		t.Errorf("no number: %v", err)
	}
}
