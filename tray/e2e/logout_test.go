//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/tray/desktoptest"
)

// Whoever logs out of the desktop is gone for the others at once, however the
// desktop ends its programs: by SIGTERM, by SIGHUP, or not at all.
func TestLogoutOfTheDesktop(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, d *desktoptest.Desktop, k *client)
	}{
		{"SIGTERM", func(t *testing.T, _ *desktoptest.Desktop, k *client) { signalTo(t, k.cmd.Process.Pid, syscall.SIGTERM) }},
		{"SIGHUP", func(t *testing.T, _ *desktoptest.Desktop, k *client) { signalTo(t, k.cmd.Process.Pid, syscall.SIGHUP) }},
		{"the bus ends", func(t *testing.T, d *desktoptest.Desktop, _ *client) { signalTo(t, busOf(t, d), syscall.SIGTERM) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ann, bo := startOffice(t)
			c.end(t, d, ann)
			bo.wait(t, "Ann's logout", isLogout("Ann"))
			select {
			case <-ann.exited:
				if code := ann.cmd.ProcessState.ExitCode(); code != 0 {
					t.Errorf("it ended with %d", code)
				}
			case <-time.After(patience):
				t.Error("it did not end")
			}
		})
	}
}

func signalTo(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// busOf returns the process of a desktop's session bus.
func busOf(t *testing.T, d *desktoptest.Desktop) int {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range all {
		name, err := os.ReadFile(file)
		environ, err2 := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if err == nil && err2 == nil && strings.TrimSpace(string(name)) == "dbus-daemon" && strings.Contains(string(environ), "HOME="+d.Home) {
			var pid int
			if _, err := fmt.Sscanf(file, "/proc/%d/comm", &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("the desktop has no bus")
	return 0
}
