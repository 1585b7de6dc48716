package model

import (
	"maps"
	"slices"
	"strconv"
	"strings"

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

	index    *index
	closed   bool
	query    string
	several  bool          // who is chosen is picked
	picked   []string      // to whom one message is to go, in the order of choice
	found    []chat.Person // what the list shows
	selected int
	shown    []ui.Person
	hint, to string
	said     string // who was last said to be selected
}

// NewFind returns the model of a Find window. gone is called when the window
// is closed.
func NewFind(world *World, work Work, p *i18n.Printer, gone func()) *Find {
	return &Find{world: world, work: work, p: p, gone: gone, index: newIndex(), selected: -1}
}

// Spec is the fixed part of the window.
func (f *Find) Spec() ui.FindSpec {
	return ui.FindSpec{
		Title:       f.p.T("PopupFindTitle"),
		Size:        f.work.Size(KindFind),
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

// Several has the window choose several people for one message.
func (f *Find) Several() {
	if !f.several && !f.closed {
		f.several = true
		f.search()
	}
}

// Ready implements ui.Handler.
func (f *Find) Ready() { f.work.Trace("first frame") }

// Focus implements ui.Handler.
func (f *Find) Focus(active bool) {
	if active {
		f.work.Trace("ready for typing")
	}
}

// Resized implements ui.Handler.
func (f *Find) Resized(size ui.Size) { f.work.Resized(KindFind, size) }

// Edited implements ui.Handler: the best match is selected.
func (f *Find) Edited(text string) {
	if text == f.query || f.closed {
		return
	}
	if before, ok := cutComma(text); ok {
		f.comma(before, text)
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
		f.enter()
	case ui.KeyBackspace:
		if f.query != "" || len(f.picked) == 0 {
			return false
		}
		f.drop(len(f.picked) - 1)
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
	if len(f.picked) > 0 || f.several {
		f.Pick(index)
		return
	}
	f.work.Open(f.found[index].Name)
	f.close()
}

// Pick implements ui.FindHandler: another person is to get the same message, or
// is not after all.
func (f *Find) Pick(index int) {
	if f.closed || index < 0 || index >= len(f.found) || !isPerson(f.found[index].Name) {
		return
	}
	f.selected = index
	name := f.found[index].Name
	if i := slices.Index(f.picked, name); i >= 0 {
		f.drop(i)
		return
	}
	f.picked = append(f.picked, name)
	f.again()
}

// enter begins the message: to those who were picked, and whom was typed for.
func (f *Find) enter() {
	if len(f.picked) == 0 {
		f.Choose(f.selected)
		return
	}
	if strings.TrimSpace(f.query) != "" {
		if f.selected < 0 || !isPerson(f.found[f.selected].Name) {
			return // nobody of that name
		}
		if !slices.Contains(f.picked, f.found[f.selected].Name) {
			f.picked = append(f.picked, f.found[f.selected].Name)
		}
	}
	to := f.picked[0]
	if len(f.picked) > 1 {
		to = chat.SeveralPeer(f.picked)
	}
	f.work.Open(to)
	f.close()
}

// cutComma returns what was typed before a comma, Chinese or not, if it ends
// with one.
func cutComma(text string) (before string, ok bool) {
	for _, comma := range []string{",", ";", "，", "、", "；"} {
		if before, ok := strings.CutSuffix(text, comma); ok {
			return strings.TrimSpace(before), true
		}
	}
	return "", false
}

// comma picks whom the text before it finds, or who is selected if there is
// none. If that is nobody the text stays, and the list says so.
func (f *Find) comma(before, text string) {
	if before != f.query && before != "" {
		f.query, f.found, f.selected = before, nil, -1
		f.search()
	}
	if f.selected < 0 || !isPerson(f.found[f.selected].Name) {
		f.query, f.found, f.selected = text, nil, -1
		f.search()
		return
	}
	if name := f.found[f.selected].Name; !slices.Contains(f.picked, name) {
		f.picked = append(f.picked, name)
	}
	f.again()
}

// again takes away what was typed, which has done its work.
func (f *Find) again() {
	f.query = ""
	f.view.SetEntry("")
	f.search()
}

// drop takes somebody off those who were picked.
func (f *Find) drop(i int) {
	f.picked = slices.Delete(f.picked, i, i+1)
	f.search()
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
		f.say()
	}
}

// search fills the list.
func (f *Find) search() {
	keep := ""
	if f.selected >= 0 && f.selected < len(f.found) {
		keep = f.found[f.selected].Name
	}
	ranked := f.index.rank(f.people(), f.query, f.matchName)
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
	switch {
	case len(f.picked) > 0:
		hint = f.p.T("PopupFindPickedHint")
	case f.several:
		hint = f.p.T("PopupFindSeveralHint")
	case all > len(rows):
		hint = f.p.T("PopupFindMore", "Shown", len(rows), "All", all)
	}
	if hint != f.hint {
		f.hint = hint
		f.view.SetHint(hint)
	}
	to := ""
	if len(f.picked) > 0 {
		to = f.p.T("PopupFindTo", "Names", strings.Join(f.picked, ", "))
	}
	if to != f.to {
		f.to = to
		f.view.SetTo(to)
	}
	if f.shown == nil || !slices.Equal(rows, f.shown) {
		f.view.SetPeople(rows, f.selected)
		f.shown = slices.Clone(rows)
	} else if len(rows) > 0 {
		f.view.Select(f.selected)
	}
	f.say()
}

// say has a screen reader say who is selected, as the keyboard stays in the
// entry. What stands there when the window opens is not news.
func (f *Find) say() {
	who := f.emptyText()
	if f.selected >= 0 && f.selected < len(f.shown) {
		who = f.shown[f.selected].Label
	}
	if who != f.said && f.said != "" && who != "" {
		f.view.Announce(who)
	}
	f.said = who
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

// people are those whom one can write to, departments and Everyone last.
func (f *Find) people() []chat.Person {
	people := make([]chat.Person, 0, len(f.world.People)+8)
	departments := make(map[string]chat.Person)
	for _, p := range f.world.People {
		if !isPerson(p.Name) || p.Name == f.world.Status.Name {
			continue
		}
		people = append(people, p)
		if p.Department != "" {
			key := fold(p.Department)
			d, ok := departments[key]
			if !ok {
				d = chat.Person{Name: chat.DepartmentPeer(p.Department)}
			}
			d.Online = d.Online || p.Online && !p.Stale
			departments[key] = d
		}
	}
	if len(people) == 0 || len(f.picked) > 0 || f.several {
		return people // nobody else can be picked
	}
	for _, key := range slices.Sorted(maps.Keys(departments)) {
		people = append(people, departments[key])
	}
	return append(people, chat.Person{Name: chat.Everyone})
}

// matchName is the name under which somebody is found.
func (f *Find) matchName(p chat.Person) string {
	if p.Name == chat.Everyone {
		return f.p.T("PopupEveryone")
	}
	if department, ok := chat.DepartmentOf(p.Name); ok {
		return department
	}
	return p.Name
}

// members counts the people of a department.
func (f *Find) members(department string) (n int) {
	for _, p := range f.world.People {
		if p.Department != "" && fold(p.Department) == fold(department) && p.Name != f.world.Status.Name {
			n++
		}
	}
	return n
}

func (f *Find) row(person chat.Person) ui.Person {
	row := ui.Person{Name: f.matchName(person), Picked: slices.Contains(f.picked, person.Name)}
	if department, ok := chat.DepartmentOf(person.Name); ok {
		row.Detail = f.p.T("PopupFindDepartment", "Count", f.members(department), "Online", f.world.onlineOf(person.Name))
		row.Online = person.Online
	} else if person.Name == chat.Everyone {
		n := f.world.onlineOf(chat.Everyone)
		row.Detail, row.Online = f.p.T("PopupPeopleOnline", "Count", n), n > 0 && f.world.Status.Connection == chat.Online
	} else {
		row.Detail, row.Online = presence(f.world, person, f.p.T)
		if person.Display != "" && fold(person.Display) != fold(person.Name) {
			row.Name = person.Name + " · " + person.Display
		}
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
	if row.Picked {
		row.Label = f.p.T("PopupFindPicked", "Person", row.Label)
	}
	return row
}
