package menu

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

var (
	english = i18n.New("en")
	chinese = i18n.New("zh-Hans")
)

func at(minute int) time.Time { return time.Date(2026, 11, 23, 9, minute, 0, 0, time.UTC) }

// shown returns the titles of the visible rows, those that can't be clicked in
// brackets.
func shown(all [slots]row) []string {
	var titles []string
	for _, r := range all {
		switch {
		case r.title == "":
		case r.checked:
			titles = append(titles, r.title+" ×")
		case r.kind == nothing:
			titles = append(titles, "["+r.title+"]")
		default:
			titles = append(titles, r.title)
		}
	}
	return titles
}

func TestRows(t *testing.T) {
	online := chat.Status{Connection: chat.Online, Name: "Ann"}
	for _, test := range []struct {
		name   string
		p      *i18n.Printer
		status chat.Status
		roster []chat.Person
		want   []string
	}{
		{"nobody", english, online, nil, []string{"[Ann · online]", "[Nobody else is online]", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"nobody, in Chinese", chinese, online, nil, []string{"[Ann · 在线]", "[没有其他人在线]", "查找…", "历史记录", "设置", "诊断", "退出"}},
		{"connecting", english, chat.Status{Connection: chat.Connecting, Name: "Ann"}, nil,
			[]string{"[Ann · connecting…]", "[Nobody else is online]", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"offline, and why", english, chat.Status{Connection: chat.Offline, Name: "Ann", Problem: "The coordinator is away."},
			[]chat.Person{{Name: "Bo", Online: true, Stale: true}},
			[]string{"[Ann · offline]", "[The coordinator is away.]", "◌ Bo", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"in order", english, chat.Status{Connection: chat.Online, Name: "Ann", Unread: 3},
			[]chat.Person{
				{Name: "zed", Online: true}, {Name: "Away", LastMessage: at(5)}, {Name: "Amy", Online: true},
				{Name: "Talker", Online: true, LastMessage: at(1)}, {Name: "Newer", Online: true, LastMessage: at(2)},
				{Name: "Wrote", Unread: 2, LastMessage: at(3)}, {Name: "Writes", Online: true, Unread: 1, LastMessage: at(4)},
			},
			[]string{"[Ann · online]", "● Writes (1)", "○ Wrote (2)", "● Newer", "● Talker", "● Amy", "● zed", "○ Away", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"a message to everyone", english, chat.Status{Connection: chat.Online, Name: "Ann", Unread: 4},
			[]chat.Person{{Name: "Bo", Online: true, Unread: 1}},
			[]string{"[Ann · online]", "To everyone (3)", "● Bo (1)", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"a busy one whom nobody hears", english, chat.Status{Connection: chat.Online, Name: "Ann", Own: chat.OwnStatus{Presence: chat.Busy}}, nil,
			[]string{"Ann · busy", "[Nobody else is online]", "Find…", "History", "Settings", "Diagnose", "Quit", "Online", "Away", "Busy ×", "Invisible"}},
		{"offline, whatever one said", english, chat.Status{Connection: chat.Offline, Name: "Ann", Secure: true, Own: chat.OwnStatus{Presence: chat.Away}}, nil,
			[]string{"Ann · offline", "[Nobody else is online]", "Find…", "History", "Settings", "Diagnose", "Quit", "Online", "Away ×", "Busy", "Invisible"}},
		{"on the way there", english, online,
			[]chat.Person{
				{Name: "a", Online: true, Route: chat.RouteRelayed, Connected: true, Unread: 1}, {Name: "b", Online: true, Route: chat.RouteRelayed},
				{Name: "c", Online: true, Route: chat.RouteDirect, Connected: true, Verified: true}, {Name: "d", Online: true, Unreachable: "it broke"},
			},
			[]string{"[Ann · online]", "● a · relayed (1)", "● b", "● c ✓", "● d · not reached", "Find…", "History", "Settings", "Diagnose", "Quit"}},
		{"in Chinese", chinese, chat.Status{Connection: chat.Online, Name: "安", Secure: true, Own: chat.OwnStatus{Presence: chat.Invisible}},
			[]chat.Person{
				{Name: "a", Online: true}, {Name: "b", Online: true, Trust: chat.TrustChanged}, {Name: "c", Online: true, Trust: chat.TrustLost},
			},
			[]string{"安 · 隐身", "● a · 未加密", "⚠ b：有新设备，请核对", "⚠ c：不再加密，请核对", "查找…", "历史记录", "设置", "诊断", "退出", "在线", "离开", "忙碌", "隐身 ×"}},
	} {
		if got := shown(rows(test.p, test.status, test.roster)); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestTitle(t *testing.T) {
	pinned := chat.Person{Name: "Ann", Online: true, Presence: chat.Available, Secure: true, Trust: chat.TrustPinned}
	with := func(p chat.Person, f func(p *chat.Person)) chat.Person { f(&p); return p }
	verified := with(pinned, func(p *chat.Person) { p.Trust, p.Verified = chat.TrustVerified, true })
	classic := chat.Person{Name: "Ann", Online: true}
	for _, test := range []struct {
		person  chat.Person
		classic bool // the coordinator
		want    string
	}{
		{pinned, false, "● Ann"},
		{with(pinned, func(p *chat.Person) { p.Presence = chat.Away }), false, "◐ Ann"},
		{with(pinned, func(p *chat.Person) { p.Presence = chat.Busy; p.Unread = 2 }), false, "⊘ Ann (2)"},
		{with(pinned, func(p *chat.Person) { p.Presence = chat.Busy; p.Stale = true }), false, "◌ Ann"},
		{with(pinned, func(p *chat.Person) { p.Online = false }), false, "○ Ann"},
		{verified, false, "● Ann ✓"},
		{with(verified, func(p *chat.Person) { p.Online = false; p.Unread = 1 }), false, "○ Ann ✓ (1)"},
		{classic, false, "● Ann · not encrypted"},
		{with(classic, func(p *chat.Person) { p.Unread = 3 }), false, "● Ann · not encrypted (3)"},
		{with(classic, func(p *chat.Person) { p.Online = false }), false, "○ Ann"},
		{classic, true, "● Ann"},
		{with(pinned, func(p *chat.Person) { p.Trust = chat.TrustChanged; p.Unread = 1 }), false, "⚠ Ann: new device, check (1)"},
		{with(pinned, func(p *chat.Person) { p.Trust, p.Secure = chat.TrustLost, false }), false, "⚠ Ann: no longer encrypted, check"},
		{with(pinned, func(p *chat.Person) { p.Trust = chat.TrustLost }), true, "⚠ Ann: no longer encrypted, check"},
	} {
		if got := title(english, !test.classic, test.person); got != test.want {
			t.Errorf("%+v:\n got %q\nwant %q", test.person, got, test.want)
		}
	}
}

func TestMoreThanTheMenuHolds(t *testing.T) {
	for _, more := range []int{0, 1, 1970} {
		var roster []chat.Person
		for i := range maxPeople + more {
			roster = append(roster, chat.Person{Name: fmt.Sprintf("p%04d", i), Online: true})
		}
		all := rows(english, chat.Status{Connection: chat.Online, Name: "Ann"}, roster)
		want := map[int]string{0: "", 1: "1 more person…", 1970: "1970 more people…"}[more]
		if all[slotMore].title != want {
			t.Errorf("%d people: %q, not %q", maxPeople+more, all[slotMore].title, want)
		}
		if r := all[slotMore]; more > 0 && (r.kind != compose || r.peer != "") {
			t.Errorf("a click on %q does not open Find", r.title)
		}
	}
}

func TestNamesFit(t *testing.T) {
	for name, want := range map[string]string{
		"Ann":                       "Ann",
		strings.Repeat("x", 40):     strings.Repeat("x", 40),
		strings.Repeat("x", 41):     strings.Repeat("x", 39) + "…",
		strings.Repeat("文", 21):     strings.Repeat("文", 19) + "…",
		"a\nb\tc\x1b[31m\x7f":       "a b c [31m ",
		"evil\u202egnp.exe\u2066x":  "evil gnp.exe x",
		"c1\u0085control\u009b":     "c1 control ",
		strings.Repeat("👨‍👩‍👧", 64): strings.Repeat("👨‍👩‍👧", 19) + "…",
	} {
		if got := shorten(name, 40); got != want {
			t.Errorf("%q became %q, not %q", name, got, want)
		}
	}
}

func TestTooltip(t *testing.T) {
	two := []chat.Person{{Name: "a", Online: true}, {Name: "b", Online: true}, {Name: "c"}}
	for _, test := range []struct {
		p      *i18n.Printer
		status chat.Status
		want   string
	}{
		{english, chat.Status{Connection: chat.Online, Unread: 1}, "Earshot – 1 unread message"},
		{english, chat.Status{Connection: chat.Offline, Unread: 2}, "Earshot – 2 unread messages"},
		{english, chat.Status{Connection: chat.Offline}, "Earshot – offline"},
		{english, chat.Status{Connection: chat.Online}, "Earshot – 2 people online"},
		{chinese, chat.Status{Connection: chat.Online}, "Earshot – 2 人在线"},
	} {
		if got := tooltip(test.p, test.status, two); got != test.want {
			t.Errorf("%+v: %q, not %q", test.status, got, test.want)
		}
	}
}
