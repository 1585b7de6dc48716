package policy

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"earshot/tray/settings"
)

func put(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	if p, err := readFile(filepath.Join(t.TempDir(), "none.toml")); err != nil || len(p.Locked) > 0 {
		t.Errorf("no file gives %+v, %v", p, err)
	}
	path := put(t, "[locked]\naway_after = 5\n")
	p, err := readFile(path)
	if rule := p.Locked["away_after"]; err != nil || rule.Value != 5 || rule.From != path+":2" {
		t.Errorf("%+v, %v", p, err)
	}
	path = put(t, "[locked]\naway_aftr = 5\n")
	_, err = readFile(path)
	if wrong, ok := errors.AsType[*settings.FileError](err); !ok || wrong.File != path || wrong.Line != 2 {
		t.Errorf("%v", err)
	}
	// What is there and can't be read is not ignored.
	if _, err := readFile(t.TempDir()); err == nil {
		t.Error("a folder is a policy")
	}
}

func TestTheStrongerHolds(t *testing.T) {
	strong, err := settings.DecodePolicy("strong", []byte("[locked]\naway_after = 5\n"))
	if err != nil {
		t.Fatal(err)
	}
	weak, err := settings.DecodePolicy("weak", []byte("managed_by = 'IT'\n[locked]\naway_after = 7\nsounds = false\n[recommended]\ntyping = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := merge(strong, weak)
	if p.By != "IT" || p.Locked["away_after"].From != "strong:2" || p.Locked["sounds"].Value != false || p.Recommended["typing"].Value != false {
		t.Errorf("%+v", p)
	}
	if p := merge(settings.Policy{}, settings.Policy{}); len(p.Locked) > 0 || len(p.Recommended) > 0 {
		t.Errorf("%+v", p)
	}
}
