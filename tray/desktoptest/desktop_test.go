//go:build linux

package desktoptest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestDesktopShowsNotificationsAndLeavesNothing(t *testing.T) {
	var runtime string
	t.Run("desktop", func(t *testing.T) {
		d := Start(t, Options{Panel: true, Notifier: Dunst})
		runtime = d.Runtime
		call := d.Conn().Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").Call(
			"org.freedesktop.Notifications.Notify", 0, "test", uint32(0), "", "A title", "A text",
			[]string{}, map[string]any{}, int32(0))
		if call.Err != nil {
			t.Fatal(call.Err)
		}
		d.Await("the notification", func() bool { return d.Bubbles() == 1 })
		d.Screenshot("desktoptest-notification")
		if got := d.CloseBubbles(); len(got) != 1 || got[0].Summary != "A title" {
			t.Errorf("dunst showed %+v, want one titled “A title”", got)
		}
		d.StopPanel()
		d.StartPanel()
		d.StopNotifier()
		d.StartNotifier(Xfce)
	})
	if t.Skipped() || runtime == "" {
		return
	}
	// What was killed is gone as soon as its parent has waited for it, and
	// nothing may carry the desktop's mark then.
	deadline := time.Now().Add(Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := marked(runtime)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the desktop left processes: %v", left)
		}
		<-tick.C
	}
	if _, err := os.Stat(runtime); !os.IsNotExist(err) {
		t.Errorf("the desktop left %s", runtime)
	}
}

func marked(runtime string) (left []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range processes {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte("XDG_RUNTIME_DIR="+runtime+"\x00")) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			left = append(left, string(bytes.ReplaceAll(name, []byte{0}, []byte{' '})))
		}
	}
	return left
}

func TestDesktopTakesChineseInputMethods(t *testing.T) {
	d := Start(t, Options{Chinese: true})
	out := d.Run("ibus", "list-engine")
	if !bytes.Contains([]byte(out), []byte("libpinyin")) {
		t.Fatalf("ibus has no pinyin:\n%s", out)
	}
}
