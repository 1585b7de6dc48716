package model

import (
	"errors"
	"slices"
	"testing"
	"time"

	"earshot/tray/chat"
)

func texts(drafts []chat.Draft) (all []string) {
	for _, d := range drafts {
		all = append(all, d.Text)
	}
	return all
}

func TestDraftIsKeptWhenTypingPauses(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true}))
	work.load(chat.Draft{}, nil)
	v.typeText("h")
	work.pass(900 * time.Millisecond)
	v.typeText("he")
	work.pass(900 * time.Millisecond)
	if work.kept != nil {
		t.Fatalf("%q was kept while somebody typed", texts(work.kept))
	}
	work.pass(100 * time.Millisecond)
	for range 7 { // without a pause
		v.typeText(v.entry + "l")
		work.pass(900 * time.Millisecond)
	}
	work.pass(time.Second)
	c.Key(1) // sent
	work.sends[0](chat.Message{ID: 1, Peer: "Ann"}, nil)
	if got, want := texts(work.kept), []string{"he", "hellllll", "helllllll", ""}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	work.pass(time.Hour)
	c.Closed()
	if len(work.kept) != 4 || len(work.later) != 0 {
		t.Errorf("what was kept already was kept again: %q", texts(work.kept))
	}
}

func TestDraftComesBack(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true, Secure: true}))
	left := chat.Draft{To: "Ann", Text: "half a", ReplyTo: 2, Urgent: true}
	work.load(left, nil)
	work.history[0]([]chat.Message{{ID: 2, Peer: "Ann", Sender: "Ann", Text: "where?", State: chat.Received, Secure: true}}, nil)
	if v.entry != "half a" || c.replying != 2 || !c.urgent {
		t.Fatalf("the entry holds %q, replying to %d, urgent %v", v.entry, c.replying, c.urgent)
	}
	c.Closed()
	if work.kept != nil {
		t.Errorf("an unchanged draft was kept again: %+v", work.kept)
	}
}

// What was typed before the draft came is not lost, nor is the draft.
func TestDraftComesLate(t *testing.T) {
	_, v, work := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true}))
	v.typeText("new")
	work.load(chat.Draft{To: "Ann", Text: "old"}, nil)
	if v.entry != "old\nnew" {
		t.Errorf("the entry holds %q", v.entry)
	}
	work.pass(time.Second)
	c, v, late := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true}))
	v.typeText("new")
	c.Closed()
	late.load(chat.Draft{To: "Ann", Text: "old"}, nil)
	if got, want := texts(slices.Concat(work.kept, late.kept)), []string{"old\nnew", "new", "old\nnew"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// The draft behind a message that is being edited is the one that is kept, and
// what it answered may be gone.
func TestDraftBehindAnEdit(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true, Secure: true}))
	work.load(chat.Draft{To: "Ann", Text: "draft", ReplyTo: 99}, nil)
	work.history[0]([]chat.Message{{ID: 2, Peer: "Ann", Text: "mine", State: chat.Sent, Secure: true}}, nil)
	if c.replying != 0 {
		t.Error("it answers a message that is not there")
	}
	c.Choose(2, 1)
	v.typeText("mine, changed")
	work.pass(time.Second)
	c.Closed()
	if got := work.kept; len(got) != 1 || got[0] != (chat.Draft{To: "Ann", Text: "draft"}) {
		t.Errorf("kept %+v", got)
	}
}

func TestDraftThatIsNotKept(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true}))
	work.load(chat.Draft{}, errors.New("Why."))
	v.typeText("x")
	work.pass(time.Second)
	work.keeps[0](errors.New("The disk is full."))
	if v.notice == "" {
		t.Error("nothing is said")
	}
	c.Closed()
	if len(work.kept) != 2 {
		t.Errorf("it was not tried again: %q", texts(work.kept))
	}
}
