package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

var english = i18n.New("en")

// script plays events to a policy and notes what it tells, and when.
type script struct {
	q    *policy
	now  time.Time
	told []string // "0.3s key: title / body"
}

func newScript() *script {
	return &script{q: newPolicy(english), now: time.Unix(0, 0)}
}

func (s *script) event(e chat.Event) {
	for _, key := range s.q.event(e, s.now) {
		s.told = append(s.told, fmt.Sprintf("%v %s: withdrawn", s.now.Sub(time.Unix(0, 0)), key))
	}
}

// pass lets time pass, from one wake to the next.
func (s *script) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := s.q.next()
		if next.IsZero() || next.After(end) {
			s.now = end
			return
		}
		s.now = next
		for _, n := range s.q.due(s.now) {
			s.told = append(s.told, fmt.Sprintf("%v %s: %s / %s", s.now.Sub(time.Unix(0, 0)), n.key, n.title, n.body))
		}
	}
}

func message(peer, text string) chat.Event {
	return chat.Event{Type: chat.EventMessage, Message: &chat.Message{Peer: peer, Sender: strings.TrimPrefix(peer, ","), Text: text, State: chat.Received, Unread: true}}
}

func login(name string) chat.Event {
	return chat.Event{Type: chat.EventLogin, Person: &chat.Person{Name: name, Online: true}}
}

func logout(name string) chat.Event {
	return chat.Event{Type: chat.EventLogout, Person: &chat.Person{Name: name}}
}

func read(name string) chat.Event {
	return chat.Event{Type: chat.EventPerson, Person: &chat.Person{Name: name}}
}

func TestPolicy(t *testing.T) {
	for _, test := range []struct {
		name string
		play func(s *script)
		want []string
	}{
		{"a message", func(s *script) { s.event(message("Ann", "hi")) }, []string{"300ms message:Ann: Ann / hi"}},
		{"one that is being looked at", func(s *script) {
			s.event(message("Ann", "hi"))
			s.pass(100 * time.Millisecond)
			s.event(read("Ann"))
		}, nil},
		{"three of one person, read elsewhere", func(s *script) {
			for _, text := range []string{"one", "two", "three"} {
				s.event(message("Ann", text))
				s.pass(time.Second)
			}
			s.event(read("Ann"))
			s.event(message("Ann", "four"))
		}, []string{
			"300ms message:Ann: Ann / one", "1.3s message:Ann: Ann (2 new messages) / two",
			"2.3s message:Ann: Ann (3 new messages) / three", "3s message:Ann: withdrawn", "3.3s message:Ann: Ann / four",
		}},
		{"several at once of one person", func(s *script) {
			s.event(message("Ann", "one"))
			s.event(message("Ann", "two"))
		}, []string{"300ms message:Ann: Ann (2 new messages) / two"}},
		{"to everyone", func(s *script) {
			e := message(chat.Everyone, "lunch")
			e.Message.Sender = "Bo"
			s.event(e)
			s.pass(time.Second)
			s.event(chat.Event{Type: chat.EventStatus, Status: &chat.Status{}})
		}, []string{"300ms message:,everyone: Bo to everyone / lunch", "1s message:,everyone: withdrawn"}},
		{"one's own", func(s *script) {
			e := message("Ann", "hi")
			e.Message.State, e.Message.Unread = chat.Sending, false
			s.event(e)
		}, nil},
		{"the roster at the start", func(s *script) {
			s.event(chat.Event{Type: chat.EventSnapshot, Status: &chat.Status{}, Roster: []chat.Person{{Name: "Ann", Online: true}}})
		}, nil},
		{"one comes", func(s *script) { s.event(login("Ann")) }, []string{"1s came: Earshot / Ann came online"}},
		{"two come", func(s *script) {
			s.event(login("Ann"))
			s.pass(500 * time.Millisecond)
			s.event(login("Bo"))
		}, []string{"1s came: Earshot / Ann and Bo came online"}},
		{"nine o'clock", func(s *script) {
			s.event(login("Ann"))
			s.event(login("Bo"))
			for i := range 41 {
				s.event(login(fmt.Sprint(i)))
			}
		}, []string{"1s came: Earshot / Ann, Bo and 41 others came online"}},
		{"three come", func(s *script) {
			for _, name := range []string{"Ann", "Bo", "Cho"} {
				s.event(login(name))
			}
		}, []string{"1s came: Earshot / Ann, Bo and 1 other came online"}},
		{"one leaves", func(s *script) { s.event(logout("Ann")) }, []string{"10s left: Earshot / Ann went offline"}},
		{"another leaves nine seconds later", func(s *script) {
			s.event(logout("Ann"))
			s.pass(9500 * time.Millisecond)
			s.event(logout("Bo"))
			s.pass(3 * time.Second)
			s.event(login("Bo"))
		}, []string{"10s left: Earshot / Ann went offline"}},
		{"a laptop that blinks", func(s *script) {
			for range 5 {
				s.event(logout("Ann"))
				s.pass(3 * time.Second)
				s.event(login("Ann"))
				s.pass(time.Second)
			}
		}, nil},
		{"one who comes and goes at once", func(s *script) {
			s.event(login("Ann"))
			s.event(logout("Ann"))
		}, nil},
	} {
		s := newScript()
		test.play(s)
		s.pass(time.Minute)
		if !slices.Equal(s.told, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, s.told, test.want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                      "plain",
		"two\nlines\tand\x1b[0m":     "two lines and[0m",
		"turned\u202eround\u2066":    "turnedround",
		strings.Repeat("x", 200):     strings.Repeat("x", 200),
		strings.Repeat("x", 201):     strings.Repeat("x", 200) + "…",
		strings.Repeat("👨‍👩‍👧", 201): strings.Repeat("👨‍👩‍👧", 200) + "…",
	} {
		if got := clean(text, maxPreview); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

func TestPolicyInChinese(t *testing.T) {
	s := newScript()
	s.q = newPolicy(i18n.New("zh-Hans"))
	for _, name := range []string{"王小明", "李娜", "陈伟"} {
		s.event(login(name))
	}
	s.pass(time.Minute)
	if want := []string{"1s came: Earshot / 王小明、李娜 和另外 1 人上线了"}; !slices.Equal(s.told, want) {
		t.Errorf("%q", s.told)
	}
}
