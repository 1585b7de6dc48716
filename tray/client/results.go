package client

import (
	"context"
	"errors"
	"slices"
	"sync"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// results are what became of entries, in the order in which it was known. The
// transport may put them from any goroutine, also from within Send, so that
// there is room for all that are under way.
type results struct {
	mu    sync.Mutex
	list  []result
	ready chan struct{} // has room for one
}

type result struct {
	entry *entry
	err   error
}

func (r *results) put(en *entry, err error) {
	r.mu.Lock()
	r.list = append(r.list, result{en, err})
	r.mu.Unlock()
	r.signal()
}

func (r *results) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

func (r *results) take(n int) []result {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, len(r.list))
	taken := slices.Clone(r.list[:n])
	r.list = slices.Delete(r.list, 0, n)
	if len(r.list) > 0 {
		r.signal()
	}
	return taken
}

// outcome is what a result comes to.
type outcome struct {
	result
	done  *store.Done  // nil if it goes again
	route *store.Route // instead, for what the transport can't send to all
}

// resultsInput stores what became of some entries and lets their lanes go on.
func (e *Engine) resultsInput() input {
	var outcomes []outcome
	return input{
		prepare: func() (changes []store.Change) {
			for _, r := range e.results.take(batchSize) {
				o := e.outcome(r)
				outcomes = append(outcomes, o)
				if o.done != nil {
					changes = append(changes, o.done)
				}
				if o.route != nil {
					changes = append(changes, o.route)
				}
			}
			return changes
		},
		commit: func(err error) {
			touched := make(map[*lane]bool)
			for _, o := range outcomes {
				e.settled(o, err)
				touched[o.entry.lane] = true
			}
			for _, o := range outcomes {
				if l := o.entry.lane; touched[l] {
					delete(touched, l)
					e.pump(l)
				}
			}
		},
	}
}

func (e *Engine) outcome(r result) outcome {
	en := r.entry
	classic := en.to.Device == (identity.PublicKey{})
	done := &store.Done{Delivery: en.to}
	if en.item.Kind == store.KindText {
		done.Message = en.item.Message
	}
	switch {
	case r.err == nil && classic:
		done.State = chat.Sent
	case r.err == nil:
		done.State = chat.Delivered
	case en.dropped:
	case errors.Is(r.err, p2p.ErrNotSupported) && en.lane.person == chat.Everyone:
		if route := e.spread(en); route != nil {
			return outcome{result: r, route: route}
		}
		done.State, done.Problem = chat.Failed, e.p.T("EngineNobodyOnline")
	case errors.Is(r.err, p2p.ErrRefusedItem):
		done.State, done.Problem = chat.Failed, e.p.T("EngineRefusedItem", "Name", en.to.Person, "Reason", reason(r.err))
		if long, ok := errors.AsType[*tooLong](r.err); ok {
			done.Problem = long.sentence
		}
	case !classic || e.work.Err() != nil || errors.Is(r.err, p2p.ErrNotConnected):
		return outcome{result: r} // it goes again
	case errors.Is(r.err, p2p.ErrUnreachable):
		done.State, done.Problem = chat.Failed, e.p.T("EngineUnreachable", "Name", en.to.Person)
	default:
		e.log.Warn("a message could not be sent", "error", r.err)
		done.State, done.Problem = chat.Failed, e.p.T("EngineSendFailed", "Reason", reason(r.err))
	}
	return outcome{result: r, done: done}
}

// settled takes note of what became of an entry. If that could not be stored
// (err) it is true all the same; after a crash the item would go again.
func (e *Engine) settled(o outcome, err error) {
	en, l := o.entry, o.entry.lane
	l.underway--
	en.sent = false
	switch {
	case o.route != nil:
		e.spreadOut(en, o.route)
		e.forget(en)
		return
	case o.done == nil:
		e.fail(l)
		return
	}
	if !l.settle {
		l.failing, l.backoff = false, 0
	}
	e.forget(en)
	d := o.done
	if d.State == "" || d.Message == 0 || en.to.Person == "" {
		return
	}
	if d.State != chat.Failed || !slices.ContainsFunc(en.item.entries, func(other *entry) bool { return other.lane.person == l.person }) {
		delete(en.item.undelivered, l.person)
	}
	switch {
	case d.Changed != nil:
		e.news.change(*d.Changed)
	case err != nil:
		if m, readErr := e.config.Store.Message(context.Background(), d.Message); readErr == nil {
			m.State, m.Problem = d.State, d.Problem
			e.news.change(m.Message)
		}
	}
}
