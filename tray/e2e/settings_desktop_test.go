//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"earshot/tray/browsertest"
	"earshot/tray/desktoptest"
)

// The menu leads to the page of settings, which one browser can open and no
// other, and what is changed there holds.
func TestSettingsPageFromTheMenu(t *testing.T) {
	b := browsertest.Start(t)
	c := startCoordinator(t)
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	// What would start the person's browser notes the address.
	bin, noted := t.TempDir(), filepath.Join(t.TempDir(), "address")
	script := "#!/bin/sh\nprintf %s \"$1\" >" + noted + ".new && mv " + noted + ".new " + noted + "\n"
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	german := filepath.Join(d.Home, ".local", "share", "earshot", "locales", "de")
	if err := os.MkdirAll(german, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(german, "all.toml"), []byte("SettingsLanguageName = \"Deutsch\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ann := newClient(t, c, "Ann")
	ann.env, ann.mode, ann.server = append(d.Env(), "PATH="+bin+":"+os.Getenv("PATH")), nil, c.link(t)
	ann.start(t)
	d.AwaitTrayIcon()

	rows := d.OpenTrayMenu()
	d.Screenshot("e2e-menu-settings")
	d.Click(rows[len(rows)-3])
	var address string
	eventually(t, "the browser is told the address", func() bool {
		b, err := os.ReadFile(noted)
		address = string(b)
		return err == nil
	})
	p := b.Open(address, browsertest.Look{})
	p.Await("the page", `document.title === "Settings – Earshot"`)
	p.Click("#f-sounds")
	p.Await("that it is saved", `document.querySelector(".toast").textContent === "Saved"`)
	if item := ann.setting(t, "sounds"); item.Value != false {
		t.Errorf("after the change it is %+v", item)
	}
	if said := b.Complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
	// The address is used up, and nobody else gets in.
	if text := b.Open(address, browsertest.Look{}).Text("document.body.innerText"); !strings.Contains(text, "has been used") {
		t.Errorf("a second time it shows %q", text)
	}
	// A language that was dropped in can be chosen, and another one shows at once.
	if name := p.Text(`document.querySelector("#f-language option[value=de]")?.textContent ?? "nothing"`); name != "Deutsch" {
		t.Errorf("for the language that was dropped in there is %q", name)
	}
	p.Eval(`document.getElementById("f-language").value = "zh-Hans"; document.getElementById("f-language").dispatchEvent(new Event("change", {bubbles: true}))`)
	p.Await("the page in Chinese", `document.title === "设置 – Earshot" && document.readyState === "complete"`)
	p.Screenshot("e2e-page-settings")
	// The diagnosis is below the settings.
	if err := os.Remove(noted); err != nil {
		t.Fatal(err)
	}
	// A menu that is open while its rows become higher scrolls. This one has nine.
	rows = d.OpenTrayMenu()
	d.Await("the menu in Chinese", func() bool {
		if len(rows) != 9 || rows[1].Y-rows[0].Y < 26 {
			d.Key("Escape")
			rows = d.OpenTrayMenu()
		}
		return len(rows) == 9 && rows[1].Y-rows[0].Y >= 26
	})
	d.Screenshot("e2e-menu-zh")
	d.Click(rows[len(rows)-2])
	eventually(t, "the browser is told another address", func() bool {
		text, err := os.ReadFile(noted)
		address = string(text)
		return err == nil && address != ""
	})
	p = b.Open(address, browsertest.Look{})
	p.Await("the diagnosis", `document.querySelector(".verdict") !== null`)
	if text := p.Text("document.body.innerText"); !strings.Contains(text, "一切正常。") {
		t.Errorf("the diagnosis reads\n%s", text)
	}
	p.Screenshot("e2e-page-doctor")
}

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

// The desktop's own "do not disturb" is the notification service's business: what
// comes meanwhile is given to it all the same, once for each sender, and what is
// read elsewhere before it ends is never shown.
func TestDesktopsOwnQuiet(t *testing.T) {
	c := startCoordinator(t)
	d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
	ann := startTray(t, c, d, "Ann")
	ann.must(t, "settings", "set", "notify_login", "off")
	bo, cy := startClient(t, c, "Bo", "auto"), startClient(t, c, "Cy", "auto")
	for _, k := range []*client{bo, cy} {
		k.waitOnline(t, "Ann", true)
		ann.waitOnline(t, k.name, true)
	}
	d.Run("dunstctl", "set-paused", "true")
	waiting := func(n int) func() bool {
		return func() bool { return d.Run("dunstctl", "count", "waiting") == strconv.Itoa(n) }
	}
	for _, text := range []string{"one", "two", "three"} {
		bo.must(t, "send", "Ann", text)
		ann.waitMessage(t, "Bo", text)
	}
	cy.must(t, "send", "Ann", "and I")
	ann.waitMessage(t, "Cy", "and I")
	d.Await("a note for each of them, held back", waiting(2))
	if n := d.Bubbles(); n != 0 {
		t.Errorf("%d notifications disturb", n)
	}
	ann.must(t, "send", "Cy", "me too")
	ann.must(t, "history", "Cy") // which is no reading: Bo's and Cy's are still unread
	d.Run(earshot, "compose", "--profile", ann.profile, "Cy")
	d.AwaitWindow("Cy")
	d.Await("the note about Cy taken back", waiting(1))
	d.Run("dunstctl", "set-paused", "false")
	d.Await("Bo's note", func() bool { return d.Bubbles() == 1 })
	d.Screenshot("e2e-desktops-own-quiet")
	if b := d.CloseBubbles(); len(b) == 0 || !strings.Contains(b[0].Summary+b[0].Body, "three") {
		t.Errorf("it says %+v", b)
	}
}
