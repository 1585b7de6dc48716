package client

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

func newID() (id p2p.ItemID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// text checks what is to be sent, and mends it.
func (e *Engine) text(text string) (string, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return "", e.sentence(localapi.CodeBadRequest, "EngineEmptyText")
	case len(text) > MaxText:
		return "", e.sentence(localapi.CodeBadRequest, "EngineLongText", "Limit", MaxText>>10)
	case !utf8.ValidString(text):
		return strings.ToValidUTF8(text, "\uFFFD"), nil
	}
	return text, nil
}

// fits checks a text against what the way allows.
func (e *Engine) fits(text string, secure bool) error {
	if secure && len(text) > p2p.MaxText {
		return e.sentence(localapi.CodeBadRequest, "EngineLongText", "Limit", p2p.MaxText>>10)
	}
	return nil
}

// outgoing is a message while it is being stored.
type outgoing struct {
	peer    string
	draft   chat.Draft
	add     *store.Add
	item    *outItem
	refused error
	waiter  chan chat.Message // nil if nobody waits
}

// Send implements localapi.Engine.
//
// The state of a message to several is that of the person who is furthest
// behind, those left out for whom it failed: it is Delivered when all have it.
func (e *Engine) Send(ctx context.Context, draft chat.Draft, wait bool) (chat.Message, error) {
	var err error
	if draft.Text, err = e.text(draft.Text); err != nil {
		return chat.Message{}, err
	}
	o := &outgoing{draft: draft}
	if o.peer, err = e.addressee(draft.To); err != nil {
		return chat.Message{}, err
	}
	if wait {
		o.waiter = make(chan chat.Message, 1)
	}
	stored := make(chan error, 1)
	err = e.ask(ctx, input{
		prepare: func() []store.Change { return e.prepareSend(o) },
		commit: func(err error) {
			if err == nil && o.refused == nil {
				e.commitSend(o)
			}
			stored <- err
		},
	})
	if err != nil {
		return chat.Message{}, err
	}
	select {
	case err = <-stored:
	case <-e.done:
		// The last round may have answered just before.
		select {
		case err = <-stored:
		default:
			return chat.Message{}, e.ending()
		}
	}
	switch {
	case err != nil:
		return chat.Message{}, e.sentence(localapi.CodeFailed, "EngineSendNotStored")
	case o.refused != nil:
		return chat.Message{}, o.refused
	case !wait:
		return o.add.Message, nil
	}
	select {
	case m := <-o.waiter:
		return m, nil
	case <-e.done:
		select {
		case m := <-o.waiter:
			return m, nil
		default:
			return o.add.Message, nil
		}
	case <-ctx.Done():
		return o.add.Message, ctx.Err()
	}
}

func (e *Engine) prepareSend(o *outgoing) []store.Change {
	p := e.plan(o.peer)
	status := e.Status()
	if o.refused = e.fits(o.draft.Text, p.secure || o.peer == chat.Everyone && status.Secure); o.refused != nil {
		return nil
	}
	item := &store.Item{
		UID: newID(), At: now(), Kind: store.KindText, Peer: o.peer,
		Text: o.draft.Text, Urgent: o.draft.Urgent, Audience: p.audience,
	}
	if o.draft.ReplyTo != 0 {
		answered, err := e.config.Store.Message(e.work, o.draft.ReplyTo)
		if err != nil {
			o.refused = e.sentence(localapi.CodeBadRequest, "EngineNoSuchMessage")
			return nil
		}
		if answered.UID != (p2p.ItemID{}) {
			item.Targets = []p2p.ItemID{answered.UID}
		}
	}
	o.item = &outItem{Item: item, undelivered: undelivered(p, o.peer)}
	o.add = &store.Add{
		Message: chat.Message{
			Peer: o.peer, Sender: status.Name, Text: item.Text, At: item.At, State: chat.Sending,
			ReplyTo: o.draft.ReplyTo, Urgent: item.Urgent,
		},
		UID: item.UID, Recipients: p.recipients, Item: item, Deliveries: p.deliveries,
	}
	return []store.Change{o.add}
}

func undelivered(p plan, peer string) map[string]bool {
	open := make(map[string]bool, len(p.recipients))
	for _, r := range p.recipients {
		open[key(r.Name)] = true
	}
	if peer == chat.Everyone {
		open[chat.Everyone] = true
	}
	return open
}

func (e *Engine) commitSend(o *outgoing) {
	m := o.add.Message
	e.announce(m)
	if o.waiter != nil {
		e.waiters[m.ID] = append(e.waiters[m.ID], o.waiter)
	}
	e.texts[m.ID] = append(e.texts[m.ID], o.item)
	e.dispatch(o.item, o.add.Deliveries)
}

// dispatch lets a stored item go.
func (e *Engine) dispatch(o *outItem, deliveries []store.Delivery) {
	for _, d := range deliveries {
		e.enqueue(o, d)
	}
	for _, d := range deliveries {
		if l := e.lanes[key(d.Person)][d.Device]; l != nil {
			e.pump(l)
		}
	}
}

// Retry implements localapi.Engine.
func (e *Engine) Retry(ctx context.Context, id int64) error {
	var requeue *store.Requeue
	var open map[string]bool
	err := e.do(ctx, input{
		alone: true,
		prepare: func() []store.Change {
			if requeue, open = e.requeue(id); requeue == nil {
				return nil
			}
			return []store.Change{requeue}
		},
		commit: func(err error) {
			if err != nil || requeue == nil {
				return
			}
			o := &outItem{Item: requeue.Item, undelivered: open}
			e.texts[id] = append(e.texts[id], o)
			e.news.change(*requeue.Message)
			e.dispatch(o, requeue.Deliveries)
		},
	})
	if err == nil && requeue == nil {
		return e.sentence(localapi.CodeBadRequest, "EngineNotFailed")
	}
	return err
}

// requeue is how a message goes again to those for whom it failed.
func (e *Engine) requeue(id int64) (*store.Requeue, map[string]bool) {
	row, err := e.config.Store.Message(e.work, id)
	if err != nil || row.State == chat.Received || row.Deleted {
		return nil, nil
	}
	recipients, err := e.config.Store.Recipients(e.work, id)
	if err != nil {
		return nil, nil
	}
	var names []string
	for _, r := range recipients {
		if r.State == chat.Failed {
			names = append(names, r.Name)
		}
	}
	whole := len(recipients) == 0 && row.State == chat.Failed
	if len(names) == 0 && !whole {
		return nil, nil
	}
	p := e.plan(row.Peer)
	audience := p.audience
	switch {
	case !whole:
		p = e.planFor(names)
	case row.Peer != chat.Everyone && isGroup(row.Peer):
		return nil, nil
	}
	item := &store.Item{
		UID: row.UID, At: row.At, Kind: store.KindText, Message: id, Peer: row.Peer,
		Text: row.Text, Urgent: row.Urgent, Audience: audience,
	}
	if item.UID == (p2p.ItemID{}) {
		item.UID = newID()
	}
	if row.ReplyTo != 0 {
		if answered, err := e.config.Store.Message(e.work, row.ReplyTo); err == nil && answered.UID != (p2p.ItemID{}) {
			item.Targets = []p2p.ItemID{answered.UID}
		}
	}
	return &store.Requeue{ID: id, Item: item, Deliveries: p.deliveries}, undelivered(p, row.Peer)
}

// Recipients implements localapi.Engine.
func (e *Engine) Recipients(ctx context.Context, id int64) ([]chat.Recipient, error) {
	list, err := e.config.Store.Recipients(ctx, id)
	if err == nil && len(list) == 0 {
		var row store.Row
		row, err = e.config.Store.Message(ctx, id)
		if err == nil && row.State != chat.Received && !isGroup(row.Peer) {
			list = []chat.Recipient{{Name: row.Peer, State: row.State, Problem: row.Problem}}
		}
	}
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.waiting[id]; w != nil {
		for i := range list {
			if problem, waits := w.people[key(list[i].Name)]; waits && list[i].State == chat.Sending {
				list[i].Waiting, list[i].Problem = true, problem
			}
		}
	}
	return list, nil
}

// History implements localapi.Engine.
func (e *Engine) History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	list, err := e.config.Store.History(ctx, peer, before, min(max(limit, 1), MaxHistory))
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range list {
		e.decorateLocked(&list[i])
	}
	return list, nil
}

// unreadable is a sentence about something that could not be read.
func (e *Engine) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, sql.ErrNoRows) {
		return e.sentence(localapi.CodeBadRequest, "EngineNoSuchMessage")
	}
	e.log.Error("the history could not be read", "error", err)
	return e.sentence(localapi.CodeFailed, "EngineHistoryFailed")
}
