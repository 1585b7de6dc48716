package menu

import (
	"fmt"
	"slices"
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
// Those below Do not disturb, which are always the same, are left out.
func shown(all [slots]row) []string {
	var titles []string
	for slot, r := range all {
		switch {
		case r.title == "", parent(slot) == slotQuiet:
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
		{"nobody", english, online, nil, []string{"[Ann · online]", "[Nobody else is online]", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"nobody, in Chinese", chinese, online, nil, []string{"[Ann · 在线]", "[没有其他人在线]", "查找联系人…", "发给多人…", "免打扰", "历史记录", "设置", "诊断", "退出"}},
		{"connecting", english, chat.Status{Connection: chat.Connecting, Name: "Ann"}, nil,
			[]string{"[Ann · connecting…]", "[Nobody else is online]", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"offline, and why", english, chat.Status{Connection: chat.Offline, Name: "Ann", Problem: "The coordinator is away."},
			[]chat.Person{{Name: "Bo", Online: true, Stale: true}},
			[]string{"[Ann · offline]", "[The coordinator is away.]", "◌ Bo", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"in order", english, chat.Status{Connection: chat.Online, Name: "Ann", Unread: 3},
			[]chat.Person{
				{Name: "zed", Online: true}, {Name: "Away", LastMessage: at(5)}, {Name: "Amy", Online: true},
				{Name: "Talker", Online: true, LastMessage: at(1)}, {Name: "Newer", Online: true, LastMessage: at(2)},
				{Name: "Wrote", Unread: 2, LastMessage: at(3)}, {Name: "Writes", Online: true, Unread: 1, LastMessage: at(4)},
			},
			[]string{"[Ann · online]", "● Writes (1)", "○ Wrote (2)", "● Newer", "● Talker", "● Amy", "● zed", "○ Away", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"a message to everyone", english, chat.Status{Connection: chat.Online, Name: "Ann", Unread: 4},
			[]chat.Person{{Name: "Bo", Online: true, Unread: 1}},
			[]string{"[Ann · online]", "To everyone (3)", "● Bo (1)", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"a busy one whom nobody hears", english, chat.Status{Connection: chat.Online, Name: "Ann", Own: chat.OwnStatus{Presence: chat.Busy}}, nil,
			[]string{"Ann · busy", "[Nobody else is online]", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit", "Online", "Away", "Busy ×", "Invisible", "Status text…"}},
		{"offline, whatever one said", english, chat.Status{Connection: chat.Offline, Name: "Ann", Secure: true, Own: chat.OwnStatus{Presence: chat.Away}}, nil,
			[]string{"Ann · offline", "[Nobody else is online]", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit", "Online", "Away ×", "Busy", "Invisible", "Status text…"}},
		{"on the way there", english, online,
			[]chat.Person{
				{Name: "a", Online: true, Route: chat.RouteRelayed, Connected: true, Unread: 1}, {Name: "b", Online: true, Route: chat.RouteRelayed},
				{Name: "c", Online: true, Route: chat.RouteDirect, Connected: true, Verified: true}, {Name: "d", Online: true, Unreachable: "it broke"},
			},
			[]string{"[Ann · online]", "● a · relayed (1)", "● b", "● c ✓", "● d · not reached", "Search people…", "Message several…", "Do not disturb", "History", "Settings", "Diagnose", "Quit"}},
		{"in Chinese", chinese, chat.Status{Connection: chat.Online, Name: "安", Secure: true, Own: chat.OwnStatus{Presence: chat.Invisible}},
			[]chat.Person{
				{Name: "a", Online: true}, {Name: "b", Online: true, Trust: chat.TrustChanged}, {Name: "c", Online: true, Trust: chat.TrustLost},
			},
			[]string{"安 · 隐身", "● a · 未加密", "⚠ b：有新设备，请核对", "⚠ c：不再加密，请核对", "查找联系人…", "发给多人…", "免打扰", "历史记录", "设置", "诊断", "退出", "在线", "离开", "忙碌", "隐身 ×", "状态文字…"}},
	} {
		if got := shown(rows(test.p, test.status, test.roster, at(0))); fmt.Sprint(got) != fmt.Sprint(test.want) {
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

// Nobody says which department: a large office is a list, of which the menu
// holds the beginning.
func TestMoreThanTheMenuHolds(t *testing.T) {
	for _, test := range []struct {
		people int
		more   string
	}{{smallOffice, ""}, {smallOffice + 1, ""}, {maxPeople, ""}, {maxPeople + 1, "1 more person…"}, {2000, "1974 more people…"}} {
		var roster []chat.Person
		for i := range test.people {
			roster = append(roster, chat.Person{Name: fmt.Sprintf("p%04d", i), Online: true})
		}
		all := rows(english, chat.Status{Connection: chat.Online, Name: "Ann"}, roster, at(0))
		if all[slotMore].title != test.more {
			t.Errorf("%d people: %q, not %q", test.people, all[slotMore].title, test.more)
		}
		if r := all[slotMore]; test.more != "" && (r.kind != compose || r.value != "") {
			t.Errorf("a click on %q does not open Find", r.title)
		}
		if first := all[slotPeople].title; first != "● p0000" {
			t.Errorf("%d people begin with %q", test.people, first)
		}
	}
}

// people are n of a department, the first of them offline.
func people(n int, department string) (all []chat.Person) {
	for i := range n {
		all = append(all, chat.Person{Name: fmt.Sprintf("%s%02d", department, i), Department: department, Online: i > 0})
	}
	return all
}

func TestSections(t *testing.T) {
	roster := append(people(30, "Sales"), people(5, "Labs")...)
	roster = append(roster, chat.Person{Name: "zoe", Online: true}, chat.Person{Name: "gone", LastMessage: at(3)})
	change := func(name string, f func(*chat.Person)) {
		f(&roster[slices.IndexFunc(roster, func(p chat.Person) bool { return p.Name == name })])
	}
	change("Sales07", func(p *chat.Person) { p.Unread, p.LastMessage = 2, at(9) })
	change("Sales08", func(p *chat.Person) { p.Favourite, p.LastMessage = true, at(8) })
	change("Labs00", func(p *chat.Person) { p.Favourite = true })
	change("Sales29", func(p *chat.Person) { p.LastMessage = at(4) })
	status := chat.Status{Connection: chat.Online, Name: "Ann", Unread: 2}
	all := rows(english, status, roster, at(30))

	want := []string{"[Ann · online]", "● Sales07 (2)", "[Favourites]", "● Sales08", "○ Labs00", "[Recent]", "● Sales29", "○ gone", "[Departments]",
		"Labs (4)", "Sales (29)", "Without a department (1)", "Search people…"}
	if got := shown(all)[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	first, end := members(0)
	want = []string{"Everyone in Labs…", "● Labs01", "● Labs02", "● Labs03", "● Labs04"}
	if got := titles(all[first:end]); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if r := all[first]; r.kind != compose || r.value != chat.DepartmentPeer("Labs") {
		t.Errorf("%+v", r)
	}
	// Those with whom one talks are among the members, and all are by name.
	first, end = members(1)
	got := titles(all[first:end])
	if len(got) != groupSlots || got[1] != "● Sales01" || got[maxMembers] != "● Sales29" || !slices.Contains(got, "● Sales07 (2)") || got[groupSlots-1] != "13 more people…" {
		t.Errorf("%q", got)
	}
	if !slices.IsSorted(got[1 : groupSlots-1]) {
		t.Errorf("%q", got)
	}
	first, end = members(2)
	if got := titles(all[first:end]); !slices.Equal(got, []string{"● zoe"}) {
		t.Errorf("%q", got)
	}
}

func titles(rows []row) (all []string) {
	for _, r := range rows {
		if r.title != "" {
			all = append(all, r.title)
		}
	}
	return all
}

// Of many departments there are the largest, and the person's own.
func TestManyDepartments(t *testing.T) {
	var roster []chat.Person
	for i := range 20 {
		roster = append(roster, people(2+i, fmt.Sprintf("D%02d", i))...)
	}
	all := rows(english, chat.Status{Connection: chat.Online, Name: "Ann", Own: chat.OwnStatus{Department: "d03"}}, roster, at(0))
	want := []string{"D03 (4)", "D13 (14)", "D14 (15)", "D15 (16)", "D16 (17)", "D17 (18)", "D18 (19)", "D19 (20)"}
	if got := titles(all[slotGroups:slotMore]); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if got := all[slotMore].title; got != "87 more people…" {
		t.Errorf("the others are %q", got)
	}
	for slot := slotGroups; slot < slotMore; slot++ {
		if all[slot].kind != open {
			t.Errorf("%+v", all[slot])
		}
	}
}

// However many people want to be first, the menu has rows for all of its
// sections.
func TestCrowdedMenu(t *testing.T) {
	var roster []chat.Person
	for i := range 300 {
		roster = append(roster, chat.Person{
			Name: fmt.Sprintf("p%03d", i), Online: true, Unread: (300 - i) / 200, Favourite: i%2 == 0, LastMessage: at(i % 60),
		})
	}
	all := rows(english, chat.Status{Connection: chat.Online, Name: "Ann", Unread: 101}, roster, at(0))
	var headings []string
	seen := make(map[string]bool)
	for _, r := range all[slotPeople:slotGroups] {
		if r.kind == nothing {
			headings = append(headings, r.title)
		} else if seen[r.value] {
			t.Errorf("%q is there twice", r.value)
		}
		seen[r.value] = true
	}
	if !slices.Equal(headings, []string{"Favourites", "Recent", "Online"}) || all[slotPeople+maxPeople-1].title == "" {
		t.Errorf("%q", titles(all[slotPeople:slotGroups]))
	}
}

func TestQuiet(t *testing.T) {
	now := time.Date(2026, 12, 31, 21, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		p     *i18n.Printer
		until time.Duration
		hours bool
		title string
		last  row
	}{
		{english, 0, false, "Do not disturb", row{}},
		{english, time.Hour, false, "Do not disturb · until 22:00", row{title: "Turn off", kind: quiet, value: off}},
		{chinese, 11 * time.Hour, false, "免打扰 · 到明天 08:00", row{title: "关闭免打扰", kind: quiet, value: off}},
		{english, 10 * time.Hour, true, "Do not disturb · until tomorrow 07:00", row{title: "Change the quiet hours", kind: page, value: "settings#g-quiet"}},
		{english, 300 * time.Hour, false, "Do not disturb · until 2027-01-13 09:00", row{title: "Turn off", kind: quiet, value: off}},
	} {
		status := chat.Status{Connection: chat.Online, Name: "Ann"}
		if test.until > 0 {
			status.Quiet, status.QuietUntil, status.QuietHours = true, now.Add(test.until), test.hours
		}
		all := rows(test.p, status, nil, now)
		if got := all[slotQuiet].title; got != test.title {
			t.Errorf("%q, not %q", got, test.title)
		}
		if got := all[slotMembers-1]; got != test.last {
			t.Errorf("%q ends with %+v, not %+v", test.title, got, test.last)
		}
	}
}

func TestStatusText(t *testing.T) {
	status := chat.Status{Connection: chat.Online, Name: "Ann", Secure: true, Own: chat.OwnStatus{Presence: chat.Away, Text: "lunch\nuntil " + strings.Repeat("1", 60)}}
	if got := rows(english, status, nil, at(0))[slotSelf].title; got != "Ann · away · lunch until "+strings.Repeat("1", 27)+"…" {
		t.Errorf("%q", got)
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
