package client

import (
	"context"
	"slices"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

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

// MarkRead implements localapi.Engine.
func (e *Engine) MarkRead(ctx context.Context, peer string) error {
	var read *store.Read
	var seen []*store.Queue
	var refused error
	err := e.do(ctx, input{
		alone: true,
		prepare: func() (changes []store.Change) {
			rows, err := e.config.Store.Unread(e.work, peer)
			if err != nil {
				refused = e.unreadable(e.work, err)
			}
			if len(rows) == 0 {
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
	if err != nil {
		return err
	}
	return refused
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
		if e.config.Settings.Values().ReadReceipts {
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
		if e.Status().Own.Presence == chat.Invisible {
			return // it would show that the person is there
		}
		if active && !e.config.Settings.Values().Typing {
			return
		}
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
