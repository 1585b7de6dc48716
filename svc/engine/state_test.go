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

// What was migrated stays so, in its order, and what was interrupted is done again:
// one step at a time, each marked once it is whole.
func TestMigrations(t *testing.T) {
	dir := t.TempDir()
	accounts, state := filepath.Join(dir, "accounts"), filepath.Join(dir, stateName)
	if err := os.WriteFile(accounts, []byte("ann\nbo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rewrite := func(f func(line string) string) migration {
		return func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, "accounts"))
			if err != nil {
				return err
			}
			var out []byte
			for line := range strings.Lines(string(text)) {
				out = append(out, f(line)...)
			}
			return replaceFile(filepath.Join(dir, "accounts"), out)
		}
	}
	crashes := true
	errCrash := errors.New("the power is cut")
	steps := []migration{
		rewrite(func(line string) string { return "name=" + line }),
		func(dir string) error {
			prefixed := rewrite(func(line string) string { return "v2 " + strings.TrimPrefix(line, "v2 ") })
			if err := prefixed(dir); err != nil || !crashes {
				return err
			}
			crashes = false
			return errCrash // its work is done, and not yet marked
		},
		rewrite(func(line string) string { return strings.ToUpper(line) }),
	}
	if err := migrate(state, dir, steps); !errors.Is(err, errCrash) {
		t.Fatalf("the interrupted one returns %v", err)
	}
	if text, err := os.ReadFile(state); err != nil || string(text) != "1\n" {
		t.Errorf("interrupted, it is at %q, %v", text, err)
	}
	for range 2 { // the second time nothing is left to do
		if err := migrate(state, dir, steps); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(accounts); err != nil || string(text) != "V2 NAME=ANN\nV2 NAME=BO\n" {
			t.Errorf("the accounts are %q, %v", text, err)
		}
	}
	if err := migrate(state, dir, steps[:2]); !errors.Is(err, ErrNewer) {
		t.Errorf("an earlier program: %v", err)
	}
}
