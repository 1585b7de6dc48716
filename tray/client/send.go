package client

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/protocol/identity"
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

// own reads a message of the person's own that is to be changed. It returns who
// has it or may get it.
func (e *Engine) own(id int64) (row store.Row, names []string, err error) {
	row, err = e.config.Store.Message(e.work, id)
	if err != nil || row.State == chat.Received || row.Deleted {
		return row, nil, e.sentence(localapi.CodeBadRequest, "EngineNotYours")
	}
	recipients, err := e.config.Store.Recipients(e.work, id)
	if err != nil {
		return row, nil, e.sentence(localapi.CodeFailed, "EngineHistoryFailed")
	}
	// What has gone by the classic protocol can't be changed any more.
	can := row.Secure || row.State == chat.Sending || row.State == chat.Failed ||
		slices.ContainsFunc(recipients, func(r chat.Recipient) bool { return r.State == chat.Delivered || r.State == chat.Read })
	if !can || row.UID == (p2p.ItemID{}) {
		return row, nil, e.sentence(localapi.CodeBadRequest, "EngineClassicSent")
	}
	for _, r := range recipients {
		names = append(names, r.Name)
	}
	return row, names, nil
}

// amend is a change of an own message, with the item that tells the others.
func (e *Engine) amend(ctx context.Context, id int64, kind store.Kind, text string) error {
	var refused error
	var change store.Change
	var changed **chat.Message
	var queue *store.Queue
	err := e.do(ctx, input{
		alone: true,
		prepare: func() []store.Change {
			var row store.Row
			var names []string
			if row, names, refused = e.own(id); refused != nil {
				return nil
			}
			deliveries := e.devicesOf(names...)
			if refused = e.fits(text, len(deliveries) > 0); refused != nil {
				return nil
			}
			item := &store.Item{
				UID: newID(), At: now(), Kind: kind, Message: id, Peer: row.Peer, Targets: []p2p.ItemID{row.UID}, Text: text,
			}
			if kind == store.KindEdit {
				edit := &store.Edit{Of: row.UID, Text: text, At: item.At}
				change, changed = edit, &edit.Changed
			} else {
				remove := &store.Delete{Of: row.UID}
				change, changed = remove, &remove.Changed
			}
			queue = &store.Queue{Item: item, Deliveries: append(deliveries, e.copies()...)}
			return []store.Change{change, queue}
		},
		commit: func(err error) {
			if err != nil || refused != nil {
				return
			}
			e.amended(id, kind, text)
			if *changed != nil {
				e.news.change(**changed)
			}
			e.dispatch(&outItem{Item: queue.Item}, queue.Deliveries)
		},
	})
	if err != nil {
		return err
	}
	return refused
}

// amended changes what of a message is still on its way.
func (e *Engine) amended(id int64, kind store.Kind, text string) {
	for _, o := range slices.Clone(e.texts[id]) {
		if kind == store.KindEdit {
			o.Text = text
			continue
		}
		clear(o.undelivered)
		for _, en := range slices.Clone(o.entries) {
			e.drop(en)
		}
	}
	if kind != store.KindDelete {
		return
	}
	// Nobody needs the edits of what is gone either.
	for _, lanes := range e.lanes {
		for _, l := range lanes {
			for _, en := range slices.Clone(l.entries) {
				if en.item.Message == id && en.item.Kind == store.KindEdit {
					e.drop(en)
				}
			}
		}
	}
}

// Edit implements localapi.Engine.
func (e *Engine) Edit(ctx context.Context, id int64, text string) error {
	text, err := e.text(text)
	if err != nil {
		return err
	}
	return e.amend(ctx, id, store.KindEdit, text)
}

// Delete implements localapi.Engine.
func (e *Engine) Delete(ctx context.Context, id int64) error {
	return e.amend(ctx, id, store.KindDelete, "")
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

// MarkRead implements localapi.Engine.
func (e *Engine) MarkRead(ctx context.Context, peer string) error {
	var read *store.Read
	var seen []*store.Queue
	return e.do(ctx, input{
		alone: true,
		prepare: func() (changes []store.Change) {
			rows, err := e.config.Store.Unread(e.work, peer)
			if err != nil || len(rows) == 0 {
				return nil // which costs no wait for the disk
			}
			read = &store.Read{Peer: peer, UpTo: rows[len(rows)-1].ID}
			changes = append(changes, read)
			seen = e.seen(peer, rows)
			for _, q := range seen {
				changes = append(changes, q)
			}
			return changes
		},
		commit: func(err error) {
			if err != nil || read == nil {
				return
			}
			e.nowRead(peer, read.Count)
			for _, q := range seen {
				e.dispatch(&outItem{Item: q.Item}, q.Deliveries)
			}
		},
	})
}

// seenBatch is how many messages one item says of that they were seen.
const seenBatch = 100

// seen are the items that tell the senders of messages, if the person lets
// them know, and the account's other devices that they were read.
func (e *Engine) seen(peer string, rows []store.Row) (list []*store.Queue) {
	bySender := make(map[string][]p2p.ItemID)
	var senders []string
	for _, r := range rows {
		if r.UID == (p2p.ItemID{}) {
			continue
		}
		if bySender[r.Sender] == nil {
			senders = append(senders, r.Sender)
		}
		bySender[r.Sender] = append(bySender[r.Sender], r.UID)
	}
	for _, sender := range senders {
		deliveries := e.copies()
		if e.config.ReadReceipts {
			deliveries = append(deliveries, e.devicesOf(sender)...)
		}
		if len(deliveries) == 0 {
			continue
		}
		for ids := range slices.Chunk(bySender[sender], seenBatch) {
			list = append(list, &store.Queue{
				Item:       &store.Item{UID: newID(), At: now(), Kind: store.KindSeen, Peer: peer, Targets: ids},
				Deliveries: slices.Clone(deliveries),
			})
		}
	}
	return list
}

// nowRead takes n messages of a peer off the unread ones.
func (e *Engine) nowRead(peer string, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.people[key(peer)]
	if p == nil || n == 0 {
		return
	}
	n = min(n, p.unread)
	e.unread -= n
	p.unread -= n
	e.personChangedLocked(p)
}

// Acknowledge implements localapi.Engine.
func (e *Engine) Acknowledge(ctx context.Context, id int64) error {
	var done *store.Acknowledged
	var queue *store.Queue
	var refused error
	err := e.do(ctx, input{
		alone: true,
		prepare: func() []store.Change {
			row, err := e.config.Store.Message(e.work, id)
			if err != nil || row.State != chat.Received || !row.Urgent || row.UID == (p2p.ItemID{}) {
				refused = e.sentence(localapi.CodeBadRequest, "EngineNotUrgent")
				return nil
			}
			if row.Acknowledged {
				return nil
			}
			done = &store.Acknowledged{Of: row.UID, Peer: row.Sender}
			queue = &store.Queue{
				Item: &store.Item{
					UID: newID(), At: now(), Kind: store.KindAcknowledge, Peer: row.Peer, Targets: []p2p.ItemID{row.UID},
				},
				Deliveries: append(e.devicesOf(row.Sender), e.copies()...),
			}
			return []store.Change{done, queue}
		},
		commit: func(err error) {
			if err != nil || done == nil {
				return
			}
			if done.Changed != nil {
				e.news.change(*done.Changed)
			}
			e.dispatch(&outItem{Item: queue.Item}, queue.Deliveries)
		},
	})
	if err != nil {
		return err
	}
	return refused
}

// Typing implements localapi.Engine.
func (e *Engine) Typing(peer string, active bool) {
	_ = e.ask(context.Background(), act(func() {
		k := key(peer)
		for _, device := range trusted(e.known[k]) {
			if device == (identity.PublicKey{}) || k == "" {
				continue
			}
			if to, ok := e.way(&lane{person: k, device: device}); ok {
				e.config.Transport.Typing(to, active)
			}
		}
	}))
}
