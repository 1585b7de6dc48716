package popup

import (
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
)

var online = chat.Status{Connection: chat.Online, Name: "me"}

func sample() childSetup {
	now := time.Now()
	yesterday := now.Add(-24 * time.Hour)
	return childSetup{
		First:    "Ann",
		Language: "en",
		Status:   online,
		Roster: []chat.Person{
			{Name: "Ann", Online: true},
			{Name: "Bob", Online: true},
			{Name: "Cy"},
			{Name: "me", Online: true},
			{Name: "王小明", Online: true, Unread: 3},
		},
		History: []chat.Message{
			{ID: 1, Peer: "Ann", Sender: "Ann", Text: "Are you coming to the meeting?", At: yesterday, State: chat.Received},
			{ID: 2, Peer: "Ann", Sender: "me", Text: "Yes, in ten minutes.", At: yesterday, State: chat.Sent},
			{ID: 3, Peer: "Ann", Sender: "Ann", Text: "The draft is on the share, in <b>plans</b> & more. 你好，世界 👋🎉", At: now, State: chat.Received, Unread: true},
		},
	}
}

func TestTypeAndSend(t *testing.T) {
	d := openDesktop(t)
	p := startPopup(t, d, sample())
	p.typeable()
	p.want(report{Call: "read", Peer: "Ann"})
	window := d.window(t, "Ann – Earshot")
	d.typeText(t, "first")
	d.key(t, "shift+Return")
	d.typeText(t, "second")
	d.shot(t, window, "typing")
	d.key(t, "Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "first\nsecond"})
	d.key(t, "Return")
	d.typeText(t, "third")
	d.key(t, "KP_Enter")
	p.want(report{Call: "send", Peer: "Ann", Text: "third"})
	d.shot(t, window, "conversation")
	resident, own := p.memory()
	t.Logf("memory: %d kB resident, %d kB of its own", resident, own)
	d.key(t, "Escape")
	p.wantExit()
}

func TestOpenRaisesAndTheLastWindowEndsTheProcess(t *testing.T) {
	d := openDesktop(t)
	p := startPopup(t, d, sample())
	p.typeable()
	p.want(report{Call: "read", Peer: "Ann"})
	ann := d.window(t, "Ann – Earshot")
	p.order(order{Event: &chat.Event{Type: chat.EventOpen, Peer: "Bob"}})
	d.window(t, "Bob – Earshot")
	p.order(order{Event: &chat.Event{Type: chat.EventOpen, Peer: "ann"}})
	if again := d.window(t, "Ann – Earshot"); again != ann {
		t.Errorf("a second window for Ann: %s beside %s", again, ann)
	}
	d.typeText(t, "raised")
	d.key(t, "Return")
	p.want(report{Call: "send", Peer: "Ann", Text: "raised"})
	d.key(t, "Escape")
	d.window(t, "Bob – Earshot")
	if list := d.do(t, "xdotool", "search", "--onlyvisible", "--name", " – Earshot"); strings.Contains(list, "\n") {
		t.Errorf("windows %q are left, want one", list)
	}
	d.key(t, "Escape")
	p.wantExit()
}

func TestFindByTyping(t *testing.T) {
	d := openDesktop(t)
	setup := sample()
	setup.First = ""
	p := startPopup(t, d, setup)
	p.typeable()
	window := d.window(t, "Find people – Earshot")
	d.shot(t, window, "find")
	d.typeText(t, "b")
	d.shot(t, window, "find-b")
	d.key(t, "Return")
	window = d.window(t, "Bob – Earshot")
	d.shot(t, window, "empty")
	d.typeText(t, "found you")
	d.key(t, "Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "found you"})
	d.key(t, "Escape")
	p.wantExit()
}

func TestTheEngineEnds(t *testing.T) {
	d := openDesktop(t)
	setup := sample()
	setup.First = "Bob"
	p := startPopup(t, d, setup)
	p.typeable()
	if err := p.orders.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantExit()
}
