package model

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

// findLimit is how many people the Find window lists at once.
const findLimit = 50

// Find is the model of the window in which people are found by typing. It
// implements ui.FindHandler. Not safe for several goroutines, see the package.
type Find struct {
	world *World
	work  Work
	p     *i18n.Printer
	view  ui.Find
	gone  func()

	closed   bool
	query    string
	found    []chat.Person // what the list shows
	selected int
	shown    []ui.Person
	hint     string
}

// NewFind returns the model of a Find window. gone is called when the window
// is closed.
func NewFind(world *World, work Work, p *i18n.Printer, gone func()) *Find {
	return &Find{world: world, work: work, p: p, gone: gone, selected: -1}
}

// Spec is the fixed part of the window.
func (f *Find) Spec() ui.FindSpec {
	return ui.FindSpec{
		Title:       f.p.T("PopupFindTitle"),
		Placeholder: f.p.T("PopupFindPlaceholder"),
		Hint:        f.p.T("PopupFindHint"),
		EntryName:   f.p.T("PopupFindEntryName"),
		ListName:    f.p.T("PopupFindListName"),
	}
}

// Attach gives the model its window and fills it.
func (f *Find) Attach(view ui.Find) {
	f.view = view
	f.hint = f.p.T("PopupFindHint")
	f.search()
}

// Refresh shows what changed in the World. Who was selected stays selected.
func (f *Find) Refresh() {
	if !f.closed {
		f.search()
	}
}

// Present raises the window.
func (f *Find) Present() { f.view.Present() }

// Ready implements ui.Handler.
func (f *Find) Ready() { f.work.Trace("first frame") }

// Focus implements ui.Handler.
func (f *Find) Focus(active bool) {
	if active {
		f.work.Trace("ready for typing")
	}
}

// Edited implements ui.Handler: the best match is selected.
func (f *Find) Edited(text string) {
	if text == f.query || f.closed {
		return
	}
	f.query = text
	f.found, f.selected = nil, -1
	f.search()
}

// Key implements ui.Handler.
func (f *Find) Key(key ui.Key) bool {
	const page = 8
	switch key {
	case ui.KeyEnter:
		f.Choose(f.selected)
	case ui.KeyEscape:
		f.close()
	case ui.KeyUp:
		f.move(-1)
	case ui.KeyDown:
		f.move(1)
	case ui.KeyPageUp:
		f.move(-page)
	case ui.KeyPageDown:
		f.move(page)
	default:
		return false
	}
	return true
}

// Choose implements ui.FindHandler: it opens the conversation with that person
// in the place of this window.
func (f *Find) Choose(index int) {
	if f.closed || index < 0 || index >= len(f.found) {
		return
	}
	f.work.Open(f.found[index].Name)
	f.close()
}

// Closed implements ui.Handler.
func (f *Find) Closed() {
	if !f.closed {
		f.closed = true
		f.gone()
	}
}

func (f *Find) close() {
	if !f.closed {
		f.view.Close()
		f.Closed()
	}
}

func (f *Find) move(by int) {
	if len(f.found) == 0 {
		return
	}
	to := min(max(f.selected+by, 0), len(f.found)-1)
	if to != f.selected {
		f.selected = to
		f.view.Select(to)
	}
}

// search fills the list.
func (f *Find) search() {
	keep := ""
	if f.selected >= 0 && f.selected < len(f.found) {
		keep = f.found[f.selected].Name
	}
	ranked := Rank(f.people(), f.query, f.matchName)
	all := len(ranked)
	f.found = ranked[:min(all, findLimit)]
	f.selected = max(slices.IndexFunc(f.found, func(p chat.Person) bool { return p.Name == keep }), min(0, len(f.found)-1))

	rows := make([]ui.Person, 0, len(f.found))
	for _, person := range f.found {
		rows = append(rows, f.row(person))
	}
	if len(rows) == 0 {
		f.view.SetEmpty(f.emptyText())
	}
	hint := f.p.T("PopupFindHint")
	if all > len(rows) {
		hint = f.p.T("PopupFindMore", "Shown", len(rows), "All", all)
	}
	if hint != f.hint {
		f.hint = hint
		f.view.SetHint(hint)
	}
	if f.shown == nil || !slices.Equal(rows, f.shown) {
		f.view.SetPeople(rows, f.selected)
		f.shown = slices.Clone(rows)
	} else if len(rows) > 0 {
		f.view.Select(f.selected)
	}
}

func (f *Find) emptyText() string {
	switch {
	case !f.world.Known:
		return ""
	case strings.TrimSpace(f.query) != "":
		return f.p.T("PopupFindNoMatch", "Query", strings.TrimSpace(f.query))
	default:
		return f.p.T("PopupFindNobody")
	}
}

// people are those whom one can write to, Everyone last.
func (f *Find) people() []chat.Person {
	people := make([]chat.Person, 0, len(f.world.People)+1)
	for _, p := range f.world.People {
		if p.Name != chat.Everyone && p.Name != f.world.Status.Name {
			people = append(people, p)
		}
	}
	if len(people) > 0 {
		people = append(people, chat.Person{Name: chat.Everyone})
	}
	return people
}

// matchName is the name under which somebody is found.
func (f *Find) matchName(p chat.Person) string {
	if p.Name == chat.Everyone {
		return f.p.T("PopupEveryone")
	}
	return p.Name
}

func (f *Find) row(person chat.Person) ui.Person {
	row := ui.Person{Name: f.matchName(person)}
	if person.Name == chat.Everyone {
		n := f.world.online()
		row.Detail, row.Online = f.p.T("PopupPeopleOnline", "Count", n), n > 0 && f.world.Status.Connection == chat.Online
	} else {
		row.Detail, row.Online = presence(f.world, person, f.p.T)
	}
	if person.Unread > 0 {
		row.Unread = strconv.Itoa(person.Unread)
		if person.Unread > 99 {
			row.Unread = "99+"
		}
		row.Label = f.p.T("PopupFindPersonUnread", "Name", row.Name, "Detail", row.Detail, "Unread", row.Unread)
	} else {
		row.Label = f.p.T("PopupFindPerson", "Name", row.Name, "Detail", row.Detail)
	}
	return row
}

// How well a name matches, best first.
const (
	matchPrefix = iota
	matchWord
	matchInside
	matchNone
)

// Rank returns those of people whose name contains query, whatever the case or
// width of the letters: names that begin with it first, then names with a word
// that does, then the others; among equals those with unread messages, then
// those online, then by name. The name is what naming says. People is not
// changed.
func Rank(people []chat.Person, query string, naming func(chat.Person) string) []chat.Person {
	type ranked struct {
		chat.Person
		match int
		key   string
	}
	query = fold(strings.TrimSpace(query))
	var list []ranked
	for _, p := range people {
		key := fold(naming(p))
		if m := match(key, query); m != matchNone {
			list = append(list, ranked{p, m, key})
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		return cmp.Or(
			cmp.Compare(a.match, b.match),
			// Everyone is no person, and stands below those who are.
			compareBool(b.Name == chat.Everyone, a.Name == chat.Everyone),
			compareBool(a.Unread > 0, b.Unread > 0),
			compareBool(a.Online && !a.Stale, b.Online && !b.Stale),
			cmp.Compare(a.key, b.key),
		)
	})
	result := make([]chat.Person, len(list))
	for i, r := range list {
		result[i] = r.Person
	}
	return result
}

// compareBool orders true before false.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// match says how well a folded name matches a folded query.
func match(name, query string) int {
	if strings.HasPrefix(name, query) {
		return matchPrefix
	}
	best := matchNone
	for rest, at := name, 0; ; {
		i := strings.Index(rest, query)
		if i < 0 {
			return best
		}
		best = matchInside
		at += i
		if before, _ := utf8.DecodeLastRuneInString(name[:at]); !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			return matchWord
		}
		_, size := utf8.DecodeRuneInString(name[at:])
		at += size
		rest = name[at:]
	}
}
