package menu

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

const (
	// maxPeople is how many people the menu holds: more than fit a screen is
	// what Find is for.
	maxPeople = 30
	// maxWidth is how wide a name may be, in columns.
	maxWidth = 40
)

// kind is what a click on a row does.
type kind uint8

const (
	nothing kind = iota
	compose      // opens the popup for peer; Find if peer is empty
	open         // opens the submenu that is below the row
	be           // tells the others of presence
	page         // shows the page that peer names in the browser
	quit
)

// row is one line of the menu. The zero row is hidden.
type row struct {
	title string
	kind  kind
	peer  string
	// presence is of be, and checked says that it is the present one.
	presence chat.Presence
	checked  bool
}

// presences are what a person can say of itself, and how the submenu calls it
// and the row above.
var presences = []struct {
	presence     chat.Presence
	choice, self string
}{
	{chat.Available, "MenuBeOnline", "MenuOnline"},
	{chat.Away, "MenuBeAway", "MenuAway"},
	{chat.Busy, "MenuBeBusy", "MenuBusy"},
	{chat.Invisible, "MenuBeInvisible", "MenuInvisible"},
}

// The slots of the menu, in order. Each is one item that lives as long as the
// icon and is retitled, shown and hidden: items that come and go would make
// the panel read the whole menu anew and close it under the pointer.
const (
	slotSelf     = 0
	slotProblem  = 1
	slotEveryone = 2
	slotPeople   = 3
	slotMore     = slotPeople + maxPeople
	slotFind     = slotMore + 1
	slotHistory  = slotFind + 1
	slotSettings = slotHistory + 1
	slotDiagnose = slotSettings + 1
	slotQuit     = slotDiagnose + 1
	slotPresence = slotQuit + 1 // these are in a submenu of slotSelf
	slots        = slotPresence + 4
)

// rows returns what each slot shows.
func rows(p *i18n.Printer, status chat.Status, roster []chat.Person) [slots]row {
	var all [slots]row
	all[slotSelf] = row{title: self(p, status)}
	if choosable(status) {
		all[slotSelf].kind = open
		for i, choice := range presences {
			all[slotPresence+i] = row{title: p.T(choice.choice), kind: be, presence: choice.presence, checked: choice.presence == own(status)}
		}
	}
	if status.Connection == chat.Offline && status.Problem != "" {
		all[slotProblem] = row{title: shorten(status.Problem, 2*maxWidth)}
	}
	people := order(roster)
	if unread := status.Unread - unreadOf(people); unread > 0 {
		all[slotEveryone] = row{title: p.T("MenuEveryone", "Unread", unread), kind: compose, peer: chat.Everyone}
	}
	for i, person := range people[:min(len(people), maxPeople)] {
		all[slotPeople+i] = row{title: title(p, status.Secure, person), kind: compose, peer: person.Name}
	}
	if len(people) == 0 {
		all[slotPeople] = row{title: p.T("MenuNobody")}
	}
	if more := len(people) - maxPeople; more > 0 {
		all[slotMore] = row{title: p.T("MenuMore", "Count", more), kind: compose}
	}
	all[slotFind] = row{title: p.T("MenuFind"), kind: compose}
	all[slotHistory] = row{title: p.T("MenuHistory"), kind: page, peer: "history"}
	all[slotSettings] = row{title: p.T("MenuSettings"), kind: page, peer: "settings"}
	all[slotDiagnose] = row{title: p.T("MenuDiagnose"), kind: page, peer: "doctor"}
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
		for _, choice := range presences {
			if choice.presence == own(status) {
				return p.T(choice.self, "Name", name)
			}
		}
		return p.T("MenuOnline", "Name", name)
	case chat.Connecting:
		return p.T("MenuConnecting", "Name", name)
	}
	return p.T("MenuOffline", "Name", name)
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

// order sorts people as one looks for them: who wrote something unread, then
// who is online, those with whom one talks first, then who is offline and was
// talked to.
func order(roster []chat.Person) []chat.Person {
	people := slices.Clone(roster)
	rank := func(p chat.Person) int {
		switch {
		case p.Unread > 0:
			return 0
		case p.Online:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(people, func(a, b chat.Person) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			b.LastMessage.Compare(a.LastMessage),
			cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
		)
	})
	return people
}

func unreadOf(people []chat.Person) int {
	n := 0
	for _, p := range people {
		n += p.Unread
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
	for _, person := range roster {
		if person.Online {
			online++
		}
	}
	return p.T("MenuTooltipOnline", "Count", online)
}
