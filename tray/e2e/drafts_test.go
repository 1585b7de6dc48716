//go:build linux

package e2e

import (
	"os/exec"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// What somebody has written and not sent outlives the window, a crash of the
// client and its end in order, and goes once.
func TestDraftOutlivesTheClient(t *testing.T) {
	c := startCoordinator(t)
	d := desktoptest.Start(t, desktoptest.Options{Panel: true})
	ann := startTray(t, c, d, "Ann")
	bo := startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, bo.name, true)
	write := func(text string) {
		t.Helper()
		ann.must(t, "compose", bo.name)
		d.AwaitWindow(bo.name)
		d.Await("the window's focus", func() bool { return d.Run("xdotool", "getactivewindow", "getwindowname") == "Bo – Earshot" })
		d.Type(text)
	}
	again := func() {
		t.Helper()
		ann.start(t)
		d.AwaitTrayIcon()
		ann.waitOnline(t, bo.name, true)
	}

	write("closed, ")
	d.Key("Escape")
	eventually(t, "the end of the window's process", func() bool {
		return exec.Command("pgrep", "-f", "popup --profile "+ann.profile).Run() != nil
	})
	ann.kill()
	again()
	write("ended, ")
	if code := ann.term(t); code != 0 {
		t.Errorf("Ann's client ended with %d", code)
	}
	again()
	write("sent")
	d.Screenshot("e2e-draft")
	d.Key("Return")
	bo.waitMessage(t, ann.name, "closed, ended, sent")
	eventually(t, "the message to be delivered", func() bool {
		messages := ann.history(t, bo.name)
		return len(messages) == 1 && (messages[0].State == chat.Delivered || messages[0].State == chat.Read)
	})

	d.Key("Escape")
	write("new")
	d.Key("Return")
	bo.waitMessage(t, ann.name, "new")
}
