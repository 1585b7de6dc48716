package client

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

func key(name string) string { return classic.NameKey(name) }

// Status implements localapi.Engine.
func (e *Engine) Status() chat.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// Roster implements localapi.Engine.
func (e *Engine) Roster() []chat.Person {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rosterLocked()
}

func (e *Engine) rosterLocked() []chat.Person {
	list := make([]chat.Person, 0, len(e.people))
	folded := make(map[string]string, len(e.people))
	for k, p := range e.people {
		if (p.online || p.talked) && !isGroup(k) {
			list = append(list, e.viewLocked(p))
			folded[p.Name] = k
		}
	}
	slices.SortFunc(list, func(a, b chat.Person) int {
		return cmp.Or(
			first(a.Unread > 0, b.Unread > 0),
			first(a.Online, b.Online),
			strings.Compare(folded[a.Name], folded[b.Name]),
		)
	})
	return list
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

// viewLocked is a person as others see it.
func (e *Engine) viewLocked(p *person) chat.Person {
	known := e.known[key(p.Name)]
	view := chat.Person{
		Name: p.Name, Online: p.online, Unread: p.unread, LastMessage: p.last,
		Stale:      p.online && e.status.Connection != chat.Online,
		StatusText: p.Status.Text, Display: p.Status.Display, Department: p.Status.Department,
		Secure: len(known.Pins) > 0 && !known.Classic,
		Trust:  p.trust, Verified: p.trust == chat.TrustVerified, Typing: !p.typing.IsZero(),
		Favourite: len(e.liked) > 0 && e.liked[key(p.Name)],
		Route:     p.route, Connected: p.online && len(p.routes) > 0, Unreachable: p.unreachable,
	}
	if p.online {
		view.Presence = presence(p.Status.Presence)
	}
	if p.Addr.IsValid() {
		view.Address = p.Addr.String()
	}
	return view
}

// forgetLocked bounds the memory of people who were here once and to whom
// nobody talked.
func (e *Engine) forgetLocked() {
	if len(e.people) <= peopleRemembered {
		return
	}
	maps.DeleteFunc(e.people, func(_ string, p *person) bool { return !p.online && !p.talked })
}

// transport is what the network tells. It runs on a goroutine of the
// network's and waits while the engine is busy.
func (e *Engine) transport(event p2p.Event) {
	switch event := event.(type) {
	case p2p.Received:
		e.post(e.receive(event))
	case p2p.Connected:
		e.post(e.connected(event))
	case p2p.Came:
		e.post(e.came(event.Person))
	case p2p.SelfChanged:
		e.post(e.selfChanged(event.Person))
	case p2p.Connecting:
		e.post(act(func() { e.setStatus(func(s *chat.Status) { s.Connection = chat.Connecting }) }))
	case p2p.Disconnected:
		e.post(act(func() { e.disconnected(event) }))
	case p2p.Left:
		e.post(act(func() { e.left(event.Name) }))
	case p2p.Typing:
		e.post(act(func() { e.typing(event) }))
	case p2p.Reached:
		e.post(act(func() { e.reached(event) }))
	}
}

// setStatus changes the status and tells everyone, if it is a change.
func (e *Engine) setStatus(change func(*chat.Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setStatusLocked(change)
}

func (e *Engine) setStatusLocked(change func(*chat.Status)) {
	before := e.status
	change(&e.status)
	if e.status != before {
		e.publishLocked(chat.Event{Type: chat.EventStatus, Status: new(e.status)})
	}
}

// connected replaces the roster. Whoever came or went while the coordinator
// was away is told of; at the first login nobody did.
func (e *Engine) connected(c p2p.Connected) input {
	var meetings []*meeting
	return input{
		alone: true,
		prepare: func() (changes []store.Change) {
			e.mu.Lock()
			e.self = key(c.Self.Name)
			e.mu.Unlock()
			meetings = append(meetings, e.meet("", c.Self))
			for _, p := range c.Roster {
				if k := key(p.Name); k != e.self && !isGroup(k) && k != "" {
					meetings = append(meetings, e.meet(k, p))
				}
			}
			for _, m := range meetings {
				changes = append(changes, m.changes()...)
			}
			return changes
		},
		commit: func(error) {
			e.replaceRoster(c, meetings)
			for _, m := range meetings {
				e.met(m)
			}
			if c.FirstUse != (identity.ID{}) {
				e.notice("", e.p.T("EngineFirstUse", "Server", cmp.Or(c.Server, e.server)))
			}
			e.quieten() // the computer may have slept
			// Everything is tried again, and what can't go is told of.
			for _, lanes := range e.lanes {
				for _, l := range lanes {
					l.rested()
					e.pump(l)
				}
			}
		},
	}
}

func (e *Engine) replaceRoster(c p2p.Connected, meetings []*meeting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := make(map[string]*meeting, len(meetings))
	for _, m := range meetings {
		now[m.key] = m
	}
	var came, gone []*person
	for k, p := range e.people {
		if now[k] == nil && p.online {
			e.wentLocked(k, p)
			gone = append(gone, p)
		}
	}
	for _, m := range meetings {
		if m.key == "" {
			continue
		}
		p := e.personLocked(m.person.Name)
		if !p.online {
			came = append(came, p)
		}
		e.arrivedLocked(p, m)
	}
	e.setStatusLocked(func(s *chat.Status) {
		s.Connection, s.Name, s.Server, s.Problem = chat.Online, c.Self.Name, cmp.Or(c.Server, s.Server), ""
		s.Secure, s.Fingerprint = c.Secure, ""
		if c.FirstUse != (identity.ID{}) {
			s.Fingerprint = c.FirstUse.String()
		}
	})
	e.publishLocked(chat.Event{Type: chat.EventRoster, Roster: e.rosterLocked()})
	if e.everOn {
		e.differencesLocked(chat.EventLogout, gone)
		e.differencesLocked(chat.EventLogin, came)
	}
	e.everOn = true
	e.forgetLocked()
}

func (e *Engine) differencesLocked(t chat.EventType, people []*person) {
	slices.SortFunc(people, func(a, b *person) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range people {
		e.publishLocked(chat.Event{Type: t, Person: new(e.viewLocked(p))})
	}
}

func (e *Engine) disconnected(d p2p.Disconnected) {
	e.mu.Lock()
	was := e.status.Connection
	e.setStatusLocked(func(s *chat.Status) {
		s.Connection, s.Problem = chat.Offline, e.problem(d)
	})
	if was == chat.Online {
		e.publishLocked(chat.Event{Type: chat.EventRoster, Roster: e.rosterLocked()})
	}
	e.mu.Unlock()
	e.pumpAll(chat.Everyone)
}

// problem is why the client isn't online, in the person's language.
func (e *Engine) problem(d p2p.Disconnected) string {
	server := e.server
	switch {
	case d.Cause == nil:
		return e.p.T("EngineOffline", "Server", server)
	case errors.Is(d.Cause, p2p.ErrIdentity):
		return e.p.T("EngineWrongCoordinator", "Server", server)
	case errors.Is(d.Cause, p2p.ErrRefused):
		return e.p.T("EngineRefused", "Reason", e.refusal(d.Cause))
	case d.Retry.IsZero():
		return e.p.T("EngineGaveUp", "Reason", reason(d.Cause))
	case errors.Is(d.Cause, p2p.ErrNoAnswer):
		return e.p.T("EngineNoAnswer", "Server", server)
	default:
		return e.p.T("EngineOffline", "Server", server)
	}
}

// refusal is why a coordinator lets nobody in, in the person's language as far
// as it is one of the known reasons.
func (e *Engine) refusal(cause error) string {
	sentence := reason(cause)
	known, ok := errors.AsType[p2p.Refusal](cause)
	if !ok {
		return sentence
	}
	var id string
	switch known.Reason() {
	case "VERSION":
		id = "EngineRefusedVersion"
	case "NAME_TAKEN":
		id = "EngineRefusedNameTaken"
	case "OTHER_ACCOUNT":
		id = "EngineRefusedOtherAccount"
	case "INVITE_NEEDED":
		id = "EngineRefusedInviteNeeded"
	case "INVITE_INVALID":
		id = "EngineRefusedInviteInvalid"
	case "AWAITING_APPROVAL":
		id = "EngineRefusedAwaitingApproval"
	case "DEVICE_REMOVED":
		id = "EngineRefusedDeviceRemoved"
	case "JOIN_FAILED":
		id = "EngineRefusedJoinFailed"
	case "SHUTDOWN":
		id = "EngineRefusedShutdown"
	case "REPLACED":
		id = "EngineRefusedReplaced"
	default: // the coordinator knows best
		return sentence
	}
	return e.p.T(id)
}

// reason is an error of the network without the names of its families, which
// are for programs.
func reason(err error) string {
	text := err.Error()
	for _, family := range []error{p2p.ErrRefusedItem, p2p.ErrRefused, p2p.ErrNoAnswer, p2p.ErrUnreachable, p2p.ErrNotConnected, p2p.ErrNotSupported, p2p.ErrTransport} {
		text = strings.TrimPrefix(text, family.Error()+": ")
	}
	return text
}

// came is a person who is there now, or is changed.
func (e *Engine) came(n p2p.Person) input {
	var m *meeting
	return input{
		alone: true,
		prepare: func() []store.Change {
			if k := key(n.Name); k != e.self && !isGroup(k) && k != "" { // nobody hears of himself
				m = e.meet(k, n)
				return m.changes()
			}
			return nil
		},
		commit: func(error) {
			if m == nil {
				return
			}
			e.mu.Lock()
			p := e.personLocked(n.Name)
			was, before, told := p.online, p.Person, e.viewLocked(p)
			e.arrivedLocked(p, m)
			switch view := e.viewLocked(p); {
			case !was:
				e.publishLocked(chat.Event{Type: chat.EventLogin, Person: &view})
			case view != told:
				e.publishLocked(chat.Event{Type: chat.EventPerson, Person: &view})
			}
			e.mu.Unlock()
			e.met(m)
			for device, l := range e.lanes[m.key] {
				if !was || !isOnline(before, device) {
					l.rested()
				}
			}
			e.pumpAll(m.key)
		},
	}
}

func (e *Engine) pumpAll(k string) {
	for _, l := range e.lanes[k] {
		e.pump(l)
	}
}

// arrivedLocked makes a person one who is online.
func (e *Engine) arrivedLocked(p *person, m *meeting) {
	if !p.online {
		p.unreachable = "" // it may be somewhere else now
	}
	p.Person, p.online, p.trust, p.fresh = m.person, true, m.verdict.trust, m.verdict.fresh
	maps.DeleteFunc(p.routes, func(device identity.PublicKey, _ p2p.Route) bool {
		return !slices.ContainsFunc(p.Devices, func(d p2p.Device) bool { return d.Key == device })
	})
}

// wentLocked makes a person one who is offline.
func (e *Engine) wentLocked(k string, p *person) {
	p.online, p.typing = false, time.Time{}
	if p.trust != chat.TrustChanged {
		p.trust = judge(e.known[k], k, false, nil, now()).trust
	}
}

func (e *Engine) left(name string) {
	k := key(name)
	e.mu.Lock()
	p := e.people[k]
	if p == nil || !p.online {
		e.mu.Unlock()
		return
	}
	e.wentLocked(k, p)
	e.publishLocked(chat.Event{Type: chat.EventLogout, Person: new(e.viewLocked(p))})
	e.forgetLocked()
	e.mu.Unlock()
	e.pumpAll(k)
}

func (e *Engine) typing(t p2p.Typing) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.people[key(t.From)]
	if p == nil {
		return
	}
	until := time.Time{}
	if t.Active {
		until = now().Add(p2p.TypingFor)
		e.wakeBy(until)
	}
	e.typesLocked(p, until)
}

// typesLocked sets until when a person types.
func (e *Engine) typesLocked(p *person, until time.Time) {
	changed := p.typing.IsZero() != until.IsZero()
	p.typing = until
	if changed {
		e.publishLocked(chat.Event{Type: chat.EventPerson, Person: new(e.viewLocked(p))})
	}
}

// typingOver takes back the signs of typing that nobody has repeated.
func (e *Engine) typingOver(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.people {
		switch {
		case p.typing.IsZero():
		case p.typing.After(at):
			e.wakeBy(p.typing)
		default:
			e.typesLocked(p, time.Time{})
		}
	}
}

func (e *Engine) notice(peer, sentence string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publishLocked(chat.Event{Type: chat.EventNotice, Peer: peer, Notice: sentence})
}

func (e *Engine) personChangedLocked(p *person) {
	if !isGroup(p.Name) {
		e.publishLocked(chat.Event{Type: chat.EventPerson, Person: new(e.viewLocked(p))})
	}
	e.setStatusLocked(func(s *chat.Status) { s.Unread = e.unread })
}
