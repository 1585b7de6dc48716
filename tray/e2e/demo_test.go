//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"earshot/tray/desktoptest"
)

// demonstrate starts what `make run` starts.
func demonstrate(t *testing.T, env []string) *process {
	t.Helper()
	return start(t, "demo", env, filepath.Join(filepath.Dir(earshot), "demo"), "-bin", filepath.Dir(earshot))
}

// The demonstration without a desktop runs by itself, and leaves nothing.
func TestDemoInTheTerminal(t *testing.T) {
	p := demonstrate(t, []string{"DISPLAY=", "WAYLAND_DISPLAY=", "XDG_RUNTIME_DIR=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "LANG=C.UTF-8"})
	<-p.exited
	if p.err != nil {
		t.Fatalf("%v:\n%s", p.err, p.output)
	}
	// Each step of the main job, in order.
	out := p.output.String()
	for _, step := range []string{"There is no desktop", "echo came online", "● echo", "You → echo: Hello", "echo → you: You said: Hello", "echo went offline", "Ending"} {
		i := strings.Index(out, step)
		if i < 0 {
			t.Fatalf("%q is missing from:\n%s", step, p.output)
		}
		out = out[i:]
	}
}

// With a desktop the tray icon appears, and Ctrl-C ends all of it.
func TestDemoOnADesktop(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	tmp := t.TempDir()
	p := demonstrate(t, slices.Concat(d.Env(), []string{"TMPDIR=" + tmp}))
	d.AwaitTrayIcon()
	eventually(t, "the demonstration invites to click", func() bool { return strings.Contains(p.output.String(), "click the icon") })
	d.OpenTrayMenu()
	d.Screenshot("demo-menu")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if p.err != nil {
		t.Errorf("after Ctrl-C: %v:\n%s", p.err, p.output)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
}
