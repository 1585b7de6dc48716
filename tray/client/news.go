package client

import (
	"context"
	"maps"
	"slices"

	"earshot/tray/chat"
)

// news is what changed of messages in one round: each is told of once, as it is
// at the end of it. It belongs to Run's goroutine.
type news struct {
	dirty   map[int64]bool // which may wait now, or do no longer
	changed map[int64]chat.Message
	again   []int64 // which are to be read from the store first
}

func (n *news) change(m chat.Message) { n.changed[m.ID] = m }
func (n *news) reread(id int64)       { n.again = append(n.again, id) }

// waiting is a message on its way that can't go on now for some people. It is
// not changed once it is in the engine's table.
type waiting struct {
	all     bool              // of those who don't have it
	problem string            // if a person's decision is waited for
	people  map[string]string // who, by folded name, with the problem
}

func (w *waiting) equal(o *waiting) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.all == o.all && w.problem == o.problem && maps.Equal(w.people, o.people)
}

// flush tells of the round's changes.
func (e *Engine) flush() {
	n := &e.news
	for _, id := range slices.Sorted(maps.Keys(n.dirty)) {
		delete(n.dirty, id)
		w := e.waitingOf(id)
		e.mu.Lock()
		before := e.waiting[id]
		if w == nil {
			delete(e.waiting, id)
		} else {
			e.waiting[id] = w
		}
		e.mu.Unlock()
		if _, told := n.changed[id]; !told && !w.equal(before) {
			n.reread(id)
		}
		if w != nil && w.all && len(e.waiters[id]) > 0 {
			n.reread(id)
		}
	}
	for _, id := range n.again {
		if _, told := n.changed[id]; told || id == 0 {
			continue
		}
		// What was begun is told of even if the client is ending.
		if m, err := e.config.Store.Message(context.Background(), id); err == nil {
			n.change(m.Message)
		} else {
			e.log.Error("a message could not be read", "error", err)
		}
	}
	n.again = nil
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(n.changed)) {
		m := n.changed[id]
		delete(n.changed, id)
		e.decorateLocked(&m)
		e.publishLocked(chat.Event{Type: chat.EventState, Message: &m})
		if m.State != chat.Sending || m.Waiting || e.work.Err() != nil {
			e.tell(m)
		}
	}
}

// waitingOf works out whether a message waits, and for whom.
func (e *Engine) waitingOf(id int64) *waiting {
	if id == 0 || len(e.texts[id]) == 0 {
		return nil
	}
	w := &waiting{all: true, people: make(map[string]string)}
	for _, o := range e.texts[id] {
		for k := range o.undelivered {
			stalled := !slices.ContainsFunc(o.entries, func(en *entry) bool { return en.lane.person == k && !en.lane.stalled })
			if !stalled {
				w.all = false
				continue
			}
			w.people[k] = e.blocked(k)
			w.problem = w.people[k]
		}
	}
	if len(w.people) == 0 {
		return nil
	}
	if len(w.people) > 1 || !w.all {
		w.problem = "" // each has its own
	}
	return w
}

// blocked is the sentence about a person to whom nothing goes before something
// is decided; empty for others.
func (e *Engine) blocked(k string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.people[k]
	switch {
	case p == nil:
	case p.trust == chat.TrustChanged:
		return e.p.T("EngineTrustChanged", "Name", p.Name)
	case p.trust == chat.TrustLost:
		return e.p.T("EngineTrustLost", "Name", p.Name)
	}
	return ""
}

// decorateLocked adds to a stored message what only the engine knows.
func (e *Engine) decorateLocked(m *chat.Message) {
	if m.State != chat.Sending {
		return
	}
	if w := e.waiting[m.ID]; w != nil && w.all {
		m.Waiting, m.Problem = true, w.problem
	}
}

// tell answers those who wait for a message.
func (e *Engine) tell(m chat.Message) {
	for _, waiter := range e.waiters[m.ID] {
		waiter <- m // has room for the only answer
	}
	delete(e.waiters, m.ID)
}
