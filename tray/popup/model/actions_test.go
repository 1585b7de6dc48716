package model

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/popup/ui"
)

var (
	secure  = chat.Person{Name: "Ann", Online: true, Secure: true, Trust: chat.TrustPinned}
	changed = chat.Person{Name: "Ann", Online: true, Secure: true, Trust: chat.TrustChanged}
	lost    = chat.Person{Name: "Ann", Online: true, Trust: chat.TrustLost}
)

func person(c *Conversation, w *World, p chat.Person) {
	e := chat.Event{Type: chat.EventPerson, Person: &p}
	w.Apply(e)
	c.Event(e)
}

// decisions are the calls without those that only tell of typing.
func decisions(w *fakeWork) []string {
	return slices.DeleteFunc(slices.Clone(w.calls), func(call string) bool { return strings.HasPrefix(call, "typing") })
}

// State by state, and whatever else is said of a message.
func TestStatesOfMessages(t *testing.T) {
	for _, test := range []struct {
		message chat.Message
		want    string
	}{
		{chat.Message{State: chat.Sending}, "sending…"},
		{chat.Message{State: chat.Sending, Waiting: true}, "waiting"},
		{chat.Message{State: chat.Sent}, "sent"},
		{chat.Message{State: chat.Delivered}, "delivered"},
		{chat.Message{State: chat.Read, Edited: true}, "edited · read"},
		{chat.Message{State: chat.Read, Urgent: true, Acknowledged: true}, "urgent · read · acknowledged"},
		{chat.Message{State: chat.Delivered, Progress: &chat.Progress{Total: 30, Delivered: 12}}, "12 of 30 delivered"},
		{chat.Message{State: chat.Delivered, Progress: &chat.Progress{Total: 30, Delivered: 30, Read: 27}}, "27 of 30 read"},
		{chat.Message{State: chat.Received, Audience: "to Sales"}, "to Sales"},
		{chat.Message{State: chat.Received, Deleted: true, Edited: true}, ""},
	} {
		c, v, _ := open(t, "Ann", world(t, secure))
		m := test.message
		m.ID, m.Peer, m.Sender, m.At, m.Text = 1, "Ann", "Ann", noon, "text"
		c.Event(chat.Event{Type: chat.EventMessage, Message: &m})
		row := v.rows[len(v.rows)-1]
		if row.State != test.want {
			t.Errorf("%+v shows as %q, not %q", test.message, row.State, test.want)
		}
		if test.want != "" && !strings.Contains(row.Name, test.want) {
			t.Errorf("a screen reader says %q", row.Name)
		}
		if m.Deleted && (row.Text != "This message was taken back." || row.Menu != "") {
			t.Errorf("a message that was taken back is %+v", row)
		}
	}
}

func TestPresenceWords(t *testing.T) {
	for want, p := range map[string]chat.Person{
		"Online · encrypted":              secure,
		"Away · verified · lunch · Sales": {Name: "Ann", Online: true, Presence: chat.Away, Secure: true, Verified: true, StatusText: "lunch", Department: "Sales"},
		"Busy · not verified":             {Name: "Ann", Online: true, Presence: chat.Busy},
		"is writing…":                     {Name: "Ann", Online: true, Secure: true, Typing: true},
	} {
		_, v, _ := open(t, "Ann", world(t, p))
		if v.header.Presence != want {
			t.Errorf("%+v shows as %q, not %q", p, v.header.Presence, want)
		}
	}
}

// The other side is told that the person writes, not more often than needed,
// and that it is over.
func TestTyping(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	v.typeText("h")
	v.typeText("he")
	work.now = work.now.Add(typingEvery)
	v.typeText("hel")
	v.typeText("")
	v.typeText("x")
	c.Closed()
	want := []string{"typing Ann true", "typing Ann true", "typing Ann false", "typing Ann true", "typing Ann false"}
	if !slices.Equal(work.calls, want) {
		t.Errorf("got %q", work.calls)
	}
	_, v, work = open(t, "Ann", world(t, chat.Person{Name: "Ann", Online: true}))
	v.typeText("to somebody who can't be told")
	if len(work.calls) != 0 {
		t.Errorf("got %q", work.calls)
	}
}

// Nothing can be sent before the person has decided about somebody's trust; the
// draft stays.
func TestTrustBlocks(t *testing.T) {
	w := world(t, changed)
	c, v, work := open(t, "Ann", w)
	v.typeText("the secret")
	c.Send()
	if v.sendable || len(work.sent) != 0 || v.entry != "the secret" {
		t.Fatalf("sendable %v, sent %q, entry %q", v.sendable, work.sent, v.entry)
	}
	if !strings.HasPrefix(v.notice, "Ann is here with a device") || v.buttons != [2]string{"Accept the device", "Compare safety number…"} {
		t.Errorf("notice %q with %q", v.notice, v.buttons)
	}
	c.Answer(1)
	work.safety(chat.Safety{Number: strings.TrimSpace(strings.Repeat("12345 ", 12))}, nil)
	if strings.Count(v.notice, "\n12345 12345 12345 12345") != 3 || v.buttons[0] != "It is the same" {
		t.Errorf("notice %q with %q", v.notice, v.buttons)
	}
	c.Answer(1) // not now
	c.Answer(0)
	work.answers[0](errors.New("The disk is full."))
	if v.notice != "Your decision was not stored. The disk is full." {
		t.Errorf("notice %q", v.notice)
	}
	person(c, w, secure)
	c.Edited(v.entry)
	if v.notice != "" || !v.sendable {
		t.Errorf("after the decision the notice is %q, sendable %v", v.notice, v.sendable)
	}
	person(c, w, lost)
	if !strings.Contains(v.notice, "without encryption") || v.buttons != [2]string{"Send without encryption"} || v.sendable {
		t.Errorf("notice %q with %q, sendable %v", v.notice, v.buttons, v.sendable)
	}
	c.Answer(0)
	if want := []string{"safety Ann", "accept Ann", "accept Ann"}; !slices.Equal(decisions(work), want) {
		t.Errorf("got %q", work.calls)
	}
}

// Whoever is blocked and finds the number the same is accepted, and only once
// that is stored, verified.
func TestCompareBlocked(t *testing.T) {
	c, _, work := open(t, "Ann", world(t, changed))
	c.Answer(1)
	work.safety(chat.Safety{Number: "1"}, nil)
	c.Answer(0)
	if want := []string{"safety Ann", "accept Ann"}; !slices.Equal(work.calls, want) {
		t.Fatalf("got %q", work.calls)
	}
	work.answers[0](nil)
	if want := []string{"safety Ann", "accept Ann", "verify Ann"}; !slices.Equal(work.calls, want) {
		t.Errorf("got %q", work.calls)
	}
}

// The next message is urgent if the person says so, and only that.
func TestUrgent(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	if want := []ui.Command{{Label: "Urgent message", Toggle: true}, {Label: "Compare safety number…"}, {Label: "Favourite", Toggle: true}}; !slices.Equal(v.commands, want) {
		t.Fatalf("an empty conversation offers %+v", v.commands)
	}
	c.Command(0)
	if !v.commands[0].Checked {
		t.Error("the menu does not show that it is switched on")
	}
	if !c.Key(ui.KeyEscape) || v.closed || v.notice != "" || v.commands[0].Checked {
		t.Errorf("Esc does not end it: %q", v.notice)
	}
	c.Event(chat.Event{Type: chat.EventMessage, Message: &chat.Message{ID: 1, Peer: "Ann", Sender: "Ann", State: chat.Received, At: noon, Text: "hi"}})
	c.Choose(1, 0)
	c.Command(0)
	if !strings.Contains(v.notice, "“hi”") || !strings.Contains(v.notice, "is urgent") {
		t.Errorf("notice %q", v.notice)
	}
	for range 2 {
		v.typeText("come")
		c.Send()
	}
	want := []chat.Draft{{To: "Ann", Text: "come", ReplyTo: 1, Urgent: true}, {To: "Ann", Text: "come"}}
	if !slices.Equal(work.drafts, want) {
		t.Errorf("got %+v", work.drafts)
	}
}

// A favourite is one until the person says otherwise; the engine keeps it.
func TestFavourite(t *testing.T) {
	w := world(t, secure)
	c, v, work := open(t, "Ann", w)
	for i, want := range []string{"favourite Ann true", "favourite Ann false"} {
		c.Command(2)
		if len(work.calls) != i+1 || work.calls[i] != want {
			t.Fatalf("asked for %q, not %q", work.calls, want)
		}
		liked := secure
		liked.Favourite = i == 0
		event := chat.Event{Type: chat.EventPerson, Person: &liked}
		w.Apply(event)
		c.Event(event)
		if v.commands[2].Checked != liked.Favourite {
			t.Errorf("the menu shows %+v", v.commands[2])
		}
	}
	work.answers[1](errors.New("The disk is full."))
	if v.notice != "Your choice was not stored. The disk is full." {
		t.Errorf("notice %q", v.notice)
	}
}

// Who compares and finds the number the same has verified the person.
func TestCompare(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	c.Command(1)
	work.safety(chat.Safety{Number: "1"}, nil)
	if !c.Key(ui.KeyEscape) || v.closed || v.notice != "" {
		t.Errorf("Esc does not end it: %q", v.notice)
	}
	c.Command(1)
	work.safety(chat.Safety{Number: "1"}, nil)
	c.Answer(0)
	if want := []string{"safety Ann", "safety Ann", "verify Ann"}; !slices.Equal(work.calls, want) {
		t.Errorf("got %q", work.calls)
	}
}

func TestReplyEditAndDelete(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	own := chat.Message{ID: 2, Peer: "Ann", Sender: "me", State: chat.Delivered, Secure: true, At: noon, Text: "at noon?"}
	for _, m := range []chat.Message{
		{ID: 1, Peer: "Ann", Sender: "Ann", State: chat.Received, Secure: true, At: noon, Text: "lunch?", Quote: "food"}, own,
	} {
		c.Event(chat.Event{Type: chat.EventMessage, Message: &m})
	}
	if v.rows[1].Menu != "Reply" || v.rows[2].Menu != "Reply\nEdit\nTake back" || v.rows[1].Quote != "food" {
		t.Fatalf("rows %+v", v.rows)
	}
	c.Choose(1, 0)
	if !strings.Contains(v.notice, "“lunch?”") {
		t.Errorf("notice %q", v.notice)
	}
	v.typeText("yes")
	c.Send()
	if d := work.drafts[0]; d != (chat.Draft{To: "Ann", Text: "yes", ReplyTo: 1}) {
		t.Errorf("the reply is %+v", d)
	}
	if v.notice != "" {
		t.Errorf("notice %q", v.notice)
	}
	v.typeText("a draft")
	c.Choose(2, 1)
	if v.entry != "at noon?" || !strings.HasPrefix(v.notice, "You are changing a message.") {
		t.Errorf("entry %q, notice %q", v.entry, v.notice)
	}
	c.Key(ui.KeyEscape)
	if v.closed || v.entry != "a draft" || v.notice != "" {
		t.Errorf("after Esc: closed %v, entry %q, notice %q", v.closed, v.entry, v.notice)
	}
	c.Choose(2, 1)
	v.typeText("at one?")
	c.Send()
	if v.entry != "a draft" {
		t.Errorf("the draft is %q after the change", v.entry)
	}
	c.Choose(2, 2)
	if want := []string{"edit 2 at one?", "delete 2"}; !slices.Equal(decisions(work), want) || len(work.drafts) != 1 {
		t.Errorf("got %q, %+v", work.calls, work.drafts)
	}
	work.answers[1](errors.New("It is too late."))
	if v.notice != "The message was not taken back. It is too late." {
		t.Errorf("notice %q", v.notice)
	}
	// A change that failed is there to be tried again, and so is the draft.
	work.answers[0](errors.New("The disk is full."))
	if v.notice != "The message was not changed. The disk is full." || v.entry != "at one?" {
		t.Errorf("notice %q, entry %q", v.notice, v.entry)
	}
	c.Key(ui.KeyEscape)
	if v.entry != "a draft" {
		t.Errorf("the draft is %q after a change that failed", v.entry)
	}
	c.Choose(2, 99) // a menu of another moment
	c.Choose(77, 0)
}

func TestAcknowledge(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	m := chat.Message{ID: 1, Peer: "Ann", Sender: "Ann", State: chat.Received, Urgent: true, At: noon, Text: "fire drill"}
	c.Event(chat.Event{Type: chat.EventMessage, Message: &m})
	if v.rows[1].Action != "Acknowledge" || v.rows[1].State != "urgent" {
		t.Fatalf("the row is %+v", v.rows[1])
	}
	c.Act(1)
	m.Acknowledged = true
	c.Event(chat.Event{Type: chat.EventState, Message: &m})
	c.Act(1)
	if want := []string{"acknowledge 1"}; !slices.Equal(work.calls, want) {
		t.Errorf("got %q", work.calls)
	}
	if v.rows[1].Action != "" || v.rows[1].State != "urgent · acknowledged" {
		t.Errorf("the row is %+v", v.rows[1])
	}
}

// What is dropped or pasted is refused, and what is written stays.
func TestAttachments(t *testing.T) {
	c, v, _ := open(t, "Ann", world(t, secure))
	v.typeText("see")
	c.Attached(ui.AttachFiles)
	files := v.notice
	c.Attached(ui.AttachPicture)
	if !strings.HasPrefix(files, "Files can't be sent yet.") || !strings.HasPrefix(v.notice, "Pictures can't be sent yet.") || v.entry != "see" {
		t.Errorf("%q, %q, entry %q", files, v.notice, v.entry)
	}
	if want := []string{files, v.notice}; !slices.Equal(v.said, want) {
		t.Errorf("a screen reader says %q", v.said)
	}
	v.typeText("see my share")
	if v.notice != "" {
		t.Errorf("the notice stays: %q", v.notice)
	}
}

// A screen reader says what comes while the window is open, and nothing of what
// was there before or is the person's own.
func TestAnnounce(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, secure))
	work.history[0]([]chat.Message{received(1, "old")}, nil)
	c.Event(told(chat.EventMessage, received(2, "new")))
	c.Event(told(chat.EventMessage, own(3, "mine", chat.Sending)))
	c.Event(told(chat.EventState, own(3, "mine", chat.Sent)))
	if want := []string{"Ann, 12:00: new"}; !slices.Equal(v.said, want) {
		t.Errorf("said %q, want %q", v.said, want)
	}
}
