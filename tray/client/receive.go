package client

import (
	"errors"
	"strings"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"

	"golang.org/x/time/rate"
)

var (
	errUntrusted = errors.New("the device is not trusted")
	errNotStored = errors.New("the item could not be stored")
)

// oldest is how long ago a message may claim to have been sent: longer than it
// can have waited.
const oldest = 2 * keepFor

// strangerLimit bounds what names that are on no roster can put into the
// history, for anyone can invent such names.
type strangerLimit struct{ *rate.Limiter }

func (l *strangerLimit) allow() bool {
	if l.Limiter == nil {
		l.Limiter = rate.NewLimiter(rate.Every(time.Second), 20)
	}
	return l.Allow()
}

// arrival is an item while it is being stored.
type arrival struct {
	p2p.Received
	name   string // the sender's, as the roster spells it
	own    bool   // from another device of the account
	change store.Change
	err    error // why nothing of it is stored
}

// receive stores an item, then says so to its sender, and then announces it.
func (e *Engine) receive(r p2p.Received) input {
	a := &arrival{Received: r}
	return input{
		prepare: func() []store.Change {
			e.mu.Lock()
			e.admitLocked(a)
			e.mu.Unlock()
			if a.change == nil {
				return nil
			}
			return []store.Change{a.change}
		},
		commit: func(err error) {
			if err != nil {
				a.err = errNotStored
			}
			if a.Done != nil {
				a.Done(a.err)
			}
			// Who was out of reach is not any more.
			if l := e.lanes[key(a.From)][a.Device]; l != nil && l.failing && a.Device != (identity.PublicKey{}) {
				l.rested()
				e.pump(l)
			}
			switch {
			case a.change == nil:
			case err == nil:
				e.arrived(a)
			case a.Done == nil:
				e.setStatus(func(s *chat.Status) { s.Problem = e.p.T("EngineNotStored", "Name", a.name) })
			default:
				e.setStatus(func(s *chat.Status) { s.Problem = e.p.T("EngineNoRoom", "Name", a.name) })
			}
		},
	}
}

// admitLocked decides about an item: what it changes, if anything.
func (e *Engine) admitLocked(a *arrival) {
	k := key(a.From)
	p := e.people[k]
	a.name = a.From
	if p != nil {
		a.name = p.Name
	}
	switch {
	case k == "" || isGroup(k):
		a.err = errUntrusted
	case a.Device == (identity.PublicKey{}):
		e.admitClassicLocked(a, k, p)
	case k == e.self:
		a.own, a.name = true, e.status.Name
		if !trusts(e.known[""], a.Device) {
			a.err = errUntrusted
			return
		}
		e.admitCopyLocked(a)
	case !trusts(e.known[k], a.Device):
		a.err = errUntrusted
	case a.Item.CopyOf != "" || a.Item.ID == (p2p.ItemID{}):
		a.err = e.refuse("EngineForeignCopy")
	default:
		e.admitSecureLocked(a, k)
	}
	if a.err != nil {
		e.log.Debug("an item was not taken", "from", a.From, "device", a.Device.ID().Short(), "error", a.err)
	}
}

// refuse is an answer to a sender whose item will never be taken.
func (e *Engine) refuse(id string, args ...any) error {
	return &refusal{e.p.T(id, args...)}
}

type refusal struct{ sentence string }

func (r *refusal) Error() string { return r.sentence }
func (r *refusal) Unwrap() error { return p2p.ErrRefusedItem }

// admitClassicLocked takes what proves nothing, unless it is nothing for the
// person: the echo of an own message, or one of too many from nobody.
func (e *Engine) admitClassicLocked(a *arrival, k string, p *person) {
	text, ok := a.Item.Body.(p2p.Text)
	if !ok || k == e.self {
		return
	}
	if p == nil && !e.strangers.allow() {
		e.log.Warn("messages of people who are on no roster were dropped, for there are too many")
		return
	}
	known := e.known[k]
	m := chat.Message{
		Peer: a.name, Sender: a.name, Text: text.Text, At: now(), State: chat.Received, Unread: true,
		// Whoever has devices would have proved it.
		Doubtful: !a.Known || len(known.Pins) > 0 && !known.Classic,
	}
	if a.Item.Audience.Kind == p2p.Everyone {
		m.Peer = chat.Everyone
	}
	a.change = &store.Add{Message: m}
}

// admitSecureLocked takes an item of a trusted device of somebody else.
func (e *Engine) admitSecureLocked(a *arrival, k string) {
	switch body := a.Item.Body.(type) {
	case p2p.Text:
		m := chat.Message{
			Peer: a.name, Sender: a.name, Text: body.Text, At: sentAt(a.Item.At), State: chat.Received,
			Unread: true, Urgent: body.Urgent, Secure: true, Audience: e.audience(a.Item.Audience),
		}
		if a.Item.Audience.Kind == p2p.Everyone {
			m.Peer = chat.Everyone
		}
		e.admitText(a, m, body)
	case p2p.Edit:
		if e.fitsItem(a, body.Text) {
			a.change = &store.Edit{Author: a.name, Of: body.Of, Text: body.Text, At: sentAt(a.Item.At)}
		}
	case p2p.Delete:
		a.change = &store.Delete{Author: a.name, Of: body.Of}
	case p2p.Seen:
		a.change = &store.Reach{Person: a.name, Of: body.Of}
	case p2p.Acknowledge:
		a.change = &store.Reach{Person: a.name, Of: []p2p.ItemID{body.Of}, Acknowledged: true}
	}
}

// admitCopyLocked takes what another device of the account has sent or seen.
func (e *Engine) admitCopyLocked(a *arrival) {
	if a.Item.CopyOf == "" || a.Item.ID == (p2p.ItemID{}) {
		a.err = e.refuse("EngineForeignCopy")
		return
	}
	peer := a.Item.CopyOf
	if p := e.people[key(peer)]; p != nil {
		peer = p.Name
	}
	switch body := a.Item.Body.(type) {
	case p2p.Text:
		m := chat.Message{
			Peer: peer, Sender: a.name, Text: body.Text, At: sentAt(a.Item.At), State: chat.Sent, Urgent: body.Urgent, Secure: true,
		}
		e.admitText(a, m, body)
		if add, ok := a.change.(*store.Add); ok {
			add.Recipients = copied(peer, a.Item.Audience)
		}
	case p2p.Edit:
		if e.fitsItem(a, body.Text) {
			a.change = &store.Edit{Of: body.Of, Text: body.Text, At: sentAt(a.Item.At)}
		}
	case p2p.Delete:
		a.change = &store.Delete{Of: body.Of}
	case p2p.Seen:
		a.change = &store.ReadItems{Peer: peer, Of: body.Of}
	case p2p.Acknowledge:
		a.change = &store.Acknowledged{Of: body.Of, Peer: peer}
	}
}

// copied are the receivers of a message that another device has sent, as far as
// the copy tells.
func copied(peer string, audience p2p.Audience) (list []chat.Recipient) {
	names, several := chat.SeveralOf(peer)
	switch {
	case several:
	case isGroup(peer):
		names = audience.Names
	default:
		names = []string{peer}
	}
	for _, name := range names {
		list = append(list, chat.Recipient{Name: name, State: chat.Sent})
	}
	return list
}

func (e *Engine) admitText(a *arrival, m chat.Message, body p2p.Text) {
	if e.fitsItem(a, body.Text) {
		a.change = &store.Add{Message: m, UID: a.Item.ID, ReplyTo: body.ReplyTo}
	}
}

func (e *Engine) fitsItem(a *arrival, text string) bool {
	if len(text) > p2p.MaxText {
		a.err = e.refuse("EngineLongText", "Limit", p2p.MaxText>>10)
	}
	return a.err == nil
}

// sentAt is when a message was sent, unless its sender's clock is impossible.
func sentAt(at time.Time) time.Time {
	if here := now(); at.After(here) || here.Sub(at) > oldest {
		return here
	}
	return at
}

// audience is a phrase about who else got a message.
func (e *Engine) audience(a p2p.Audience) string {
	switch a.Kind {
	case p2p.Department:
		return e.p.T("EngineAudienceDepartment", "Department", a.Department)
	case p2p.Several:
		names := a.Names[:min(len(a.Names), namesTold)]
		list := strings.Join(names, e.p.T("EngineAudienceComma"))
		if more := a.Count - len(names); more > 0 {
			return e.p.T("EngineAudienceMore", "Names", list, "Count", more)
		}
		return e.p.T("EngineAudienceSeveral", "Names", list)
	}
	return ""
}

// arrived announces what was stored.
func (e *Engine) arrived(a *arrival) {
	switch c := a.change.(type) {
	case *store.Add:
		if !c.Duplicate {
			e.announce(c.Message)
		}
	case *store.Edit:
		e.changed(c.Changed)
		if c.Changed != nil {
			e.amended(c.Changed.ID, store.KindEdit, c.Text)
		}
	case *store.Delete:
		e.changed(c.Changed)
		if c.Changed == nil {
			return
		}
		if c.Unread {
			e.nowRead(c.Changed.Peer, 1)
		}
		e.amended(c.Changed.ID, store.KindDelete, "")
	case *store.Reach:
		for _, m := range c.Changed {
			e.news.change(m)
			// Who has read it has it, whatever became of the acknowledgement.
			for _, o := range e.texts[m.ID] {
				delete(o.undelivered, key(a.name))
			}
			e.news.dirty[m.ID] = true
		}
	case *store.ReadItems:
		e.nowRead(a.Item.CopyOf, c.Count)
	case *store.Acknowledged:
		e.changed(c.Changed)
	}
}

func (e *Engine) changed(m *chat.Message) {
	if m != nil {
		e.news.change(*m)
	}
}

// announce shows a stored message, in either direction, and what it changes of
// its peer.
func (e *Engine) announce(m chat.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if sender := e.people[key(m.Sender)]; sender != nil {
		sender.typing = time.Time{}
	}
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
