package menu

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// saying is what a person can say of itself, and how the submenu calls it and
// the row above.
type saying struct {
	presence     chat.Presence
	choice, self string
}

var presences = [...]saying{
	{chat.Available, "MenuBeOnline", "MenuOnline"},
	{chat.Away, "MenuBeAway", "MenuAway"},
	{chat.Busy, "MenuBeBusy", "MenuBusy"},
	{chat.Invisible, "MenuBeInvisible", "MenuInvisible"},
}

// lengths are for how long one may want not to be disturbed. Below them is the
// end of that.
var lengths = [...]struct {
	value, label string
	count        int
}{
	{"30m", "SettingsPageForMinutes", 30},
	{"1h", "SettingsPageForHours", 1},
	{"2h", "SettingsPageForHours", 2},
	{"4h", "SettingsPageForHours", 4},
	{tomorrow, "SettingsPageTomorrow", 0},
}

const (
	tomorrow = "tomorrow" // at eight
	off      = "off"
)

// rows returns what each slot shows.
func rows(p *i18n.Printer, status chat.Status, roster []chat.Person, now time.Time) [slots]row {
	var all [slots]row
	all[slotSelf] = row{title: self(p, status)}
	if choosable(status) {
		all[slotSelf].kind = open
		for i, choice := range presences {
			all[slotPresence+i] = row{title: p.T(choice.choice), kind: be, presence: choice.presence, checked: choice.presence == own(status)}
		}
		all[slotStatus] = row{title: p.T("MenuStatusText"), kind: page, value: "settings#s-status.text"}
	}
	if status.Connection == chat.Offline && status.Problem != "" {
		all[slotProblem] = row{title: shorten(status.Problem, 2*maxWidth)}
	}
	if unread := status.Unread - unreadOf(roster); unread > 0 {
		all[slotEveryone] = row{title: p.T("MenuEveryone", "Unread", unread), kind: compose, value: chat.Everyone}
	}
	arrange(p, status, roster, &all)
	all[slotFind] = row{title: p.T("MenuFind"), kind: compose}
	all[slotSeveral] = row{title: p.T("MenuSeveral"), kind: compose, value: chat.FindSeveral}
	hush(p, status, now, &all)
	all[slotHistory] = row{title: p.T("MenuHistory"), kind: page, value: "history"}
	all[slotSettings] = row{title: p.T("MenuSettings"), kind: page, value: "settings"}
	all[slotDiagnose] = row{title: p.T("MenuDiagnose"), kind: page, value: "doctor"}
	all[slotQuit] = row{title: p.T("MenuQuit"), kind: quit}
	return all
}

// choosable says whether the person can tell others how available it is: by the
// classic protocol nobody hears of it. What was chosen before can be taken back
// there too, for it still is what notifications go by.
func choosable(status chat.Status) bool { return status.Secure || own(status) != chat.Available }

// own is what the person says of itself.
func own(status chat.Status) chat.Presence {
	return cmp.Or(status.Own.Presence, chat.Available)
}

func self(p *i18n.Printer, status chat.Status) string {
	name := shorten(status.Name, maxWidth)
	switch status.Connection {
	case chat.Online:
		i := max(0, slices.IndexFunc(presences[:], func(s saying) bool { return s.presence == own(status) }))
		title := p.T(presences[i].self, "Name", name)
		if status.Own.Text != "" && status.Secure {
			title += " · " + shorten(status.Own.Text, maxWidth)
		}
		return title
	case chat.Connecting:
		return p.T("MenuConnecting", "Name", name)
	}
	return p.T("MenuOffline", "Name", name)
}

// hush fills the submenu by which the person wants not to be disturbed.
func hush(p *i18n.Printer, status chat.Status, now time.Time, all *[slots]row) {
	title := p.T("MenuQuiet")
	if status.Quiet {
		switch until := status.QuietUntil.In(now.Location()); {
		case until.Before(midnight(now, 1)):
			title = p.T("MenuQuietUntil", "Time", until.Format("15:04"))
		case until.Before(midnight(now, 2)):
			title = p.T("MenuQuietTomorrow", "Time", until.Format("15:04"))
		default:
			title = p.T("MenuQuietUntil", "Time", until.Format("2006-01-02 15:04"))
		}
	}
	all[slotQuiet] = row{title: title, kind: open}
	for i, l := range lengths {
		all[slotLengths+i] = row{title: p.T(l.label, "Count", l.count), kind: quiet, value: l.value}
	}
	switch last := &all[slotLengths+len(lengths)]; {
	case status.Quiet && status.QuietHours:
		*last = row{title: p.T("MenuQuietHours"), kind: page, value: "settings#g-quiet"}
	case status.Quiet:
		*last = row{title: p.T("MenuQuietOff"), kind: quiet, value: off}
	}
}

// midnight is that before the day that many days later.
func midnight(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

// title is a person's row: the presence, the name, one thing to know before
// one writes, whether the way to them is not the usual, direct one, and how much
// is unread. Among people who are encrypted it says
// who isn't; where nobody is that would say nothing.
func title(p *i18n.Printer, secure bool, person chat.Person) string {
	text := shorten(person.Name, maxWidth)
	switch {
	case person.Trust == chat.TrustChanged:
		text = p.T("MenuTrustChanged", "Name", text)
	case person.Trust == chat.TrustLost:
		text = p.T("MenuTrustLost", "Name", text)
	case person.Verified:
		text += " ✓"
	case secure && person.Online && person.Trust == chat.TrustNone:
		text = p.T("MenuNotEncrypted", "Name", text)
	}
	switch {
	case person.Unreachable != "":
		text = p.T("MenuNotReached", "Name", text)
	case person.Connected && person.Route == chat.RouteRelayed:
		text = p.T("MenuRelayed", "Name", text)
	}
	text = mark(person) + " " + text
	if person.Unread > 0 {
		text += " (" + strconv.Itoa(person.Unread) + ")"
	}
	return text
}

// mark is how available a person is.
func mark(person chat.Person) string {
	switch {
	case person.Trust.Blocked():
		return "⚠"
	case !person.Online:
		return "○"
	case person.Stale:
		return "◌"
	case person.Presence == chat.Away:
		return "◐"
	case person.Presence == chat.Busy:
		return "⊘"
	}
	return "●"
}

func unreadOf(people []chat.Person) int {
	n := 0
	for i := range people {
		n += people[i].Unread
	}
	return n
}

// shorten cuts text to a width in columns, between characters, and takes out of
// it what would break the line, or turn its direction and so feign another name.
func shorten(text string, width int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var out strings.Builder
	used, state := 0, -1
	for text != "" {
		var cluster string
		var w int
		cluster, text, w, state = uniseg.FirstGraphemeClusterInString(text, state)
		if used+w > width-1 {
			break
		}
		out.WriteString(cluster)
		used += w
	}
	return strings.TrimRight(out.String(), " ") + "…"
}

// tooltip is what the icon says when the pointer rests on it.
func tooltip(p *i18n.Printer, status chat.Status, roster []chat.Person) string {
	if status.Unread > 0 {
		return p.T("MenuTooltipUnread", "Count", status.Unread)
	}
	if status.Connection != chat.Online {
		return p.T("MenuTooltipOffline")
	}
	online := 0
	for i := range roster {
		if roster[i].Online {
			online++
		}
	}
	return p.T("MenuTooltipOnline", "Count", online)
}
