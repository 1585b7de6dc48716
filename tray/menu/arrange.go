package menu

import (
	"cmp"
	"slices"
	"strings"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// smallOffice is how many people are simply listed. A larger one has sections.
const smallOffice = 20

// How many rows a section may have, so that it leaves room for the next.
const (
	maxUnread     = 8
	maxFavourites = 8
	maxRecent     = 6
)

// arrange puts people where one looks for them. A few are one list. Of many,
// those who wrote something unread come first, then favourites, then those with
// whom one talked last; all others are in their departments' submenus, or in a
// list where nobody says which department.
func arrange(p *i18n.Printer, status chat.Status, roster []chat.Person, all *[slots]row) {
	a := arranging{p: p, secure: status.Secure, all: all, next: slotPeople, placed: make(map[string]bool, maxPeople)}
	people := sorted(roster)
	if len(people) == 0 {
		all[slotPeople] = row{title: p.T("MenuNobody")}
		return
	}
	if len(people) <= smallOffice {
		a.section("", people, maxPeople)
		return
	}
	a.section("", pick(people, func(s *standing) bool { return s.Unread > 0 }), maxUnread)
	a.section("MenuFavourites", pick(people, func(s *standing) bool { return s.Favourite }), maxFavourites)
	recent := pick(people, func(s *standing) bool { return !s.LastMessage.IsZero() })
	slices.SortStableFunc(recent, func(a, b *standing) int { return b.LastMessage.Compare(a.LastMessage) })
	a.section("MenuRecent", recent, maxRecent)
	var more int
	if departments := departments(people); len(departments) > 0 {
		more = a.groups(departments, status.Own.Department)
	} else {
		heading := "MenuOthers"
		if len(a.placed) == 0 {
			heading = ""
		}
		a.section(heading, pick(people, func(s *standing) bool { return s.Online }), maxPeople)
		more = len(people) - len(a.placed)
	}
	if more > 0 {
		all[slotMore] = row{title: p.T("MenuMore", "Count", more), kind: compose}
	}
}

// standing is a person and the name by which it is put in order.
type standing struct {
	*chat.Person
	folded string
}

// sorted puts people in the order of a list: who wrote something unread, who is
// online – favourites, then those with whom one talks, then by name – and then
// who is offline.
func sorted(roster []chat.Person) []*standing {
	people, list := make([]*standing, len(roster)), make([]standing, len(roster))
	for i := range roster {
		list[i] = standing{&roster[i], strings.ToLower(roster[i].Name)}
		people[i] = &list[i]
	}
	rank := func(s *standing) int {
		switch {
		case s.Unread > 0:
			return 0
		case s.Online && s.Favourite:
			return 1
		case s.Online:
			return 2
		case s.Favourite:
			return 3
		}
		return 4
	}
	slices.SortStableFunc(people, func(a, b *standing) int {
		if by := cmp.Compare(rank(a), rank(b)); by != 0 {
			return by
		}
		if by := b.LastMessage.Compare(a.LastMessage); by != 0 {
			return by
		}
		return cmp.Compare(a.folded, b.folded)
	})
	return people
}

func pick(people []*standing, of func(*standing) bool) (picked []*standing) {
	for _, s := range people {
		if of(s) {
			picked = append(picked, s)
		}
	}
	return picked
}

// arranging is a menu that is being filled.
type arranging struct {
	p      *i18n.Printer
	secure bool
	all    *[slots]row
	next   int             // the first slot that is free
	placed map[string]bool // who stands somewhere
}

// section adds those of people who don't stand above, below a heading.
func (a *arranging) section(heading string, people []*standing, most int) {
	people = pick(people, func(s *standing) bool { return !a.placed[s.Name] })
	room := min(most, slotPeople+maxPeople-a.next)
	headed := heading != ""
	if headed {
		room = min(most, slotPeople+maxPeople-a.next-1)
	}
	if len(people) == 0 || room < 1 {
		return
	}
	if headed {
		a.heading(heading)
	}
	for _, s := range people[:min(len(people), room)] {
		a.all[a.next] = a.row(s)
		a.placed[s.Name] = true
		a.next++
	}
}

// heading adds a row that can't be chosen, if there is room.
func (a *arranging) heading(id string) {
	if a.next < slotPeople+maxPeople {
		a.all[a.next] = row{title: a.p.T(id)}
		a.next++
	}
}

func (a *arranging) row(s *standing) row {
	return row{title: title(a.p, a.secure, *s.Person), kind: compose, value: s.Name}
}

// department is some people who are online and say that they belong together.
type department struct {
	name   string // empty for those who say nothing
	folded string
	people []*standing
}

// departments returns those of which somebody is online, by name; nil if nobody
// says anything.
func departments(people []*standing) (all []department) {
	index := make(map[string]int)
	for _, s := range people {
		if !s.Online {
			continue
		}
		folded := strings.ToLower(s.Department)
		i, known := index[folded]
		if !known {
			i = len(all)
			index[folded] = i
			all = append(all, department{name: s.Department, folded: folded})
		}
		all[i].people = append(all[i].people, s)
	}
	if _, silent := index[""]; silent && len(all) == 1 {
		return nil
	}
	slices.SortFunc(all, func(a, b department) int {
		return cmp.Or(first(a.name != "", b.name != ""), cmp.Compare(a.folded, b.folded))
	})
	return all
}

// first puts what holds before what doesn't.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// groups adds a submenu for each department: the person's own, and the largest,
// if there are too many. It returns how many people are in the others.
func (a *arranging) groups(departments []department, own string) (more int) {
	own = strings.ToLower(own)
	if len(departments) > maxGroups {
		by := slices.Clone(departments)
		slices.SortStableFunc(by, func(a, b department) int {
			return cmp.Or(first(a.folded == own && own != "", b.folded == own && own != ""), cmp.Compare(len(b.people), len(a.people)))
		})
		kept := by[:maxGroups]
		for _, d := range by[maxGroups:] {
			more += len(d.people)
		}
		departments = slices.DeleteFunc(departments, func(d department) bool {
			return !slices.ContainsFunc(kept, func(k department) bool { return k.folded == d.folded })
		})
	}
	a.heading("MenuDepartments")
	for i, d := range departments {
		a.group(i, d)
	}
	return more
}

func (a *arranging) group(i int, d department) {
	name, peer := shorten(d.name, maxWidth), chat.DepartmentPeer(d.name)
	if d.name == "" {
		name, peer = a.p.T("MenuNoDepartment"), ""
	}
	// By name, so that one finds somebody; of too many, those with whom one talks.
	people := slices.Clone(d.people)
	slices.SortStableFunc(people, func(a, b *standing) int { return b.LastMessage.Compare(a.LastMessage) })
	shown := people[:min(len(people), maxMembers)]
	slices.SortStableFunc(shown, func(a, b *standing) int { return cmp.Compare(a.folded, b.folded) })

	a.all[slotGroups+i] = row{title: a.p.T("MenuGroup", "Name", name, "Count", len(d.people)), kind: open, value: d.folded}
	slot, end := members(i)
	if peer != "" {
		a.all[slot] = row{title: a.p.T("MenuAllOf", "Name", name), kind: compose, value: peer}
	}
	for _, s := range shown {
		slot++
		a.all[slot] = a.row(s)
	}
	if more := len(people) - len(shown); more > 0 {
		a.all[end-1] = row{title: a.p.T("MenuMore", "Count", more), kind: compose}
	}
}
