package popup

import (
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// browser makes a program that opens web pages the desktop's browser, and
// returns the file in which it notes what it was asked to open.
func browser(t *testing.T, d *desktoptest.Desktop) (opened string) {
	t.Helper()
	opened = filepath.Join(d.Home, "opened")
	script := filepath.Join(d.Home, "browser")
	for file, text := range map[string]string{
		// It is not to inherit what holds for our windows only.
		script: "#!/bin/sh\nprintf '%s\\n' \"$@\" ${GDK_GL:+GL=$GDK_GL} >> " + opened + "\n",
		filepath.Join(d.Home, ".local/share/applications/browser.desktop"): "[Desktop Entry]\nType=Application\nName=Browser\n" +
			"Exec=" + script + " %u\nMimeType=x-scheme-handler/https;x-scheme-handler/http;\n",
		filepath.Join(d.Home, ".config/mimeapps.list"): "[Default Applications]\nx-scheme-handler/https=browser.desktop\nx-scheme-handler/http=browser.desktop\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return opened
}

// A click on a link opens the browser with just that address, and so does the
// keyboard.
func TestLinkOpens(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	opened := browser(t, d)
	r := newReader(t, d)
	setup := sample()
	const link, trap = "https://rooms.example/4?floor=2&x=%20'$(reboot)", "http://b.example/"
	setup.History = []chat.Message{{ID: 1, Peer: "Ann", Sender: "Ann", Text: "See " + trap + ", or " + link, At: time.Now(), State: chat.Received}}
	p := startPopup(t, d, setup, accessible)
	p.typeable()
	window := activeWindow(d, "Ann – Earshot")
	said := func() string {
		text, _ := os.ReadFile(opened)
		return string(text)
	}
	box := d.Geometry(window).Min // below the frame, by as much as its title takes
	d.Click(box.Add(image.Pt(70, 87)))
	d.Await("the browser", func() bool { return said() != "" })
	if got := said(); got != trap+"\n" {
		t.Fatalf("a click opened %q", got)
	}
	d.Key("Tab", "shift+Tab", "shift+Tab")
	r.window("Ann – Earshot", "the message with the keyboard", func(n node) bool { return strings.HasPrefix(n.focused(), "list item Ann") })
	d.Key("Menu")
	shot(t, d, "root", "link-menu")
	d.Key("Down", "Down", "Return")
	d.Await("the browser, by the keyboard", func() bool { return said() != trap+"\n" })
	if got := said(); got != trap+"\n"+link+"\n" {
		t.Errorf("the keyboard opened %q", got)
	}
	d.Key("Escape")
	p.wantExit()
}

// Everything can be done by the keyboard: Tab leads through the window and is
// out of the messages after one of them, arrows lead from message to message,
// and menus open by their key.
func TestKeyboardOnly(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	r := newReader(t, d)
	setup := secureSample()
	setup.Roster[0].Trust = chat.TrustPinned
	p := startPopup(t, d, setup, accessible)
	p.typeable()
	window := activeWindow(d, "Ann – Earshot")
	at := func(want string) {
		t.Helper()
		r.window("Ann – Earshot", "the keyboard at "+want, func(n node) bool { return strings.HasPrefix(n.focused(), want) })
	}
	clock := setup.History[0].At.Format("15:04")
	for _, step := range []struct{ key, to string }{
		{"x", "text Message to Ann"},
		{"Tab", "push button Emoji"},
		{"Tab", "push button Send"},
		{"Tab", "push button More"},
		{"Tab", "list item You, " + clock + ", delivered: Thanks"},
		{"Up", "list item Ann, " + clock + ", urgent: The fire alarm"},
		{"Tab", "label The fire alarm"},
		{"Tab", "push button Acknowledge"},
		{"Tab", "text Message to Ann"},
		{"shift+Tab", "list item You, " + clock + ", delivered: Thanks"},
		{"shift+Tab", "push button More"},
	} {
		d.Key(step.key)
		at(step.to)
	}
	d.Key("space", "Down")
	shot(t, d, "root", "commands")
	d.Key("Return")
	at("text Message to Ann")
	shot(t, d, window, "urgent")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "x", Urgent: true})

	d.Key("shift+Tab")
	at("list item You")
	d.Key("Up", "Up")
	at("list item Ann, " + clock + ", urgent")
	d.Key("shift+F10", "Down", "Return")
	at("text Message to Ann")
	d.Type("yes")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "yes", ReplyTo: 8})

	// What is typed anywhere goes into the entry, and Escape leaves from anywhere.
	d.Key("shift+Tab")
	at("list item You")
	d.Key("shift+F10", "Return") // copies
	d.Key("h", "i", "ctrl+v", "Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "hiyes"})
	d.Key("shift+Tab", "Escape")
	p.wantExit()
}
