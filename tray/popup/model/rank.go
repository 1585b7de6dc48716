package model

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"earshot/tray/chat"
)

// How well somebody matches a query, best first.
const (
	matchPrefix     = iota // the name begins with it
	matchWord              // a word of the name does
	matchInitials          // the initials of the name's pinyin do
	matchInside            // the name contains it
	matchDepartment        // a word of the department begins with it
	matchNone
)

// searched is what somebody is found by, made for comparing.
type searched struct {
	names      []string // as the roster calls the person, and as the person does
	initials   []string
	department string
}

// index remembers what people are found by, from one keystroke to the next.
type index struct {
	pinyin *pinyin
	known  map[identification]searched
}

// identification is all that searched is made of.
type identification struct{ name, display, department string }

func newIndex() *index {
	return &index{pinyin: newPinyin(), known: make(map[identification]searched)}
}

// of returns what somebody is found by whom naming calls so.
func (x *index) of(p chat.Person, naming func(chat.Person) string) searched {
	id := identification{naming(p), p.Display, p.Department}
	s, ok := x.known[id]
	if ok {
		return s
	}
	s = searched{names: []string{fold(id.name)}, department: fold(id.department)}
	if display := fold(id.display); display != "" && display != s.names[0] {
		s.names = append(s.names, display)
	}
	for _, name := range s.names {
		s.initials = append(s.initials, x.pinyin.initials(name)...)
	}
	x.known[id] = s
	return s
}

// rank returns those of people who match query, whatever the case or width of
// the letters, the best first: by name, by initials of its pinyin, by
// department; among equals those with unread messages, then by how available
// they are, then by name. The name is what naming says. People is not changed.
func (x *index) rank(people []chat.Person, query string, naming func(chat.Person) string) []chat.Person {
	type ranked struct {
		place, match, presence int
		name                   string
	}
	query = fold(strings.TrimSpace(query))
	list := make([]ranked, 0, len(people))
	for i, p := range people {
		s := x.of(p, naming)
		if m := s.match(query); m != matchNone {
			list = append(list, ranked{i, m, availability(p), s.names[0]})
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		if a.match != b.match {
			return cmp.Compare(a.match, b.match)
		}
		p, q := &people[a.place], &people[b.place]
		return cmp.Or(
			// What is no person stands below those who are.
			compareBool(isPerson(p.Name), isPerson(q.Name)),
			compareBool(q.Name == chat.Everyone, p.Name == chat.Everyone),
			compareBool(p.Unread > 0, q.Unread > 0),
			cmp.Compare(a.presence, b.presence),
			cmp.Compare(a.name, b.name),
		)
	})
	result := make([]chat.Person, len(list))
	for i, r := range list {
		result[i] = people[r.place]
	}
	return result
}

// availability orders people by whether they would read a message now.
func availability(p chat.Person) int {
	switch {
	case !p.Online || p.Stale:
		return 3
	case p.Presence == chat.Away:
		return 2
	case p.Presence == chat.Busy:
		return 1
	}
	return 0
}

// isPerson says that a name is one, and no addressee of several people.
func isPerson(name string) bool { return !strings.HasPrefix(name, ",") }

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

// match says how well a folded query matches.
func (s searched) match(query string) int {
	best := matchNone
	for _, name := range s.names {
		best = min(best, match(name, query))
	}
	for _, initials := range s.initials {
		if best > matchInitials && strings.HasPrefix(initials, query) {
			best = matchInitials
		}
	}
	if best == matchNone && s.department != "" && match(s.department, query) <= matchWord {
		best = matchDepartment
	}
	return best
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
