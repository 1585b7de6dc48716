//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
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
	// Under nohup what is started here would not hear SIGHUP either, and be right;
	// what is heard here is not handed down.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
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

// Somebody who is logged in twice, as on a terminal server, has icon, windows
// and notifications in both sessions and one client; and still has one when the
// session ends in which it runs.
func TestOnePersonInTwoSessions(t *testing.T) {
	first, ann, bo := startOffice(t)
	second := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	env := append(second.Env(), "HOME="+first.Home, "XDG_RUNTIME_DIR="+first.Runtime)
	companion := start(t, "earshot in the second session", env, earshot, "run", "--profile", ann.profile)
	second.AwaitTrayIcon()
	if got := ann.status(t).Connection; got != "online" {
		t.Errorf("with a second icon the client is %s", got)
	}

	click(t, second, bo.name, "e2e-second-session-menu")
	second.AwaitWindow(bo.name)
	if windows := first.Windows(bo.name); len(windows) > 0 {
		t.Errorf("the first session has the windows %q", windows)
	}
	second.Type("from the second desk")
	second.Key("Return")
	bo.waitMessage(t, ann.name, "from the second desk")
	second.Key("Escape")
	bo.must(t, "send", ann.name, "to both desks")
	for name, d := range map[string]*desktoptest.Desktop{"first": first, "second": second} {
		d.Await("the notification in the "+name+" session", func() bool { return d.Bubbles() > 0 })
	}

	// A second start in that session opens Find there.
	find := start(t, "a second start", env, earshot, "run", "--profile", ann.profile)
	second.AwaitWindow("Find people")
	second.Key("Escape")
	select {
	case <-find.exited:
	case <-time.After(patience):
		t.Error("it did not end with its window")
	}

	bo.mark()
	signalTo(t, busOf(t, first), syscall.SIGTERM)
	bo.wait(t, "Ann's logout", isLogout(ann.name))
	bo.wait(t, "Ann's login from the second session", isLogin(ann.name))
	<-companion.exited
	second.AwaitTrayIcon()
	if out, err := exec.CommandContext(t.Context(), earshot, "quit", "--profile", ann.profile).CombinedOutput(); err != nil {
		t.Logf("quit: %v: %s", err, out)
	}
}
