package autostart_test

import (
	"slices"
	"testing"

	"earshot/tray/autostart"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func TestOnOffStatus(t *testing.T) {
	e := autostart.Entry{
		Program: `C:\Program Files\Earshot\earshot.exe`,
		Args:    []string{"run", "--profile", `D:\50% "张三"\`},
		ID:      "earshot-test",
	}
	t.Cleanup(func() {
		if err := e.Off(); err != nil {
			t.Error(err)
		}
	})
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
	key, err := registry.OpenKey(registry.CURRENT_USER, `Software\Microsoft\Windows\CurrentVersion\Run`, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	line, _, err := key.GetStringValue(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	// Windows splits the line as it does for the program itself.
	got, err := windows.DecomposeCommandLine(line)
	if want := append([]string{e.Program}, e.Args...); err != nil || !slices.Equal(got, want) {
		t.Errorf("the line is read as %q, %v, not as %q", got, err, want)
	}
	if err := e.Off(); err != nil {
		t.Fatal(err)
	}
	check(false)
}
