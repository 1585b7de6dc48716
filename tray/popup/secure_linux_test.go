package popup

import (
	"fmt"
	"image"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// secureSample is a conversation with somebody whose device has changed.
func secureSample() childSetup {
	s := sample()
	s.Roster[0] = chat.Person{Name: "Ann", Online: true, Secure: true, Trust: chat.TrustChanged, StatusText: "in the lab"}
	now := time.Now()
	s.History = nil
	add := func(m chat.Message) {
		m.ID, m.Peer, m.At, m.Secure = int64(len(s.History)+1), "Ann", now, true
		s.History = append(s.History, m)
	}
	for i := range 4 {
		add(chat.Message{Sender: "Ann", Text: fmt.Sprint("earlier ", i), State: chat.Received})
	}
	add(chat.Message{Sender: "me", Text: "Lunch at noon?", State: chat.Read, Edited: true})
	add(chat.Message{Sender: "Ann", Text: "Fine. 十二点见", Quote: "Lunch at noon?", State: chat.Received})
	add(chat.Message{Sender: "me", State: chat.Read, Deleted: true})
	add(chat.Message{Sender: "Ann", Text: "The fire alarm at three is a test.", Urgent: true, State: chat.Received})
	add(chat.Message{Sender: "me", Text: "Thanks", State: chat.Delivered})
	return s
}

// Somebody's device has changed: the person decides, with the keyboard alone,
// and changes a message by its context menu, with the mouse.
func TestTrustAndMenu(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	p := startPopup(t, d, secureSample())
	p.typeable()
	window := activeWindow(d, "Ann – Earshot")
	shot(t, d, window, "trust")
	d.Type("the secret")
	d.Key("Return") // which must not send it
	d.Key("shift+Tab", "space")
	p.want(report{Call: "safety", Peer: "Ann"})
	shot(t, d, window, "compare")
	d.Key("Escape")
	d.Key("shift+Tab", "shift+Tab", "space") // the first of both
	p.want(report{Call: "accept", Peer: "Ann"})
	ann := chat.Person{Name: "Ann", Online: true, Secure: true, Trust: chat.TrustPinned, Typing: true}
	p.order(order{Event: &chat.Event{Type: chat.EventPerson, Person: &ann}})

	at := d.Geometry(window).Min // below the frame, by as much as its title takes
	noticed := func() bool {     // its ground is orange, that of the messages white
		_, _, blue, _ := d.Screen().At(at.X+6, at.Y+408).RGBA()
		return blue < 0xe8e8
	}
	d.Await("the end of the notice", func() bool { return !noticed() })
	d.RightClick(at.Add(image.Pt(322, 381))) // the last message
	shot(t, d, "root", "menu")
	d.Key("Up", "Up", "Return")
	d.Await("the notice of the change", noticed)
	d.Type(" a lot")
	shot(t, d, window, "edit")
	d.Key("Return")
	p.want(report{Call: "edit", ID: 9, Text: "Thanks a lot"})
	d.Key("Return") // what was written before is back, and goes now
	p.want(report{Call: "send", Peer: "Ann", Text: "the secret"})
	d.Key("Escape")
	p.wantExit()
}
