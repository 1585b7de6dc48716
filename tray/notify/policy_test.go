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
			how := ""
			if n.urgent {
				how += " (urgent)"
			}
			if n.silent {
				how += " (silent)"
			}
			s.told = append(s.told, fmt.Sprintf("%v %s: %s / %s%s", s.now.Sub(time.Unix(0, 0)), n.key, n.title, n.body, how))
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

// with changes the message of an event.
func with(e chat.Event, f func(m *chat.Message)) chat.Event { f(e.Message); return e }

func numbered(id int64, peer, text string) chat.Event {
	return with(message(peer, text), func(m *chat.Message) { m.ID = id })
}

func urgent(id int64, peer, text string) chat.Event {
	return with(numbered(id, peer, text), func(m *chat.Message) { m.Urgent = true })
}

// amend tells of what has become of a message.
func amend(e chat.Event, f func(m *chat.Message)) chat.Event {
	m := *e.Message
	f(&m)
	return chat.Event{Type: chat.EventState, Message: &m}
}

func edit(e chat.Event, text string) chat.Event {
	return amend(e, func(m *chat.Message) { m.Text, m.Edited = text, true })
}

func remove(e chat.Event) chat.Event {
	return amend(e, func(m *chat.Message) { m.Text, m.Deleted, m.Unread = "", true, false })
}

// present is the own status, with something unread.
func present(p chat.Presence) chat.Event {
	return chat.Event{Type: chat.EventStatus, Status: &chat.Status{Unread: 1, Own: chat.OwnStatus{Presence: p}}}
}

func told(peer, sentence string) chat.Event {
	return chat.Event{Type: chat.EventNotice, Peer: peer, Notice: sentence}
}

func trust(name string, t chat.Trust) chat.Event {
	return chat.Event{Type: chat.EventPerson, Person: &chat.Person{Name: name, Online: true, Unread: 1, Trust: t}}
}

func TestSecurePolicy(t *testing.T) {
	one, two, three := numbered(1, "Ann", "one"), numbered(2, "Ann", "two"), numbered(3, "Bo", "three")
	fire, help := urgent(8, "Ann", "fire"), urgent(9, "Ann", "help")
	for _, test := range []struct {
		name string
		play func(s *script)
		want []string
	}{
		{"to a department, and to several", func(s *script) {
			s.event(with(one, func(m *chat.Message) { m.Audience = "to the department Sales" }))
			s.event(with(three, func(m *chat.Message) { m.Audience = "to Cho, Dan and 3 more" }))
		}, []string{"300ms message:Ann: Ann to the department Sales / one", "300ms message:Bo: Bo to Cho, Dan and 3 more / three"}},
		{"edited", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.pass(time.Second)
			s.event(edit(one, "won"))
			s.pass(time.Second)
			s.event(edit(one, "won")) // its state came once more
		}, []string{"300ms message:Ann: Ann / one", "1s message:Ann: Ann / won (silent)"}},
		{"edited before it is told", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.event(edit(one, "won"))
		}, []string{"300ms message:Ann: Ann / won"}},
		{"an older one is edited", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.event(two)
			s.pass(time.Second)
			s.event(edit(one, "won"))
		}, []string{"300ms message:Ann: Ann (2 new messages) / two"}},
		{"one that was read is edited", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.pass(time.Second)
			s.event(read("Ann"))
			s.event(edit(one, "won"))
		}, []string{"300ms message:Ann: Ann / one", "1s message:Ann: withdrawn"}},
		{"taken back", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.pass(time.Second)
			s.event(remove(one))
			s.event(remove(one))
		}, []string{"300ms message:Ann: Ann / one", "1s message:Ann: withdrawn"}},
		{"taken back before it is told", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.event(two)
			s.event(remove(two))
		}, []string{"300ms message:Ann: Ann / one"}},
		{"the last of two is taken back, then the other", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.event(two)
			s.pass(time.Second)
			s.event(remove(two))
			s.pass(time.Second)
			s.event(remove(one))
		}, []string{"300ms message:Ann: Ann (2 new messages) / two", "1s message:Ann: Ann / one (silent)", "2s message:Ann: withdrawn"}},
		{"urgent, and an ordinary one after it", func(s *script) {
			s.event(fire)
			s.pass(time.Second)
			s.event(two)
			s.pass(time.Second)
			s.event(amend(fire, func(m *chat.Message) { m.Acknowledged = true }))
			s.pass(time.Second)
			s.event(read("Ann"))
		}, []string{"300ms urgent:Ann: Ann: urgent / fire (urgent)", "1.3s message:Ann: Ann / two", "2s urgent:Ann: withdrawn", "3s message:Ann: withdrawn"}},
		{"two urgent ones, one answered, and read", func(s *script) {
			s.event(fire)
			s.event(help)
			s.pass(time.Second)
			s.event(amend(help, func(m *chat.Message) { m.Acknowledged = true }))
			s.pass(time.Second)
			s.event(read("Ann"))
		}, []string{"300ms urgent:Ann: Ann: urgent (2 new messages) / help (urgent)", "1s urgent:Ann: Ann: urgent / fire (urgent) (silent)", "2s urgent:Ann: withdrawn"}},
		{"busy", func(s *script) {
			s.event(present(chat.Busy))
			s.event(numbered(1, "Ann", "one"))
			s.event(login("Cho"))
			s.pass(time.Second)
			s.event(two)
			s.event(three)
			s.event(fire)
			s.event(logout("Dan"))
			s.event(told("", "A sentence."))
			s.pass(time.Minute)
			s.event(present(chat.Available))
			s.pass(time.Second)
			s.event(numbered(4, "Ann", "four"))
		}, []string{
			"1.3s urgent:Ann: Ann: urgent / fire (urgent)",
			"1m1s meanwhile: Earshot / 3 messages from Ann and Bo came meanwhile.", "1m1s notice::A sentence.: Earshot / A sentence.",
			"1m2.3s message:Ann: Ann (3 new messages) / four",
		}},
		{"busy, and it is read and taken back", func(s *script) {
			s.event(present(chat.Busy))
			s.event(numbered(1, "Ann", "one"))
			s.event(three)
			s.pass(time.Second)
			s.event(remove(three))
			s.event(read("Ann"))
			s.event(present(chat.Available))
		}, nil},
		{"what came while busy is read afterwards", func(s *script) {
			s.event(present(chat.Busy))
			s.event(numbered(1, "Ann", "one"))
			s.event(three)
			s.event(present(chat.Away))
			s.pass(time.Second)
			s.event(read("Ann"))
			s.pass(time.Second)
			s.event(read("Bo"))
		}, []string{"0s meanwhile: Earshot / 2 messages from Ann and Bo came meanwhile.", "2s meanwhile: withdrawn"}},
		{"from four people", func(s *script) {
			s.event(present(chat.Busy))
			for id, name := range []string{"Ann", "Bo", "Cho", "Dan"} {
				s.event(numbered(int64(id), name, "hi"))
			}
			s.event(present(chat.Available))
		}, []string{"0s meanwhile: Earshot / 4 messages from Ann, Bo and 2 more came meanwhile."}},
		{"busy before it was told, and not for long", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.event(login("Cho"))
			s.event(present(chat.Busy))
			s.pass(time.Minute)
			s.event(present(chat.Available))
		}, []string{"1m0s meanwhile: Earshot / 1 message from Ann came meanwhile."}},
		{"one on the screen is taken back while more wait for a busy person", func(s *script) {
			s.event(numbered(1, "Ann", "one"))
			s.pass(time.Second)
			s.event(present(chat.Busy))
			s.event(two)
			s.pass(time.Second)
			s.event(edit(one, "won"))
			s.pass(time.Second)
			s.event(remove(one))
			s.event(present(chat.Available))
		}, []string{
			"300ms message:Ann: Ann / one", "2s message:Ann: Ann / won (silent)", "3s message:Ann: withdrawn",
			"3s meanwhile: Earshot / 1 message from Ann came meanwhile.",
		}},
		{"a notice, once", func(s *script) {
			s.event(told("Ann", "Ann has a new device."))
			s.event(told("Ann", "Ann has a new device."))
			s.event(told("", "The server is new."))
		}, []string{"0s notice:Ann:Ann has a new device.: Earshot / Ann has a new device.", "0s notice::The server is new.: Earshot / The server is new."}},
		{"somebody's devices change", func(s *script) {
			s.event(trust("Ann", chat.TrustPinned))
			s.event(trust("Ann", chat.TrustChanged))
			s.pass(time.Minute)
			s.event(trust("Ann", chat.TrustChanged))
			s.pass(time.Minute)
			s.event(trust("Ann", chat.TrustPinned))
		}, []string{
			"1s trust: Earshot / Ann is here with a device that nobody vouches for. Open the conversation and check it; until then nothing is sent.",
			"2m0s trust: withdrawn",
		}},
		{"of whom the engine tells too", func(s *script) {
			for _, name := range []string{"Ann", "Bo"} {
				s.event(trust(name, chat.TrustPinned))
			}
			s.event(told("Ann", "Check Ann."))
			s.event(trust("Ann", chat.TrustLost))
			s.event(trust("Bo", chat.TrustLost))
			s.event(told("Bo", "Check Bo."))
		}, []string{"0s notice:Ann:Check Ann.: Earshot / Check Ann.", "0s notice:Bo:Check Bo.: Earshot / Check Bo."}},
		{"somebody whose devices changed before", func(s *script) {
			s.event(chat.Event{Type: chat.EventSnapshot, Status: &chat.Status{}, Roster: []chat.Person{
				{Name: "Ann", Trust: chat.TrustChanged}, {Name: "Bo", Trust: chat.TrustVerified},
			}})
			s.event(trust("Ann", chat.TrustChanged))
			s.event(chat.Event{Type: chat.EventRoster, Roster: []chat.Person{{Name: "Ann", Trust: chat.TrustChanged}, {Name: "Bo", Trust: chat.TrustLost}}})
		}, []string{"1s trust: Earshot / Bo can only be reached without encryption now. Open the conversation and decide; until then nothing is sent."}},
		{"everybody's", func(s *script) {
			for _, state := range []chat.Trust{chat.TrustPinned, chat.TrustChanged} {
				for _, name := range []string{"Ann", "Bo", "Cho"} {
					s.event(trust(name, state))
				}
			}
		}, []string{"1s trust: Earshot / Ann, Bo and 1 other are no longer surely who they were. Open the conversations and check; until then nothing is sent to them."}},
	} {
		s := newScript()
		test.play(s)
		s.pass(time.Minute)
		if !slices.Equal(s.told, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, s.told, test.want)
		}
	}
}

// Nothing is kept of what is told and read.
func TestPolicyForgets(t *testing.T) {
	s := newScript()
	for i := range 500 {
		s.event(numbered(int64(i), "Ann", "text"))
		s.event(told("Bo", fmt.Sprint(i)))
		s.pass(time.Second)
	}
	if n := len(s.q.talks["message:Ann"].recent); n != maxKept {
		t.Errorf("%d messages are kept", n)
	}
	if last := s.told[len(s.told)-1]; !strings.Contains(last, "(500 new messages)") {
		t.Errorf("in the end it says %q", last)
	}
	s.event(read("Ann"))
	s.pass(time.Hour)
	s.event(told("", "the end"))
	s.pass(time.Hour)
	if len(s.q.talks)+len(s.q.changed)+len(s.q.notices) != 0 || len(s.q.noticed) != 1 || !s.q.next().IsZero() {
		t.Errorf("%+v", s.q)
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
