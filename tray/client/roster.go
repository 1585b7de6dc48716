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
	"earshot/tray/chat"
	"earshot/tray/store"

	"golang.org/x/time/rate"
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
		if (p.online || p.talked) && k != chat.Everyone {
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
	view := chat.Person{
		Name: p.Name, Online: p.online, Unread: p.unread, LastMessage: p.last,
		Stale: p.online && e.status.Connection != chat.Online,
	}
	if p.Addr.IsValid() {
		view.Address = p.Addr.String()
	}
	return view
}

// personLocked returns the entry for a name, which is made if it is missing.
func (e *Engine) personLocked(name string) *person {
	k := key(name)
	p := e.people[k]
	if p == nil {
		p = &person{Person: p2p.Person{Name: name}}
		e.people[k] = p
	}
	return p
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
	if received, ok := event.(p2p.Received); ok {
		e.post(e.receive(received))
		return
	}
	e.post(act(func() {
		switch event := event.(type) {
		case p2p.Connecting:
			e.setStatus(func(s *chat.Status) { s.Connection = chat.Connecting })
		case p2p.Connected:
			e.connected(event)
			e.deliverAll()
		case p2p.Disconnected:
			e.disconnected(event)
		case p2p.Came:
			e.came(event.Person)
			e.deliver(key(event.Person.Name))
		case p2p.Left:
			e.left(event.Name)
		}
	}))
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
func (e *Engine) connected(c p2p.Connected) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.self = key(c.Self.Name)
	now := make(map[string]p2p.Person, len(c.Roster))
	for _, p := range c.Roster {
		if k := key(p.Name); k != e.self {
			now[k] = p
		}
	}
	var came, gone []*person
	for k, p := range e.people {
		if _, online := now[k]; p.online && !online {
			p.online = false
			gone = append(gone, p)
		}
	}
	for k, n := range now {
		p := e.personLocked(n.Name)
		if !p.online {
			came = append(came, e.people[k])
		}
		p.Person, p.online = n, true
	}
	e.setStatusLocked(func(s *chat.Status) {
		s.Connection, s.Name, s.Server, s.Problem = chat.Online, c.Self.Name, cmp.Or(c.Server, s.Server), ""
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
	defer e.mu.Unlock()
	was := e.status.Connection
	e.setStatusLocked(func(s *chat.Status) {
		s.Connection, s.Problem = chat.Offline, e.problem(d)
	})
	if was == chat.Online {
		e.publishLocked(chat.Event{Type: chat.EventRoster, Roster: e.rosterLocked()})
	}
}

// problem is why the client isn't online, in the person's language.
func (e *Engine) problem(d p2p.Disconnected) string {
	server := e.config.Server
	switch {
	case d.Cause == nil:
		return e.p.T("EngineOffline", "Server", server)
	case errors.Is(d.Cause, p2p.ErrRefused):
		return e.p.T("EngineRefused", "Reason", reason(d.Cause))
	case d.Retry.IsZero():
		return e.p.T("EngineGaveUp", "Reason", reason(d.Cause))
	case errors.Is(d.Cause, p2p.ErrNoAnswer):
		return e.p.T("EngineNoAnswer", "Server", server)
	default:
		return e.p.T("EngineOffline", "Server", server)
	}
}

// reason is an error of the network without the names of its families, which
// are for programs.
func reason(err error) string {
	text := err.Error()
	for _, family := range []error{p2p.ErrRefused, p2p.ErrNoAnswer, p2p.ErrUnreachable, p2p.ErrNotConnected, p2p.ErrTransport} {
		text = strings.TrimPrefix(text, family.Error()+": ")
	}
	return text
}

func (e *Engine) came(n p2p.Person) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key(n.Name) == e.self {
		return // nobody hears of himself
	}
	p := e.personLocked(n.Name)
	t := chat.EventLogin
	if p.online {
		if p.Person.Equal(n) {
			return
		}
		t = chat.EventPerson
	}
	p.Person, p.online = n, true
	e.publishLocked(chat.Event{Type: t, Person: new(e.viewLocked(p))})
}

func (e *Engine) left(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.people[key(name)]
	if p == nil || !p.online {
		return
	}
	p.online = false
	e.publishLocked(chat.Event{Type: chat.EventLogout, Person: new(e.viewLocked(p))})
	e.forgetLocked()
}

// strangerLimit bounds what names that are on no roster can put into the
// history, for anyone can invent such names.
type strangerLimit struct{ *rate.Limiter }

func (l *strangerLimit) allow() bool {
	if l.Limiter == nil {
		l.Limiter = rate.NewLimiter(rate.Every(time.Second), 20)
	}
	return l.Allow()
}

// receive stores a message and then announces it.
func (e *Engine) receive(r p2p.Received) input {
	var added *store.Add
	return input{
		prepare: func() []store.Change {
			m, ok := e.incoming(r)
			if !ok {
				return nil
			}
			added = &store.Add{Message: m}
			return []store.Change{added}
		},
		commit: func(err error) {
			switch {
			case added == nil:
			case err != nil:
				e.setStatus(func(s *chat.Status) { s.Problem = e.p.T("EngineNotStored", "Name", added.Message.Sender) })
			default:
				e.announce(added.Message)
			}
		},
	}
}

// incoming is the message that was received, unless it is none for the person:
// the echo of an own one, or one of too many from nobody.
func (e *Engine) incoming(r p2p.Received) (chat.Message, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := key(r.From)
	if k == e.self || k == chat.Everyone || k == "" {
		return chat.Message{}, false
	}
	text, ok := r.Item.Body.(p2p.Text)
	if !ok {
		return chat.Message{}, false
	}
	m := chat.Message{
		Peer: r.From, Sender: r.From, Text: text.Text, At: time.Now(),
		State: chat.Received, Unread: true, Doubtful: !r.Known,
	}
	p := e.people[k]
	if p == nil && !e.strangers.allow() {
		e.log.Warn("messages of people who are on no roster were dropped, for there are too many")
		return chat.Message{}, false
	}
	if p != nil {
		m.Peer, m.Sender = p.Name, p.Name
	}
	if r.Item.Audience.Kind == p2p.Everyone {
		m.Peer = chat.Everyone
	}
	return m, true
}

// announce shows a stored message, in either direction, and what it changes of
// its peer.
func (e *Engine) announce(m chat.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.personLocked(m.Peer)
	p.talked = true
	p.last = m.At
	if m.Unread {
		p.unread++
		e.unread++
	}
	e.publishLocked(chat.Event{Type: chat.EventMessage, Message: &m})
	e.personChangedLocked(p)
}

func (e *Engine) personChangedLocked(p *person) {
	if p.Name != chat.Everyone {
		e.publishLocked(chat.Event{Type: chat.EventPerson, Person: new(e.viewLocked(p))})
	}
	e.setStatusLocked(func(s *chat.Status) { s.Unread = e.unread })
}
