package client

import (
	"context"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// load fills what is known of people, the conversations and the outbox from the
// store.
func (e *Engine) load(ctx context.Context) error {
	conversations, err := e.config.Store.Conversations(ctx, conversationsShown)
	if err != nil {
		return err
	}
	known, err := e.config.Store.People(ctx)
	if err != nil {
		return err
	}
	own, ok, err := e.config.Store.Own(ctx)
	if err != nil {
		return err
	}
	outbox, err := e.config.Store.Outbox(ctx)
	if err != nil {
		return err
	}
	if ok {
		e.status.Own = normalOwn(own)
	}
	for _, k := range known {
		e.known[key(k.Name)] = k
	}
	for _, c := range conversations {
		p := e.personLocked(c.Peer)
		p.talked, p.unread, p.last = true, c.Unread, c.Last
		e.unread += c.Unread
	}
	e.status.Unread = e.unread
	e.loadOutbox(outbox)
	return nil
}

func (e *Engine) loadOutbox(outbox store.Outbox) {
	items := make(map[int64]*outItem, len(outbox.Items))
	for _, i := range outbox.Items {
		o := &outItem{Item: i, undelivered: make(map[string]bool)}
		items[i.ID] = o
		if i.Kind == store.KindText {
			e.texts[i.Message] = append(e.texts[i.Message], o)
			e.personLocked(i.Peer).talked = true
		}
	}
	for _, d := range outbox.Deliveries {
		o := items[d.Item]
		if o == nil {
			continue
		}
		k := key(d.Person)
		if o.Kind == store.KindText && (k == chat.Everyone || outbox.Undelivered[o.Message][k]) {
			o.undelivered[k] = true
		}
		e.enqueue(o, d)
	}
}

// personLocked returns the entry for a name, which is made if it is missing.
func (e *Engine) personLocked(name string) *person {
	k := key(name)
	p := e.people[k]
	if p == nil {
		p = &person{Person: p2p.Person{Name: name}}
		p.trust = judge(e.known[k], k, false, nil, now()).trust
		e.people[k] = p
	}
	return p
}
