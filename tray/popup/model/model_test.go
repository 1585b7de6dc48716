package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func world(t *testing.T, people ...chat.Person) *World {
	t.Helper()
	w := new(World)
	w.Apply(chat.Event{
		Type:   chat.EventSnapshot,
		Status: &chat.Status{Connection: chat.Online, Name: "me"},
		Roster: people,
	})
	return w
}

func open(t *testing.T, peer string, w *World) (*Conversation, *fakeView, *fakeWork) {
	t.Helper()
	work := &fakeWork{now: noon}
	c := NewConversation(peer, w, work, i18n.New("en"), func() {})
	v := &fakeView{model: c}
	c.Attach(v)
	return c, v, work
}

func own(id int64, text string, state chat.State) chat.Message {
	return chat.Message{ID: id, Peer: "Ann", Sender: "me", Text: text, At: noon, State: state}
}

func received(id int64, text string) chat.Message {
	return chat.Message{ID: id, Peer: "Ann", Sender: "Ann", Text: text, At: noon, State: chat.Received, Unread: true}
}

func told(kind chat.EventType, m chat.Message) chat.Event {
	return chat.Event{Type: kind, Message: &m}
}

func wantText(t *testing.T, v *fakeView, want string) {
	t.Helper()
	if got := v.text(); got != strings.TrimSpace(want) {
		t.Errorf("the window shows\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

var ann = chat.Person{Name: "Ann", Online: true}

func TestEnterSendsAndTheStateFollows(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, ann))
	work.history[0](nil, nil)
	v.typeText(" \n ")
	if v.sendable {
		t.Error("white space can be sent")
	}
	c.Key(ui.KeyEnter)
	v.typeText(" hello\nyou ")
	if !v.sendable {
		t.Error("a text can't be sent")
	}
	if !c.Key(ui.KeyEnter) {
		t.Error("Enter was left to the entry field")
	}
	if want := []string{"Ann: hello\nyou"}; !slices.Equal(work.sent, want) {
		t.Fatalf("sent %q, want %q", work.sent, want)
	}
	if v.entry != "" || v.sendable {
		t.Errorf("after Enter the entry holds %q, sendable %v", v.entry, v.sendable)
	}
	work.sends[0](own(1, "hello\nyou", chat.Sending), nil)
	wantText(t, v, "-- Today\n> hello\nyou [12:00 sending…]")
	c.Event(told(chat.EventMessage, own(1, "hello\nyou", chat.Sending)))
	c.Event(told(chat.EventState, own(1, "hello\nyou", chat.Sent)))
	wantText(t, v, "-- Today\n> hello\nyou [12:00 sent]")
	if want := []string{"set", "update"}; !slices.Equal(v.calls, want) {
		t.Errorf("the view was called by %q, want %q", v.calls, want)
	}
}

func TestAnAnswerIsOlderThanAnEvent(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, ann))
	v.typeText("hello")
	c.Send()
	c.Event(told(chat.EventMessage, own(7, "hello", chat.Sending)))
	c.Event(told(chat.EventState, own(7, "hello", chat.Sent)))
	work.sends[0](own(7, "hello", chat.Sending), nil)
	work.history[0]([]chat.Message{received(3, "earlier"), own(7, "hello", chat.Sending)}, nil)
	wantText(t, v, "-- Today\n< earlier [12:00]\n> hello [12:00 sent]")
}

func TestAfterASnapshotTheHistoryIsNewer(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, ann))
	work.history[0]([]chat.Message{own(1, "hello", chat.Sending)}, nil)
	c.Event(chat.Event{Type: chat.EventSnapshot})
	work.history[1]([]chat.Message{own(1, "hello", chat.Sent), received(2, "missed")}, nil)
	wantText(t, v, "-- Today\n> hello [12:00 sent]\n< missed [12:00]")
}

func TestAFailedMessageCanBeSentAgain(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, ann))
	failed := own(1, "hello", chat.Failed)
	failed.Problem = "Ann's computer refused it."
	work.history[0]([]chat.Message{failed}, nil)
	row := v.rows[1]
	if row.Action != "Send again" || row.Problem != failed.Problem || !strings.Contains(row.Name, failed.Problem) {
		t.Fatalf("the failed row is %+v", row)
	}
	c.Act(1)
	if !slices.Equal(work.retried, []int64{1}) {
		t.Fatalf("retried %v", work.retried)
	}
	work.retries[0](errors.New("No route."))
	if want := "The message could not be sent again. No route."; v.notice != want {
		t.Errorf("notice %q, want %q", v.notice, want)
	}
	c.Event(told(chat.EventState, own(1, "hello", chat.Sending)))
	if v.rows[1].Action != "" || v.rows[1].Problem != "" {
		t.Errorf("a message that is being sent still offers %+v", v.rows[1])
	}
}

func TestATextThatCouldNotBeSentIsNotLost(t *testing.T) {
	c, v, _ := open(t, "Ann", world(t, ann))
	v.typeText("one")
	c.Send()
	v.typeText("two")
	c.Restore("one", errors.New("The disk is full."))
	if v.entry != "one\ntwo" || !v.sendable {
		t.Errorf("the entry holds %q, sendable %v", v.entry, v.sendable)
	}
	if want := "Your message was not sent and is back in the entry field. The disk is full."; v.notice != want {
		t.Errorf("notice %q, want %q", v.notice, want)
	}
	v.typeText("one\ntwo\nthree")
	if v.notice != "" {
		t.Errorf("the notice %q stays", v.notice)
	}
}

func TestReadWhenSeen(t *testing.T) {
	c, _, work := open(t, "Ann", world(t, ann))
	work.history[0]([]chat.Message{received(1, "one")}, nil)
	if len(work.marked) != 0 {
		t.Fatal("marked as read without being seen")
	}
	c.Focus(true)
	c.Event(told(chat.EventMessage, received(2, "two")))
	if want := []string{"Ann"}; !slices.Equal(work.marked, want) {
		t.Fatalf("marked %q, want %q", work.marked, want)
	}
	work.marks[0](nil)
	if len(work.marked) != 2 {
		t.Fatalf("what came meanwhile was not marked: %q", work.marked)
	}
	work.marks[1](nil)
	c.Focus(false)
	c.Event(told(chat.EventMessage, received(3, "three")))
	if len(work.marked) != 2 {
		t.Error("marked as read in a window behind others")
	}
	c.Focus(true)
	work.marks[2](errors.New("no"))
	if len(work.marked) != 3 {
		t.Errorf("a failure was repeated without end: %q", work.marked)
	}
}

func TestHeaderAndNotice(t *testing.T) {
	online := chat.Status{Connection: chat.Online, Name: "me"}
	lost := chat.Status{Connection: chat.Offline, Name: "me"}
	bob := chat.Person{Name: "Bob", Online: true}
	self := chat.Person{Name: "me", Online: true}
	for _, test := range []struct {
		name, peer       string
		world            World
		people           []chat.Person
		presence, notice string
		dot              bool
	}{
		{"nothing known", "Ann", World{}, nil, "", "", false},
		{"online", "Ann", World{Known: true, Status: online}, []chat.Person{ann}, "Online · not verified", "", true},
		{"other case", "ＡＮＮ", World{Known: true, Status: online}, []chat.Person{ann}, "Online · not verified", "", true},
		{
			"verified", "Ann",
			World{Known: true, Status: online},
			[]chat.Person{{Name: "Ann", Online: true, Verified: true}},
			"Online · verified", "", true,
		},
		{
			"offline", "Ann",
			World{Known: true, Status: online},
			[]chat.Person{{Name: "Ann"}},
			"Offline", "Ann is offline. Your message waits here and goes when Ann comes online.", false,
		},
		{
			"unknown", "Ann",
			World{Known: true, Status: online},
			[]chat.Person{bob},
			"Not on the roster", "Ann is offline. Your message waits here and goes when Ann comes online.", false,
		},
		{
			"disconnected", "Ann",
			World{Known: true, Status: lost},
			[]chat.Person{{Name: "Ann", Online: true, Stale: true}},
			"Was online when the connection was lost",
			"Earshot is not connected. Your message waits here and goes when the connection is back.", false,
		},
		{
			"ended", "Ann",
			World{Known: true, Status: online, Ended: true},
			[]chat.Person{ann},
			"Online · not verified",
			"Earshot has stopped running. Start it again to send messages; copy what you have written first.", true,
		},
		{"everyone", chat.Everyone, World{Known: true, Status: online}, []chat.Person{ann, bob, self}, "2 people online", "", true},
		{
			"nobody", chat.Everyone,
			World{Known: true, Status: online},
			[]chat.Person{self},
			"0 people online", "Nobody else is online. A message to everyone reaches only those who are online now.", false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.world.replace(test.people)
			_, v, _ := open(t, test.peer, &test.world)
			if v.header.Presence != test.presence || v.header.Online != test.dot || v.notice != test.notice {
				t.Errorf("header %+v, notice %q, want %q, %v, %q", v.header, v.notice, test.presence, test.dot, test.notice)
			}
		})
	}
}

func TestWhoGoesOfflineMakesMessagesWait(t *testing.T) {
	w := world(t, ann)
	c, v, work := open(t, "Ann", w)
	work.history[0]([]chat.Message{own(1, "hello", chat.Sending)}, nil)
	event := chat.Event{Type: chat.EventLogout, Person: &chat.Person{Name: "Ann"}}
	if !w.Apply(event) {
		t.Fatal("a logout changes nothing")
	}
	c.Event(event)
	wantText(t, v, "-- Today\n> hello [12:00 waiting]")
	if !strings.HasPrefix(v.notice, "Ann is offline.") {
		t.Errorf("notice %q", v.notice)
	}
}

func TestDays(t *testing.T) {
	at := func(id int64, at time.Time) chat.Message {
		return chat.Message{ID: id, Peer: chat.Everyone, Sender: "Ann", Text: "x", At: at, State: chat.Received, Doubtful: id == 4}
	}
	messages := []chat.Message{
		at(1, time.Date(2025, 12, 31, 23, 59, 0, 0, time.UTC)),
		at(2, time.Date(2026, 3, 1, 9, 5, 0, 0, time.UTC)),
		at(3, time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)),
		at(4, noon),
	}
	for language, want := range map[string]string{
		"en":      "-- Wednesday, 31 December 2025\n< Annx [23:59]\n-- Sunday, 1 March\n< Annx [09:05]\n-- Yesterday\n< Annx [00:00]\n-- Today\n< Annx [12:00from an unexpected address]",
		"zh-Hans": "-- 2025年12月31日 星期三\n< Annx [23:59]\n-- 3月1日 星期日\n< Annx [09:05]\n-- 昨天\n< Annx [00:00]\n-- 今天\n< Annx [12:00来自陌生地址]",
	} {
		work := &fakeWork{now: noon}
		c := NewConversation(chat.Everyone, world(t, ann), work, i18n.New(language), func() {})
		v := &fakeView{model: c}
		c.Attach(v)
		work.history[0](messages, nil)
		wantText(t, v, want)
	}
}

func TestEscapeCloses(t *testing.T) {
	work := &fakeWork{now: noon}
	gone := 0
	c := NewConversation("Ann", world(t, ann), work, i18n.New("en"), func() { gone++ })
	v := &fakeView{model: c}
	c.Attach(v)
	c.Key(ui.KeyEscape)
	c.Closed()
	if !v.closed || gone != 1 {
		t.Errorf("closed %v, gone %d times", v.closed, gone)
	}
	work.history[0]([]chat.Message{received(1, "late")}, nil)
	c.Event(told(chat.EventMessage, received(2, "late")))
	c.Refresh()
	if len(v.rows) != 0 {
		t.Error("a closed window was written to")
	}
}

func TestALongConversationIsBounded(t *testing.T) {
	c, v, work := open(t, "Ann", world(t, ann))
	work.history[0](nil, nil)
	for id := int64(1); id <= keepMessages+20; id++ {
		c.Event(told(chat.EventMessage, received(id, "x")))
	}
	if len(c.messages) != keepMessages || len(v.rows) != keepMessages+1 {
		t.Errorf("%d messages, %d rows", len(c.messages), len(v.rows))
	}
	if v.rows[len(v.rows)-1].ID != keepMessages+20 {
		t.Error("the newest message is not the last row")
	}
}

func BenchmarkMessageInALongConversation(b *testing.B) {
	w := new(World)
	var people []chat.Person
	for i := range 2000 {
		people = append(people, chat.Person{Name: fmt.Sprintf("person %d", i), Online: true})
	}
	people = append(people, ann)
	w.Apply(chat.Event{Type: chat.EventSnapshot, Roster: people, Status: &chat.Status{Connection: chat.Online}})
	work := &fakeWork{now: noon}
	c := NewConversation("Ann", w, work, i18n.New("en"), func() {})
	c.Attach(&fakeView{model: c})
	id := int64(0)
	for b.Loop() {
		id++
		c.Event(told(chat.EventMessage, received(id, "hello")))
	}
}
