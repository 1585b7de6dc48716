package settings_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/tray/i18n"
	"earshot/tray/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var english, chinese = i18n.New("en"), i18n.New("zh-Hans")

// file keeps choices in memory, as a settings file would.
type file struct {
	content []byte
	saves   int
	broken  error
}

func (f *file) Load() (settings.Chosen, error) { return settings.Decode("settings.toml", f.content) }
func (f *file) Save(c settings.Chosen) error {
	if f.broken != nil {
		return f.broken
	}
	f.content = settings.Encode(c)
	f.saves++
	return nil
}

func open(t *testing.T, f *file, p settings.Policy) *settings.Live {
	t.Helper()
	l, err := settings.Open(f, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheTableIsComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range settings.All() {
		if seen[s.Name] || strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%q is there twice, or no name", s.Name)
		}
		seen[s.Name] = true
		if !slices.ContainsFunc(settings.Groups(), func(g struct {
			Group settings.Group
			Label string
		}) bool {
			return g.Group == s.Group
		}) {
			t.Errorf("%s is in group %q", s.Name, s.Group)
		}
		if s.Default == nil {
			t.Errorf("%s has no default", s.Name)
		}
		if people, ok := s.Default.(settings.People); !ok || len(people) > 0 {
			if got, wrong := s.Check(s.Default, time.Now()); wrong != nil || !reflect.DeepEqual(got, s.Default) {
				t.Errorf("%s: the default %v is checked as %v, %v", s.Name, s.Default, got, wrong)
			}
			if got, wrong := s.Check(s.Text(s.Default), time.Now()); wrong != nil || !reflect.DeepEqual(got, s.Default) {
				t.Errorf("%s: %q is read as %v, %v", s.Name, s.Text(s.Default), got, wrong)
			}
		}
		for _, p := range []*i18n.Printer{english, chinese} {
			if label, help := p.T(s.Label), p.T(s.Help); label == s.Label || help == s.Help || !strings.ContainsAny(help[len(help)-3:], ".。") {
				t.Errorf("%s is called %q, and explained by %q", s.Name, label, help)
			}
		}
	}
	for _, g := range settings.Groups() {
		if english.T(g.Label) == g.Label {
			t.Errorf("group %s has no heading", g.Group)
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Date(2026, 11, 23, 16, 0, 0, 0, time.FixedZone("", 3600))
	for _, test := range []struct {
		name  string
		value any
		want  any // nil: refused
	}{
		{"read_receipts", true, true},
		{"read_receipts", "off", false},
		{"read_receipts", "ON", true},
		{"read_receipts", int64(0), false},
		{"read_receipts", int64(2), nil},
		{"read_receipts", "maybe", nil},
		{"read_receipts", 0.5, nil},
		{"away_after", int64(5), 5},
		{"away_after", float64(5), 5},
		{"away_after", "5", 5},
		{"away_after", "never", -1},
		{"away_after", "Never", -1},
		{"away_after", int64(0), nil},
		{"away_after", int64(1) << 40, nil},
		{"away_after", "five", nil},
		{"away_after", true, nil},
		{"history_days", "forever", 0},
		{"history_days", 30, 30},
		{"history_days", -1, nil},
		{"encoding", "gb18030", "gb18030"},
		{"encoding", "latin1", nil},
		{"language", "zh-Hans", "zh-Hans"},
		{"language", "auto", "auto"},
		{"language", "", "auto"},
		{"language", "klingonisch!", nil},
		{"name", " Ann ", "Ann"},
		{"name", "", ""},
		{"name", "a,b", nil},
		{"name", strings.Repeat("安", 65), nil},
		{"name", "a\nb", nil},
		{"server", "chat.example.com:13277", "chat.example.com:13277"},
		{"server", "chat example com", nil},
		{"server", "host:port", nil},
		{"server", "earshot://", nil},
		{"quiet_from", "7:30", "07:30"},
		{"quiet_from", "22:00:00", "22:00"},
		{"quiet_from", "25:00", nil},
		{"do_not_disturb", "2h", "2026-11-23T18:00:00+01:00"},
		{"do_not_disturb", "2026-11-23T20:30", "2026-11-23T20:30:00+01:00"},
		{"do_not_disturb", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"},
		{"do_not_disturb", "off", ""},
		{"do_not_disturb", "-2h", nil},
		{"do_not_disturb", "99999h", nil},
		{"people", map[string]any{"Ann": map[string]any{"login": "once", "message": false}},
			settings.People{"Ann": {Login: settings.Once, Message: settings.Never}}},
		{"people", map[string]any{"Ann": map[string]any{"favourite": true}, "Bo": map[string]any{"favourite": "off", "login": "on"}},
			settings.People{"Ann": {Favourite: settings.Always}, "Bo": {Login: settings.Always}}},
		{"people", map[string]any{"Ann": map[string]any{"favourite": "once"}}, nil},
		{"people", map[string]any{"Ann": map[string]any{"message": "once"}}, nil},
		{"people", map[string]any{"Ann": map[string]any{"mesage": "on"}}, nil},
		{"people", map[string]any{"Ann": true}, nil},
		{"people", map[string]any{"Ann": map[string]any{}, "ANN": map[string]any{}}, nil},
		{"people", map[string]any{"a,b": map[string]any{}}, nil},
		{"people", "Ann", nil},
	} {
		s, ok := settings.Find(test.name)
		if !ok {
			t.Fatalf("no %s", test.name)
		}
		got, wrong := s.Check(test.value, now)
		if wrong != nil {
			got = nil
			for _, p := range []*i18n.Printer{english, chinese} {
				if sentence := wrong.In(p); !strings.ContainsAny(sentence[len(sentence)-3:], ".。") {
					t.Errorf("%s = %v: %q is no sentence", test.name, test.value, sentence)
				}
			}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s = %v gives %v (%v), want %v", test.name, test.value, got, wrong, test.want)
		}
	}
}

// What the versions before the table wrote means the same.
func TestOldFilesAreRead(t *testing.T) {
	old := `# The coordinator: HOST, HOST:PORT or its link, earshot://HOST/#FINGERPRINT.
server = '127.0.0.1:13277'
# Your name on the roster; without it, your account's name.
name = '张三 "quoted"'
language = 'zh-Hans'
encoding = 'utf-8'
read_receipts = 'off'
away_after = -7
keyring = 'off'
port_mapping = 'off'
`
	f := &file{content: []byte(old)}
	l := open(t, f, settings.Policy{})
	want := settings.Defaults()
	want.Server, want.Name, want.Language, want.Encoding = "127.0.0.1:13277", `张三 "quoted"`, "zh-Hans", "utf-8"
	want.ReadReceipts, want.AwayAfter, want.Keyring, want.PortMapping = false, -1, "off", false
	if got := *l.Values(); !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v", got)
	}
	// Another choice takes none of them away.
	if err := l.Set(t.Context(), "typing", false); err != nil {
		t.Fatal(err)
	}
	want.Typing = false
	if again := *open(t, f, settings.Policy{}).Values(); !reflect.DeepEqual(again, want) {
		t.Errorf("written as %s", f.content)
	}
	l = open(t, &file{content: []byte("away_after = 0\n")}, settings.Policy{})
	if got := l.Values().AwayTime(); got != 10*time.Minute {
		t.Errorf("away after %v", got)
	}
}

func TestWrongFilesNameTheirLine(t *testing.T) {
	for _, test := range []struct {
		content string
		line    int
		in      string
	}{
		{"server = \"a\"\n\nservr = \"b\"\n", 3, "servr"},
		{"name = \"Ann\"\nencoding = 7\n", 2, "utf-16le"},
		{"name = \"Ann\n", 1, ""},
		{"a.b = 1\n", 1, `"a"`},
		{"\n[people.Ann]\nlogin = \"sometimes\"\n", 2, "once"},
		{"start_at_login = true\n", 1, "start_at_login"},
		{"name = \"Ann\"\nname = \"Bo\"\n", 2, "name"},
	} {
		_, err := settings.Decode("/a/settings.toml", []byte(test.content))
		wrong, ok := errors.AsType[*settings.FileError](err)
		if !ok || wrong.Line != test.line || !strings.Contains(err.Error(), test.in) {
			t.Errorf("%q gives %v", test.content, err)
			continue
		}
		for _, p := range []*i18n.Printer{english, chinese} {
			if sentence, ok := settings.Explain(err, p); !ok || !strings.Contains(sentence, "/a/settings.toml") || !strings.ContainsAny(sentence[len(sentence)-3:], ".。") {
				t.Errorf("no sentence that names the file: %q", sentence)
			}
		}
	}
}

func TestSetAndReset(t *testing.T) {
	f := new(file)
	l := open(t, f, settings.Policy{})
	var told [][]string
	stop := l.OnChange(func(names []string) { told = append(told, names) })
	set := func(name string, value any) {
		t.Helper()
		if err := l.Set(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	set("sounds", "off")
	set("sounds", false)
	set("people.Ann Li.login", "once")
	set("people.dr. who.message", "off")
	set("people.ANN LI.message", true)
	if want := [][]string{{"sounds"}, {"people"}, {"people"}, {"people"}}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %v", told)
	}
	if f.saves != 4 {
		t.Errorf("saved %d times", f.saves)
	}
	people := settings.People{"Ann Li": {Login: settings.Once, Message: settings.Always}, "dr. who": {Message: settings.Never}}
	if got := open(t, f, settings.Policy{}).Values(); got.Sounds || !reflect.DeepEqual(got.People, people) {
		t.Errorf("%+v after a restart, of\n%s", got, f.content)
	}
	if got := l.Values().People.Of("ann li"); got.Login != settings.Once {
		t.Errorf("%+v", got)
	}
	if item, err := settings.Pick(l.List(english), "people.Ann Li.login"); err != nil || item.Text != "once" {
		t.Errorf("%+v, %v", item, err)
	}

	// As JSON the values are the same.
	set("do_not_disturb", "2h")
	set("away_after", "never")
	b, err := json.Marshal(l.List(english))
	var items []settings.Item
	if err = errors.Join(err, json.Unmarshal(b, &items)); err != nil || !reflect.DeepEqual(settings.FromItems(items), l.Values()) {
		t.Errorf("%+v, %v", settings.FromItems(items), err)
	}

	// What somebody writes into the file meanwhile stays.
	f.content = append([]byte("typing = false\n"), f.content...)
	set("people.Ann Li.login", "default")
	if l.Values().Typing || l.Values().People.Of("Ann Li") != (settings.Person{Message: settings.Always}) {
		t.Errorf("%+v", l.Values())
	}

	set("people.Dr. Who.login", "once")
	if err := l.Reset(t.Context(), "people.dr. who"); err != nil || len(l.Values().People) != 1 {
		t.Errorf("%v, %v", l.Values().People, err)
	}
	for name, value := range map[string]any{
		"nonsense": 1, "people.Ann.nose": "on", "people.Ann": "on", "people.a,b.login": "on", "sounds": "loud", "start_at_login": true,
	} {
		err := l.Set(t.Context(), name, value)
		if _, ok := errors.AsType[*settings.Problem](err); !ok {
			t.Errorf("%s = %v gives %v", name, value, err)
		}
	}
	f.broken = errors.New("the disk is full")
	before := l.Values()
	if err := l.Set(t.Context(), "sounds", true); !errors.Is(err, f.broken) || l.Values() != before {
		t.Errorf("%v, %+v", err, l.Values())
	}
	f.broken = nil

	set("name", "Bo")
	if err := l.Reset(t.Context(), "sounds"); err != nil || !l.Values().Sounds {
		t.Error(err)
	}
	if err := l.Reset(t.Context(), ""); err != nil {
		t.Error(err)
	}
	want := settings.Defaults()
	want.Name = "Bo"
	if got := *l.Values(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	stop()
	set("sounds", false)
	if last := told[len(told)-1]; slices.Equal(last, []string{"sounds"}) {
		t.Error("told after the end")
	}
}

func TestPolicy(t *testing.T) {
	p, err := settings.DecodePolicy("/etc/earshot/policy.toml", []byte(`managed_by = "IT of Example"

[recommended]
away_after = 5
sounds = false

[locked]
read_receipts = false
server = "chat.example.com"
`))
	if err != nil {
		t.Fatal(err)
	}
	f := &file{content: []byte("read_receipts = true\nsounds = true\n")}
	l := open(t, f, p)
	if v := l.Values(); v.AwayAfter != 5 || !v.Sounds || v.ReadReceipts || v.Server != "chat.example.com" {
		t.Errorf("%+v", v)
	}
	err = l.Set(t.Context(), "read_receipts", true)
	if !errors.Is(err, settings.ErrLocked) || f.saves != 0 {
		t.Errorf("a locked setting is set: %v", err)
	}
	if err := l.Reset(t.Context(), "server"); !errors.Is(err, settings.ErrLocked) {
		t.Errorf("a locked setting is reset: %v", err)
	}
	item, err := settings.Pick(l.List(chinese), "read_receipts")
	if err != nil || !item.Locked || item.Chosen || !strings.Contains(item.LockedBy, "IT of Example") || !strings.Contains(item.LockedBy, "policy.toml:8") {
		t.Errorf("%+v, %v", item, err)
	}
	if err := l.Set(t.Context(), "away_after", "never"); err != nil || l.Values().AwayAfter != -1 {
		t.Error(err)
	}
	if err := l.Reset(t.Context(), "away_after"); err != nil || l.Values().AwayAfter != 5 {
		t.Error(err)
	}
	// Another policy takes effect while the program runs.
	var told []string
	l.OnChange(func(names []string) { told = append(told, names...) })
	other, err := settings.DecodePolicy("p", []byte("[locked]\nread_receipts = false\nsounds = false\n"))
	if err = errors.Join(err, l.Adopt(t.Context(), other), l.Adopt(t.Context(), other)); err != nil {
		t.Fatal(err)
	}
	if v := l.Values(); v.Server != "" || v.Sounds || v.AwayAfter != 10 || !slices.Equal(told, []string{"away_after", "sounds", "server"}) {
		t.Errorf("%+v, told %v", v, told)
	}
	// What the person chose before the policy came is there when it goes.
	if v := open(t, f, settings.Policy{}).Values(); !v.ReadReceipts {
		t.Errorf("%+v", v)
	}
}

func TestWrongPoliciesNameTheirLine(t *testing.T) {
	for _, test := range []struct {
		content string
		line    int
		in      string
	}{
		{"[locked]\nservr = \"a\"\n", 2, "servr"},
		{"[locked]\naway_after = 5\n\n[recommended]\nread_receipts = \"perhaps\"\n", 5, "on or off"},
		{"[locked]\ndo_not_disturb = \"2h\"\n", 2, "own"},
		{"[recommended]\nstart_at_login = true\n", 2, "lock"},
		{"[lockd]\naway_after = 5\n", 1, "lockd"},
		{"\naway_after = 5\n", 2, "away_after"},
		{"locked = true\n", 1, "[locked]"},
		{"managed_by = 7\n", 1, "text"},
		{"[locked\n", 1, ""},
	} {
		_, err := settings.DecodePolicy("policy.toml", []byte(test.content))
		wrong, ok := errors.AsType[*settings.FileError](err)
		if !ok || wrong.Line != test.line || !strings.Contains(err.Error(), test.in) {
			t.Errorf("%q gives %v", test.content, err)
		}
	}
}

// system is what an operating system keeps.
type system struct{ on bool }

func (s *system) Status() (bool, error) { return s.on, nil }
func (s *system) Set(on bool) error     { s.on = on; return nil }

func TestOutside(t *testing.T) {
	s := new(system)
	outside := map[string]settings.Outside{"start_at_login": s}
	l, err := settings.Open(new(file), settings.Policy{}, outside)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set(t.Context(), "start_at_login", "on"); err != nil || !s.on {
		t.Error(err)
	}
	if item, err := settings.Pick(l.List(english), "start_at_login"); err != nil || item.Value != true || !item.Chosen {
		t.Errorf("%+v, %v", item, err)
	}
	p, err := settings.DecodePolicy("p", []byte("[locked]\nstart_at_login = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l, err = settings.Open(new(file), p, outside); err != nil {
		t.Fatal(err)
	}
	if err := l.Enforce(); err != nil || s.on {
		t.Errorf("on: %v, %v", s.on, err)
	}
	if err := l.Set(t.Context(), "start_at_login", true); !errors.Is(err, settings.ErrLocked) || s.on {
		t.Error(err)
	}
}

// Who changes settings at the same time takes nothing from the others.
func TestSettingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(file)
		l := open(t, f, settings.Policy{})
		values := map[string]any{"sounds": false, "typing": false, "away_after": 3, "people.Ann.login": "once", "people.Bo.login": "off"}
		done := make(chan error, len(values))
		for name, value := range values {
			go func() { done <- l.Set(t.Context(), name, value) }()
		}
		for range values {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		chosen, err := f.Load()
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(chosen)), []string{"away_after", "people", "sounds", "typing"}) || len(l.Values().People) != 2 {
			t.Errorf("%v, %v", chosen, err)
		}
	})
}
