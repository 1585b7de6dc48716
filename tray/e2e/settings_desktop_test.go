//go:build linux

package e2e

import (
	"strings"
	"testing"

	"earshot/tray/desktoptest"
)

// On a real desktop: who is expected is told of once, quiet is quiet, and what
// came in it is summed up.
func TestNotificationsGoByTheSettings(t *testing.T) {
	c := startCoordinator(t)
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	ann := startTray(t, c, d, "Ann")
	ann.must(t, "settings", "set", "notify_logout", "off")
	ann.must(t, "settings", "set", "notify_login", "off")
	ann.must(t, "settings", "set", "people.Bo.login", "once")

	bo := startClient(t, c, "Bo", "auto")
	d.Await("the notification that Bo came", func() bool { return d.Bubbles() == 1 })
	d.Screenshot("e2e-settings-once")
	if b := d.CloseBubbles(); !strings.Contains(b[0].Body, "Bo is online now") {
		t.Errorf("it says %+v", b)
	}
	eventually(t, "Bo is no longer expected", func() bool { return ann.setting(t, "people.Bo.login").Text == "default" })

	ann.must(t, "settings", "set", "do_not_disturb", "1h")
	bo.must(t, "send", "Ann", "not now")
	ann.waitMessage(t, "Bo", "not now")
	bo.must(t, "send", "Ann", "--urgent", "now")
	d.Await("the urgent message", func() bool { return d.Bubbles() == 1 })
	if b := d.CloseBubbles(); !strings.Contains(b[0].Summary, "urgent") {
		t.Errorf("in the quiet it says %+v", b)
	}
	ann.must(t, "settings", "set", "do_not_disturb", "off")
	d.Await("what came meanwhile", func() bool { return d.Bubbles() == 1 })
	if b := d.CloseBubbles(); !strings.Contains(b[0].Body, "1 message from Bo") {
		t.Errorf("afterwards it says %+v", b)
	}

	ann.must(t, "settings", "set", "notify_preview", "off")
	bo.must(t, "send", "Ann", "the password is 1234")
	d.Await("the message", func() bool { return d.Bubbles() == 1 })
	d.Screenshot("e2e-settings-no-preview")
	if b := d.CloseBubbles(); !strings.Contains(b[0].Body, "A new message") {
		t.Errorf("without the text it says %+v", b)
	}
}
