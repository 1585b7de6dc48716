package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// outbox holds what is to be sent to one person, oldest first. One message is
// on its way at a time, and the next goes when the state of the one before is
// stored: so their order holds, and a crash can double one message at most.
type outbox struct {
	peer   string
	queue  []chat.Message
	active bool // the first of queue is on its way
}

// add puts a message in its place, which is at the end unless it goes again.
func (o *outbox) add(m chat.Message) {
	i := len(o.queue)
	low := 0
	if o.active {
		low = 1
	}
	for i > low && o.queue[i-1].ID > m.ID {
		i--
	}
	o.queue = slices.Insert(o.queue, i, m)
}

func (e *Engine) outbox(peer string) *outbox {
	k := key(peer)
	o := e.outboxes[k]
	if o == nil {
		o = &outbox{peer: peer}
		e.outboxes[k] = o
	}
	return o
}

// Send implements localapi.Engine.
func (e *Engine) Send(ctx context.Context, draft chat.Draft, wait bool) (chat.Message, error) {
	to, text := draft.To, draft.Text
	switch {
	case strings.TrimSpace(text) == "":
		return chat.Message{}, e.sentence(localapi.CodeBadRequest, "EngineEmptyText")
	case len(text) > MaxText:
		return chat.Message{}, e.sentence(localapi.CodeBadRequest, "EngineLongText", "Limit", MaxText>>10)
	case !utf8.ValidString(text):
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	peer, err := e.addressee(to)
	if err != nil {
		return chat.Message{}, err
	}
	stored := make(chan error, 1)
	moved := make(chan chat.Message, 1)
	added := &store.Add{}
	err = e.ask(ctx, input{
		prepare: func() []store.Change {
			added.Message = chat.Message{Peer: peer, Sender: e.Status().Name, Text: text, At: time.Now(), State: chat.Sending}
			return []store.Change{added}
		},
		commit: func(err error) {
			if err == nil {
				m := added.Message
				e.announce(m)
				if wait {
					e.waiters[m.ID] = append(e.waiters[m.ID], moved)
				}
				e.outbox(peer).add(m)
				e.deliver(key(peer))
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
	if err != nil {
		return chat.Message{}, e.sentence(localapi.CodeFailed, "EngineSendNotStored")
	}
	if !wait {
		return added.Message, nil
	}
	select {
	case m := <-moved:
		return m, nil
	case <-e.done:
		select {
		case m := <-moved:
			return m, nil
		default:
			return added.Message, nil
		}
	case <-ctx.Done():
		return added.Message, ctx.Err()
	}
}

// addressee is the name of somebody to whom a message can go, as the roster
// spells it.
func (e *Engine) addressee(to string) (string, error) {
	if to == chat.Everyone {
		return to, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := key(to); k == e.self {
		return "", e.sentence(localapi.CodeUnknownPerson, "EngineYourself")
	} else if p := e.people[k]; p != nil && to != "" {
		return p.Name, nil
	}
	return "", e.sentence(localapi.CodeUnknownPerson, "EngineUnknownPerson", "Name", to)
}

func (e *Engine) deliverAll() {
	for k := range e.outboxes {
		e.deliver(k)
	}
}

// deliver starts the next message to a person, if there is one and the person
// can be reached. Whoever waits for a message that can't go now is told.
func (e *Engine) deliver(k string) {
	o := e.outboxes[k]
	if o == nil || o.active {
		return
	}
	if len(o.queue) == 0 {
		delete(e.outboxes, k)
		return
	}
	to, reachable := e.reachable(k)
	if !reachable || e.work.Err() != nil {
		for _, m := range o.queue {
			e.tell(m)
		}
		return
	}
	o.active = true
	m := o.queue[0]
	e.workers.Go(func() {
		var err error
		if k == chat.Everyone {
			err = e.config.Transport.SendToAll(e.work, m.Text)
		} else {
			done := make(chan error, 1)
			e.config.Transport.Send(p2p.Target{Person: to},
				p2p.Item{At: m.At, Body: p2p.Text{Text: m.Text}}, func(err error) { done <- err })
			select {
			case err = <-done:
			case <-e.work.Done():
				err = e.work.Err()
			}
		}
		e.post(e.sent(o, m, err))
	})
}

// reachable says whether it is worth trying to send, and where to. People on a
// stale roster are: messages don't need the coordinator.
func (e *Engine) reachable(k string) (p2p.Person, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k == chat.Everyone {
		return p2p.Person{}, e.status.Connection == chat.Online
	}
	p := e.people[k]
	if p == nil || !p.online {
		return p2p.Person{}, false
	}
	return p.Person, true
}

// sent is what became of the first message of an outbox.
func (e *Engine) sent(o *outbox, m chat.Message, err error) input {
	waits := err != nil && (e.work.Err() != nil || errors.Is(err, p2p.ErrNotConnected))
	return input{
		prepare: func() []store.Change {
			switch {
			case waits:
				return nil
			case err == nil:
				m.State = chat.Sent
			default:
				m.State, m.Problem = chat.Failed, e.failure(m, err)
			}
			return []store.Change{store.Mark{ID: m.ID, State: m.State, Problem: m.Problem}}
		},
		commit: func(error) {
			// If the state could not be stored it is true all the same; after
			// a crash the message would go again.
			o.active = false
			e.tell(m)
			if waits {
				for _, other := range o.queue[1:] {
					e.tell(other)
				}
				return // until Connected or Came
			}
			o.queue = o.queue[1:]
			e.changed(m)
			e.deliver(key(o.peer))
		},
	}
}

func (e *Engine) failure(m chat.Message, err error) string {
	if errors.Is(err, p2p.ErrUnreachable) {
		return e.p.T("EngineUnreachable", "Name", m.Peer)
	}
	e.log.Warn("a message could not be sent", "error", err)
	return e.p.T("EngineSendFailed", "Reason", reason(err))
}

// tell answers those who wait for a message.
func (e *Engine) tell(m chat.Message) {
	for _, waiter := range e.waiters[m.ID] {
		waiter <- m // has room for the only answer
	}
	delete(e.waiters, m.ID)
}

// changed announces a message's new state.
func (e *Engine) changed(m chat.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publishLocked(chat.Event{Type: chat.EventState, Message: &m})
}

// Retry implements localapi.Engine.
func (e *Engine) Retry(ctx context.Context, id int64) error {
	var m chat.Message
	again := false
	err := e.do(ctx, input{
		prepare: func() []store.Change {
			var err error
			m, err = e.config.Store.Message(ctx, id)
			if again = err == nil && m.State == chat.Failed; !again {
				return nil
			}
			m.State, m.Problem = chat.Sending, ""
			return []store.Change{store.Mark{ID: m.ID, State: m.State}}
		},
		commit: func(err error) {
			// Somebody may have asked twice in one round.
			if err != nil || !again || e.waiting(m) {
				return
			}
			e.outbox(m.Peer).add(m)
			e.changed(m)
			e.deliver(key(m.Peer))
		},
	})
	if err == nil && !again {
		return e.sentence(localapi.CodeBadRequest, "EngineNotFailed")
	}
	return err
}

// waiting says whether a message is in its outbox.
func (e *Engine) waiting(m chat.Message) bool {
	o := e.outboxes[key(m.Peer)]
	return o != nil && slices.ContainsFunc(o.queue, func(q chat.Message) bool { return q.ID == m.ID })
}

// MarkRead implements localapi.Engine.
func (e *Engine) MarkRead(ctx context.Context, peer string) error {
	return e.do(ctx, input{
		prepare: func() []store.Change {
			// Without an unread message it costs no wait for the disk.
			return []store.Change{store.Read{Peer: peer}}
		},
		commit: func(err error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			p := e.people[key(peer)]
			if err != nil || p == nil || p.unread == 0 {
				return
			}
			e.unread -= p.unread
			p.unread = 0
			e.personChangedLocked(p)
		},
	})
}

// do hands an input to Run's goroutine and waits until it is stored.
func (e *Engine) do(ctx context.Context, in input) error {
	commit, answer := in.commit, make(chan error, 1)
	in.commit = func(err error) { commit(err); answer <- err }
	if err := e.ask(ctx, in); err != nil {
		return err
	}
	select {
	case err := <-answer:
		if err != nil {
			return e.sentence(localapi.CodeFailed, "EngineSendNotStored")
		}
		return nil
	case <-e.done:
		return e.ending()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// History implements localapi.Engine.
func (e *Engine) History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	list, err := e.config.Store.History(ctx, peer, before, min(max(limit, 1), MaxHistory))
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.log.Error("the history could not be read", "error", err)
		return nil, e.sentence(localapi.CodeFailed, "EngineHistoryFailed")
	}
	return list, nil
}
