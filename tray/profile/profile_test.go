package profile_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"earshot/tray/profile"
	"earshot/tray/settings"
)

func open(t *testing.T) profile.Profile {
	t.Helper()
	p, err := profile.Open(filepath.Join(t.TempDir(), "a", "profile"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSettingsSurvive(t *testing.T) {
	p := open(t)
	if c, err := p.Load(); err != nil || len(c) != 0 {
		t.Fatalf("settings of a new profile are %+v, %v", c, err)
	}
	want := settings.Chosen{"server": "127.0.0.1:13277", "name": "张三 \"quoted\"", "typing": false,
		"people": settings.People{"Ann": {Login: settings.Once}}}
	if err := p.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := p.Load()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("loaded %+v, %v; saved %+v", got, err, want)
	}
	if files, _ := filepath.Glob(filepath.Join(p.Dir(), "settings-*")); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestWrongSettingsNameTheirLine(t *testing.T) {
	p := open(t)
	if err := os.WriteFile(p.Settings(), []byte("server = \"a\"\n\nservr = \"b\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.Load()
	wrong, ok := errors.AsType[*settings.FileError](err)
	if !ok || wrong.File != p.Settings() || wrong.Line != 3 || wrong.Key != "servr" {
		t.Errorf("%v", err)
	}
}

func TestSecondLockIsRefused(t *testing.T) {
	p := open(t)
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lock(); !errors.Is(err, profile.ErrInUse) {
		t.Fatalf("the second lock gives %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := p.Lock()
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestProfilesHaveSocketsOfTheirOwn(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	a, b := open(t), open(t)
	if a.Socket() == b.Socket() {
		t.Errorf("two profiles share %s", a.Socket())
	}
	same, err := profile.Open(otherName(t, a.Dir()))
	if err != nil || same.Socket() != a.Socket() {
		t.Errorf("one directory has two sockets: %s and %s (%v)", a.Socket(), same.Socket(), err)
	}
}
