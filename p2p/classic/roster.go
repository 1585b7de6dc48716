package classic

import (
	"net/netip"
	"slices"
	"strings"

	"earshot/p2p"
	"earshot/protocol/classic"
)

// roster is this client's copy of the list, itself left out.
type roster struct {
	own     string
	members map[string]netip.AddrPort // by name
}

func newRoster(own string) roster { return roster{own, make(map[string]netip.AddrPort)} }

// replace takes a new list. Names that no roster may hold are left out.
func (r *roster) replace(entries []classic.Entry) {
	clear(r.members)
	for _, e := range entries {
		if e.Name != r.own && classic.ValidateName(e.Name) == nil {
			r.members[e.Name] = e.Endpoint
		}
	}
}

// apply takes one change and returns what it means, or nil if nothing changed.
func (r *roster) apply(change classic.Message) p2p.Event {
	switch c := change.(type) {
	case classic.Login:
		if c.Name == r.own || classic.ValidateName(c.Name) != nil || r.members[c.Name] == c.Endpoint {
			return nil
		}
		r.members[c.Name] = c.Endpoint
		return p2p.Came{Person: p2p.Person{Name: c.Name, Addr: c.Endpoint}}
	case classic.Logout:
		if _, ok := r.members[c.Name]; !ok {
			return nil
		}
		delete(r.members, c.Name)
		return p2p.Left{Name: c.Name}
	}
	return nil
}

// people returns everyone, by name.
func (r *roster) people() []p2p.Person {
	list := make([]p2p.Person, 0, len(r.members))
	for name, addr := range r.members {
		list = append(list, p2p.Person{Name: name, Addr: addr})
	}
	slices.SortFunc(list, func(a, b p2p.Person) int { return strings.Compare(a.Name, b.Name) })
	return list
}
