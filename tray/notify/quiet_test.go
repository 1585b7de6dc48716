package notify

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/tray/chat"
	"earshot/tray/settings"
)

// choose changes settings in the middle of a script.
func (s *script) choose(change func(v *settings.Values)) {
	v := *s.q.set
	change(&v)
	s.q.adopt(&v, s.now)
}

func there(name string) chat.Event {
	return chat.Event{Type: chat.EventRoster, Roster: []chat.Person{{Name: name, Online: true}}}
}

func (s *script) people(p settings.People) {
	s.choose(func(v *settings.Values) { v.People = p })
}

func TestSettings(t *testing.T) {
	midnight := func(s *script) { s.now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		name string
		play func(s *script)
		want []string // without the times
	}{
		{"no messages", func(s *script) {
			s.choose(func(v *settings.Values) { v.NotifyMessage = false })
			s.event(message("Ann", "hi"))
			s.event(urgent(1, "Ann", "now"))
		}, nil},
		{"messages from one person only", func(s *script) {
			s.choose(func(v *settings.Values) {
				v.NotifyMessage = false
				v.People = settings.People{"ann": {Message: settings.Always}}
			})
			s.event(message("Ann", "hi"))
			s.event(message("Bo", "hi"))
		}, []string{"message:Ann: Ann / hi"}},
		{"messages from all but one", func(s *script) {
			s.people(settings.People{"Ann": {Message: settings.Never}})
			s.event(message("Ann", "hi"))
			s.event(message("Bo", "hi"))
		}, []string{"message:Bo: Bo / hi"}},
		{"no text", func(s *script) {
			s.choose(func(v *settings.Values) { v.NotifyPreview = false })
			s.event(message("Ann", "the password is 1234"))
		}, []string{"message:Ann: Ann / A new message"}},
		{"no logins", func(s *script) {
			s.choose(func(v *settings.Values) { v.NotifyLogin = false })
			s.event(login("Ann"))
			s.pass(time.Minute)
			s.event(logout("Ann"))
		}, []string{"left: Earshot / Ann went offline"}},
		{"no logouts, and a blink is no login", func(s *script) {
			s.choose(func(v *settings.Values) { v.NotifyLogout = false })
			s.event(logout("Ann"))
			s.pass(5 * time.Second)
			s.event(login("Ann"))
			s.event(logout("Bo"))
		}, nil},
		{"people who are not like the others", func(s *script) {
			s.choose(func(v *settings.Values) {
				v.NotifyLogin = false
				v.People = settings.People{"Ann": {Login: settings.Always, Logout: settings.Never}}
			})
			s.event(login("Ann"))
			s.event(login("Bo"))
			s.pass(time.Minute)
			s.event(logout("Ann"))
			s.event(logout("Bo"))
		}, []string{"came: Earshot / Ann came online", "left: Earshot / Bo went offline"}},
		{"no key changes", func(s *script) {
			s.choose(func(v *settings.Values) { v.NotifyKeyChange = false })
			s.event(chat.Event{Type: chat.EventStatus, Status: &chat.Status{Name: "Me"}})
			s.event(chat.Event{Type: chat.EventPerson, Person: &chat.Person{Name: "Ann", Online: true, Unread: 1}})
			s.event(chat.Event{Type: chat.EventPerson, Person: &chat.Person{Name: "Ann", Online: true, Unread: 1, Trust: chat.TrustChanged}})
			s.event(chat.Event{Type: chat.EventNotice, Peer: "Bo", Notice: "Bo has a new device."})
			s.event(chat.Event{Type: chat.EventNotice, Peer: "Me", Notice: "You have a new device."})
		}, []string{"notice:Me:You have a new device.: Earshot / You have a new device."}},

		{"once, and not as the others", func(s *script) {
			s.people(settings.People{"Ann": {Login: settings.Once}})
			s.event(login("Ann"))
			s.event(login("Bo"))
			s.pass(time.Minute)
			s.people(nil) // it has happened
			s.event(logout("Ann"))
			s.pass(time.Minute)
			s.event(login("Ann"))
		}, []string{"expected:Ann: Earshot / Ann is online now.", "came: Earshot / Bo came online",
			"left: Earshot / Ann went offline", "came: Earshot / Ann came online"}},
		{"once, where no logins are told", func(s *script) {
			s.choose(func(v *settings.Values) {
				v.NotifyLogin, v.People = false, settings.People{"Ann": {Login: settings.Once}}
			})
			s.event(login("Bo"))
			s.event(there("Ann")) // the coordinator is back, and Ann with it
			s.event(login("Ann"))
		}, []string{"expected:Ann: Earshot / Ann is online now."}},
		{"once, and there already", func(s *script) {
			s.event(there("Ann"))
			s.people(settings.People{"Ann": {Login: settings.Once}})
			s.event(there("Ann"))
			s.pass(time.Hour)
			s.event(logout("Ann")) // a blink
			s.pass(5 * time.Second)
			s.event(login("Ann"))
			s.pass(time.Hour)
			s.event(logout("Ann"))
			s.pass(time.Hour)
			s.event(login("Ann"))
		}, []string{"left: Earshot / Ann went offline", "expected:Ann: Earshot / Ann is online now."}},
		{"once, and gone before it was told", func(s *script) {
			s.people(settings.People{"Ann": {Login: settings.Once}})
			s.event(login("Ann"))
			s.event(logout("Ann"))
			s.pass(time.Minute)
		}, nil},
		{"once, in the quiet", func(s *script) {
			s.choose(func(v *settings.Values) {
				v.People, v.DoNotDisturb = settings.People{"Ann": {Login: settings.Once}, "Bo": {Login: settings.Once}}, s.now.Add(time.Hour).Format(time.RFC3339)
			})
			s.event(login("Ann"))
			s.event(login("Bo"))
			s.pass(30 * time.Minute)
			s.event(logout("Bo"))
			s.pass(time.Hour)
		}, []string{"expected:Ann: Earshot / Ann is online now."}},

		{"do not disturb", func(s *script) {
			s.choose(func(v *settings.Values) { v.DoNotDisturb = s.now.Add(time.Hour).Format(time.RFC3339) })
			s.event(message("Ann", "one"))
			s.event(message("Bo", "two"))
			s.event(urgent(1, "Bo", "now"))
			s.event(login("Cho"))
			s.pass(59 * time.Minute)
			s.told = append(s.told, "an hour later")
			s.pass(time.Minute)
		}, []string{"urgent:Bo: Bo: urgent / now (urgent)", "an hour later", "meanwhile: Earshot / 2 messages from Ann and Bo came meanwhile."}},
		{"not even urgent ones", func(s *script) {
			s.choose(func(v *settings.Values) {
				v.DoNotDisturb, v.QuietUrgent = s.now.Add(time.Hour).Format(time.RFC3339), false
			})
			s.event(urgent(1, "Bo", "now"))
			s.pass(59 * time.Minute)
			s.told = append(s.told, "an hour later")
			s.pass(time.Minute)
		}, []string{"an hour later", "urgent:Bo: Bo: urgent / now (urgent)"}},
		{"taken back", func(s *script) {
			s.choose(func(v *settings.Values) { v.DoNotDisturb = s.now.Add(time.Hour).Format(time.RFC3339) })
			s.event(message("Ann", "one"))
			s.pass(time.Minute)
			s.choose(func(v *settings.Values) { v.DoNotDisturb = "" })
		}, []string{"meanwhile: Earshot / 1 message from Ann came meanwhile."}},
		{"quiet hours come and go by themselves", func(s *script) {
			midnight(s)
			s.choose(func(v *settings.Values) { v.QuietHours, v.QuietFrom, v.QuietTo = true, "22:00", "07:00" })
			s.event(message("Ann", "in the night"))
			s.pass(6*time.Hour + 59*time.Minute)
			s.told = append(s.told, "07:00")
			s.pass(5 * time.Hour)
			s.event(message("Bo", "at noon"))
			s.pass(12 * time.Hour)
			s.told = append(s.told, "night")
			s.event(message("Cho", "at midnight"))
			s.pass(time.Hour)
		}, []string{"07:00", "meanwhile: Earshot / 1 message from Ann came meanwhile.", "message:Bo: Bo / at noon", "night"}},
		{"busy as well", func(s *script) {
			s.event(chat.Event{Type: chat.EventStatus, Status: &chat.Status{Own: chat.OwnStatus{Presence: chat.Busy}, Unread: 1}})
			s.choose(func(v *settings.Values) { v.DoNotDisturb = s.now.Add(time.Hour).Format(time.RFC3339) })
			s.event(message("Ann", "one"))
			s.pass(2 * time.Hour)
			s.told = append(s.told, "still busy")
			s.event(chat.Event{Type: chat.EventStatus, Status: &chat.Status{Unread: 1}})
		}, []string{"still busy", "meanwhile: Earshot / 1 message from Ann came meanwhile."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript()
			test.play(s)
			s.pass(time.Minute)
			for i, line := range s.told {
				if at, rest, timed := strings.Cut(line, " "); timed && strings.HasSuffix(at, "s") {
					s.told[i] = rest
				}
			}
			if !slices.Equal(s.told, test.want) {
				t.Errorf("told\n%s\nwant\n%s", strings.Join(s.told, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestSounds(t *testing.T) {
	s := newScript()
	for _, on := range []bool{true, false} {
		s.choose(func(v *settings.Values) { v.Sounds = on })
		s.q.event(message("Ann", "hi"), s.now)
		s.now = s.now.Add(messageWait)
		notes := s.q.due(s.now)
		if len(notes) != 1 || notes[0].mute == on || !notes[0].written {
			t.Errorf("sounds %v: %+v", on, notes)
		}
	}
}

// secretary is an office with settings.
type secretary struct {
	*office
	live *settings.Live
}

func (s *secretary) Settings(context.Context) ([]settings.Item, error) {
	return s.live.List(english), nil
}
func (s *secretary) ResetSetting(ctx context.Context, name string) error {
	return s.live.Reset(ctx, name)
}

// book keeps settings in memory.
type book struct {
	mu      sync.Mutex
	content []byte
}

func (b *book) Load() (settings.Chosen, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return settings.Decode("settings.toml", b.content)
}

func (b *book) Save(c settings.Chosen) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content = settings.Encode(c)
	return nil
}

// What is to be told once is told once, also after a restart, and a change takes
// effect with its event.
func TestOnceIsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(book)
		live, err := settings.Open(b, settings.Policy{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, w := &secretary{office: newOffice(), live: live}, &wall{clicks: make(chan answer)}
		done := make(chan error, 1)
		go func() { done <- run(t.Context(), s, english, w, Options{Log: discard}) }()
		set := func(name string, value any) {
			t.Helper()
			if err := live.Set(t.Context(), name, value); err != nil {
				t.Fatal(err)
			}
			s.events <- chat.Event{Type: chat.EventSettings, Settings: []string{name}}
		}
		s.events <- chat.Event{Type: chat.EventSnapshot, Status: new(chat.Status)}
		set("notify_login", false)
		set("people.Ann.login", "once")
		for range 2 {
			s.events <- login("Ann")
			time.Sleep(time.Minute)
			s.events <- logout("Ann")
			time.Sleep(time.Minute)
			s.events <- chat.Event{Type: chat.EventSettings}
		}
		synctest.Wait()
		var came int
		for _, n := range w.notes {
			if n.expected == "Ann" {
				came++
			}
		}
		if came != 1 {
			t.Errorf("told %d times: %+v", came, w.notes)
		}
		again, err := settings.Open(b, settings.Policy{}, nil)
		if err != nil || len(again.Values().People) != 0 || again.Values().NotifyLogin {
			t.Errorf("%+v, %v", again.Values(), err)
		}
		close(s.events)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
