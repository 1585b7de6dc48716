package client

import (
	"cmp"
	"slices"
	"strings"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// namesTold is how many people's names a receiver is told of those who got the
// same.
const namesTold = 16

// plan is how an item gets to its receivers.
type plan struct {
	recipients []chat.Recipient
	deliveries []store.Delivery
	audience   p2p.Audience
	secure     bool // a device is among those who get it
}

// addressee is somebody or some people to whom a message can go, as the roster
// spells it.
func (e *Engine) addressee(to string) (string, error) {
	if names, ok := chat.SeveralOf(to); ok {
		return e.several(names)
	}
	if department, ok := chat.DepartmentOf(to); ok {
		if len(e.members(department)) == 0 {
			return "", e.sentence(localapi.CodeUnknownPerson, "EngineEmptyDepartment", "Department", department)
		}
		return to, nil
	}
	if to == chat.Everyone {
		return to, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := key(to); k == e.self {
		return "", e.sentence(localapi.CodeUnknownPerson, "EngineYourself")
	} else if p := e.people[k]; p != nil && to != "" && !isGroup(k) {
		return p.Name, nil
	}
	return "", e.sentence(localapi.CodeUnknownPerson, "EngineUnknownPerson", "Name", to)
}

func (e *Engine) several(names []string) (string, error) {
	if len(names) > MaxSeveral {
		return "", e.sentence(localapi.CodeBadRequest, "EngineTooMany", "Limit", MaxSeveral)
	}
	var found []string
	for _, name := range names {
		name, err := e.addressee(name)
		if err != nil {
			return "", err
		}
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return chat.SeveralPeer(found), nil
}

// isGroup says of a folded name or a peer that it is no person's.
func isGroup(peer string) bool { return strings.HasPrefix(peer, ",") }

// members are the people of a department who were seen since the start.
func (e *Engine) members(department string) (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, p := range e.people {
		if k != e.self && p.Status.Department != "" && key(p.Status.Department) == key(department) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// plan works out how a message to a peer goes.
func (e *Engine) plan(peer string) plan {
	var p plan
	switch {
	case peer == chat.Everyone:
		p.audience = p2p.Audience{Kind: p2p.Everyone}
		p.deliveries = []store.Delivery{{Person: chat.Everyone}}
	case isGroup(peer):
		names, ok := chat.SeveralOf(peer)
		kind := p2p.Several
		department, isDepartment := chat.DepartmentOf(peer)
		if !ok && isDepartment {
			names, kind = e.members(department), p2p.Department
		}
		p = e.planFor(names)
		p.audience.Kind, p.audience.Department = kind, department
	default:
		p = e.planFor([]string{peer})
		p.audience = p2p.Audience{}
	}
	p.deliveries = append(p.deliveries, e.copies()...)
	return p
}

// planFor works out how something goes to people.
func (e *Engine) planFor(names []string) plan {
	p := plan{audience: p2p.Audience{Count: len(names), Names: names[:min(len(names), namesTold)]}}
	for _, name := range names {
		p.recipients = append(p.recipients, chat.Recipient{Name: name, State: chat.Sending})
		for _, device := range destinations(e.known[key(name)]) {
			p.secure = p.secure || device != (identity.PublicKey{})
			p.deliveries = append(p.deliveries, store.Delivery{Person: name, Device: device})
		}
	}
	return p
}

// devicesOf are deliveries to those devices of people that prove themselves.
func (e *Engine) devicesOf(names ...string) []store.Delivery {
	return slices.DeleteFunc(e.planFor(names).deliveries, func(d store.Delivery) bool { return d.Device == (identity.PublicKey{}) })
}

// copies are deliveries to the account's other devices.
func (e *Engine) copies() (list []store.Delivery) {
	for _, device := range e.others() {
		list = append(list, store.Delivery{Device: device})
	}
	return list
}

func (e *Engine) others() []identity.PublicKey {
	return slices.DeleteFunc(trusted(e.known[""]), func(d identity.PublicKey) bool { return d == e.config.Device })
}

// rerouted is an item whose destinations have changed.
type rerouted struct {
	item   *outItem
	change *store.Route
	drop   []*entry
}

// reroute works out what the devices that are trusted now change of how things
// go to a person: what has not reached anyone yet goes to all of them, and
// nothing goes to others.
func (e *Engine) reroute(k string) (list []rerouted) {
	if k == chat.Everyone {
		return nil
	}
	destination := e.others()
	if k != "" {
		destination = destinations(e.known[k])
	}
	seen := make(map[*outItem]bool)
	for _, l := range e.lanes[k] {
		for _, en := range l.entries {
			if !seen[en.item] {
				seen[en.item] = true
				if r, changed := e.rerouteItem(en.item, k, destination); changed {
					list = append(list, r)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b rerouted) int { return cmp.Compare(a.item.ID, b.item.ID) })
	return list
}

func (e *Engine) rerouteItem(o *outItem, k string, destination []identity.PublicKey) (rerouted, bool) {
	r := rerouted{item: o, change: &store.Route{Item: o.ID}}
	var have []identity.PublicKey
	name := ""
	for _, en := range o.entries {
		if en.lane.person != k || en.dropped {
			continue
		}
		if en.sent && en.to.Device == (identity.PublicKey{}) {
			return r, false // it has left, and can't be asked back
		}
		name = en.to.Person
		have = append(have, en.to.Device)
		if !slices.Contains(destination, en.to.Device) {
			r.drop = append(r.drop, en)
			r.change.Drop = append(r.change.Drop, en.to)
		}
	}
	if o.Kind == store.KindText && o.undelivered[k] {
		for _, device := range destination {
			if !slices.Contains(have, device) {
				r.change.Add = append(r.change.Add, store.Delivery{Item: o.ID, Person: name, Device: device})
			}
		}
	}
	return r, len(r.change.Add)+len(r.change.Drop) > 0
}

// rerouted does in memory what reroute has found.
func (e *Engine) rerouted(list []rerouted) {
	for _, r := range list {
		for _, d := range r.change.Add {
			e.enqueue(r.item, d)
		}
		for _, en := range r.drop {
			e.drop(en)
		}
	}
}

// spread works out how a message to everyone goes through a coordinator that
// carries none: to each who is online. It is nil if nobody is.
func (e *Engine) spread(en *entry) *store.Route {
	e.mu.Lock()
	var names []string
	for k, p := range e.people {
		if p.online && k != e.self && !isGroup(k) {
			names = append(names, p.Name)
		}
	}
	e.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	p := e.planFor(names)
	p.audience.Kind = p2p.Everyone
	for i := range p.deliveries {
		p.deliveries[i].Item = en.item.ID
	}
	return &store.Route{
		Item: en.item.ID, Message: en.item.Message, Drop: []store.Delivery{en.to},
		Add: p.deliveries, Recipients: p.recipients, Audience: p.audience,
	}
}

func (e *Engine) spreadOut(en *entry, route *store.Route) {
	o := en.item
	o.Audience = route.Audience
	delete(o.undelivered, chat.Everyone)
	e.news.reread(o.Message)
	for _, r := range route.Recipients {
		o.undelivered[key(r.Name)] = true
	}
	for _, d := range route.Add {
		e.enqueue(o, d)
		e.pump(e.lanes[key(d.Person)][d.Device])
	}
}
