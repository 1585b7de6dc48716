//go:build linux

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// startTray starts a client in the tray of a desktop.
func startTray(t testing.TB, c *coordinator, d *desktoptest.Desktop, name string, args ...string) *client {
	t.Helper()
	k := newClient(t, c, name)
	k.env, k.mode, k.args = d.Env(), nil, append(k.args, args...)
	k.server = c.link(t) // which needs no notice that it is met for the first time
	k.start(t)
	d.AwaitTrayIcon()
	return k
}

// startOffice is a desktop with Ann's client in its tray, and Bo's elsewhere.
func startOffice(t testing.TB) (d *desktoptest.Desktop, ann, bo *client) {
	t.Helper()
	c := startCoordinator(t)
	d = desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	ann = startTray(t, c, d, "Ann")
	bo = startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
	return d, ann, bo
}

// The main job as a person does it, on two real desktops: open the tray menu,
// click a name, type Chinese through an input method, and see the notification
// on the other one; click that, and answer.
func TestTrayMenuToNotification(t *testing.T) {
	c := startCoordinator(t)
	annsDesk := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst, Chinese: true})
	bosDesk := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst, Locale: "C.UTF-8"})
	ann := startTray(t, c, annsDesk, "Ann")
	bo := startTray(t, c, bosDesk, "波 Bo", "--language", "zh-Hans")
	annsDesk.Await("the notification that Bo came", func() bool { return annsDesk.Bubbles() == 1 })
	annsDesk.Screenshot("e2e-login-notification")
	annsDesk.CloseBubbles()

	click(t, annsDesk, bo.name, "e2e-menu")
	annsDesk.AwaitWindow(bo.name)
	annsDesk.Pinyin()
	annsDesk.Type("nihao")
	annsDesk.Screenshot("e2e-popup-composing")
	annsDesk.Key("space", "Return")
	bo.waitMessage(t, ann.name, "你好")
	annsDesk.Screenshot("e2e-popup-sent")

	bosDesk.Await("the notification of the message", func() bool { return bosDesk.Bubbles() == 1 })
	bosDesk.Screenshot("e2e-message-notification")
	bosDesk.ClickBubble()
	bosDesk.AwaitWindow(ann.name)
	bosDesk.Type("hello back")
	bosDesk.Key("Return")
	ann.waitMessage(t, bo.name, "hello back")
	annsDesk.Screenshot("e2e-popup-answered")
	bosDesk.Screenshot("e2e-popup-zh")

	eventually(t, "Bo has read what Ann wrote", func() bool {
		messages := ann.history(t, bo.name)
		return len(messages) == 2 && messages[0].State == chat.Read
	})
	eventually(t, "Bo has nothing unread", func() bool { return bo.status(t).Unread == 0 })
	if code := bo.term(t); code != 0 {
		t.Errorf("Bo's client ended with %d", code)
	}
	ann.wait(t, "Bo's logout", isLogout(bo.name))
}

// click opens the tray menu and clicks the row of a person, who must be the
// only one online.
func click(t testing.TB, d *desktoptest.Desktop, name, shot string) {
	t.Helper()
	rows := d.OpenTrayMenu()
	d.Screenshot(shot)
	// The first row is oneself; the first person is below it.
	if len(rows) < 3 {
		t.Fatalf("the menu has %d rows; is %s on it?", len(rows), name)
	}
	d.Click(rows[1])
}

// A second start opens the Find popup of the first client, which finds people
// by typing.
func TestSecondStartOpensFind(t *testing.T) {
	d, ann, bo := startOffice(t)

	second := exec.Command(earshot, "--profile", ann.profile)
	second.Env = d.Env()
	if out, err := second.CombinedOutput(); err != nil {
		t.Fatalf("the second start: %v: %s", err, out)
	}
	d.AwaitWindow("Earshot")
	d.Type("bo")
	d.Screenshot("e2e-find")
	d.Key("Return")
	d.AwaitWindow(bo.name)
	d.Type("found you")
	d.Key("Return")
	bo.waitMessage(t, ann.name, "found you")
}

// Killed and started again, the client has its history, and the popup that was
// open says that it has ended.
func TestTrayKilledKeepsHistory(t *testing.T) {
	d, ann, bo := startOffice(t)
	bo.must(t, "send", ann.name, "before the crash")
	ann.waitMessage(t, bo.name, "before the crash")
	ann.kill()
	bo.wait(t, "Ann's logout", isLogout(ann.name))
	ann.start(t)
	if last := last(ann.history(t, bo.name)); last.Text != "before the crash" || !last.Unread {
		t.Errorf("after the crash, the last message is %+v", last)
	}
	d.AwaitTrayIcon()
	d.Screenshot("e2e-unread-after-crash")
}

// Started from a menu without a terminal, the client says on the desktop what
// it needs.
func TestFirstStartWithoutServer(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	first := exec.Command(earshot, "--profile", filepath.Join(d.Home, "profile"))
	first.Env = d.Env()
	if out, err := first.CombinedOutput(); err == nil {
		t.Fatalf("without a coordinator it started: %s", out)
	}
	d.Await("the notification", func() bool { return d.Bubbles() == 1 })
	d.Screenshot("e2e-first-start")
	if bubbles := d.CloseBubbles(); !strings.Contains(bubbles[0].Body, "--server") {
		t.Errorf("it says %+v", bubbles)
	}
}

// The popup process killed, the next click opens another.
func TestPopupKilled(t *testing.T) {
	d, ann, bo := startOffice(t)
	for _, text := range []string{"before", "after"} {
		ann.must(t, "compose", bo.name)
		window := d.AwaitWindow(bo.name)
		d.Type(text)
		d.Key("Return")
		bo.waitMessage(t, ann.name, text)
		d.Run("xkill", "-id", window)
		d.Await("the window's end", func() bool { return len(d.Windows(bo.name)) == 0 })
	}
}

// The panel restarted, the icon is there again, and its menu works.
func TestPanelRestarted(t *testing.T) {
	d, _, bo := startOffice(t)
	d.StopPanel()
	d.StartPanel()
	d.AwaitTrayIcon()
	click(t, d, bo.name, "e2e-panel-restarted")
	d.AwaitWindow(bo.name)
	if items := d.TrayItems(); len(items) != 1 {
		t.Errorf("the panel has %q", items)
	}
}

// Quit in the menu logs out and ends the client.
func TestQuitFromTheMenu(t *testing.T) {
	d, ann, bo := startOffice(t)
	rows := d.OpenTrayMenu()
	d.Click(rows[len(rows)-1])
	bo.wait(t, "Ann's logout", isLogout(ann.name))
	select {
	case <-ann.exited:
		if ann.err != nil {
			t.Errorf("the client ended with %v", ann.err)
		}
	case <-time.After(patience):
		t.Error("the client did not end")
	}
}

// A desktop without a tray: the client says so once, and Find is there instead.
func TestNoTray(t *testing.T) {
	c := startCoordinator(t)
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	d.StopPanel()
	ann := &client{
		name: "Ann", profile: filepath.Join(d.Home, "profile"), server: c.link(t),
		env: d.Env(), args: []string{"--name", "Ann"},
	}
	ann.start(t)
	d.AwaitWindow("Earshot")
	d.Await("the notification", func() bool { return d.Bubbles() == 1 })
	d.Screenshot("e2e-no-tray")
	if b := d.CloseBubbles(); !strings.Contains(b[0].Body, "no tray") {
		t.Errorf("it says %+v", b)
	}
	// A panel that comes later gets the icon.
	d.StartPanel()
	d.AwaitTrayIcon()
}
