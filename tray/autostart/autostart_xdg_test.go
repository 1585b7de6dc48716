//go:build !windows && !darwin

package autostart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"earshot/tray/autostart"
)

func TestOnOffStatus(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	e := autostart.Entry{Program: `/opt/my "apps"/ear$hot`, Args: []string{"run", "--profile", `/home/ann/50% \ 张三`}, ID: "earshot"}
	check := func(want bool) {
		t.Helper()
		if on, err := e.Status(); err != nil || on != want {
			t.Fatalf("status %v, %v", on, err)
		}
	}
	check(false)
	if err := e.Off(); err != nil {
		t.Fatal("off while off:", err)
	}
	if err := e.On(); err != nil {
		t.Fatal(err)
	}
	check(true)
	file := filepath.Join(config, "autostart", "earshot.desktop")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// By the specification: first the string escapes (\\ is \), then the
	// quotes, within which \" is ", \$ is $, \\ is \ and %% is %.
	want := `Exec="/opt/my \\"apps\\"/ear\\$hot" "run" "--profile" "/home/ann/50%% \\\\ 张三"` + "\n"
	if !strings.Contains(string(b), want) {
		t.Errorf("got\n%s\nwithout\n%s", b, want)
	}
	disabled := strings.Replace(string(b), "X-GNOME-Autostart-enabled=true", "X-GNOME-Autostart-enabled=false", 1)
	if err := os.WriteFile(file, []byte(disabled), 0o644); err != nil {
		t.Fatal(err)
	}
	check(false)
	if err := e.On(); err != nil {
		t.Fatal(err)
	}
	check(true)
	if err := e.Off(); err != nil {
		t.Fatal(err)
	}
	check(false)
}
