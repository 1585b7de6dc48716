package popup

import (
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
	"earshot/tray/i18n"
)

// wantNodes checks that a window has these elements, by role and name, and that
// whatever can have the keyboard has a name.
func wantNodes(t *testing.T, window node, want ...string) {
	t.Helper()
	for _, w := range want {
		role, name, _ := strings.Cut(w, ": ")
		if _, ok := window.find(role, name); !ok {
			t.Errorf("no %s is called %q in\n%s", role, name, window)
		}
	}
	for _, n := range window.all() {
		switch n.role {
		case "push button", "text", "list item", "list box", "info bar", "heading":
			if n.name == "" {
				t.Errorf("a %s has no name in\n%s", n.role, window)
			}
		case "label":
			if strings.ContainsAny(n.name, "●○✓") {
				t.Errorf("a screen reader reads %q out", n.name)
			}
		}
	}
}

// A screen reader finds everything by role and name, and says what comes, in
// both languages.
func TestScreenReader(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	r := newReader(t, d)
	for _, language := range []string{"en", "zh-Hans"} {
		t.Run(language, func(t *testing.T) {
			words := i18n.New(language).T
			title := words("PopupTitle", "Name", "Ann")
			setup := secureSample()
			setup.Language = language
			p := startPopup(t, d, setup, accessible)
			p.typeable()
			clock := setup.History[0].At.Format("15:04")
			last := words("PopupRowNameState", "Author", words("PopupYou"), "Time", clock, "State", words("PopupStateDelivered"), "Text", "Thanks")
			w := r.window(title, "the last message", func(n node) bool { _, ok := n.find("list item", last); return ok })
			wantNodes(t, w, "heading: Ann",
				"label: "+strings.Join([]string{words("PopupOnline"), words("PopupUnverified"), "in the lab"}, " · "),
				"push button: "+words("PopupMore"),
				"list box: "+words("PopupMessagesName", "Name", "Ann"),
				"list item: "+words("PopupRowName", "Author", "Ann", "Time", clock, "Text", "Fine. 十二点见"),
				"push button: "+words("PopupAcknowledge"),
				"info bar: "+words("PopupTrustChanged", "Name", "Ann"),
				"push button: "+words("PopupAccept"), "push button: "+words("PopupMenuCompare"),
				"text: "+words("PopupEntryName", "Name", "Ann"),
				"push button: "+words("PopupEmoji"), "push button: "+words("PopupSend"))
			if got, want := w.focused(), "text "+words("PopupEntryName", "Name", "Ann"); got != want {
				t.Errorf("the keyboard is at %q, want %q", got, want)
			}
			if send, _ := w.find("push button", words("PopupSend")); send.is(stateEnabled) {
				t.Error("nothing can be sent, and the button doesn't say so")
			}
			news := chat.Message{ID: 90, Peer: "Ann", Sender: "Ann", Text: "Are you there?", At: setup.History[0].At, State: chat.Received, Unread: true}
			p.order(order{Event: &chat.Event{Type: chat.EventMessage, Message: &news}})
			p.want(report{Call: "read", Peer: "Ann"})
			r.hear(words("PopupRowName", "Author", "Ann", "Time", clock, "Text", news.Text))
			d.Key("Escape")
			p.wantExit()

			setup = sample()
			setup.First, setup.Language = "", language
			p = startPopup(t, d, setup, accessible)
			p.typeable()
			reachable := strings.Join([]string{words("PopupOnline"), words("PopupUnverified")}, " · ")
			bob := words("PopupFindPerson", "Name", "Bob", "Detail", reachable)
			w = r.window(words("PopupFindTitle"), "Bob", func(n node) bool { _, ok := n.find("list item", bob); return ok })
			wantNodes(t, w, "text: "+words("PopupFindEntryName"), "list box: "+words("PopupFindListName"),
				"list item: "+words("PopupFindPersonUnread", "Name", "王小明", "Detail", reachable, "Unread", "3"),
				"list item: "+words("PopupFindPerson", "Name", "Cy", "Detail", words("PopupOffline")))
			d.Type("b")
			r.hear(bob)
			d.Key("BackSpace", "Down")
			r.hear(words("PopupFindPerson", "Name", "Ann", "Detail", reachable))
			d.Key("Escape")
			p.wantExit()
		})
	}
}
