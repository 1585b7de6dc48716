package client

import (
	"context"
	"io"
	"slices"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// subscription is one subscriber's queue. Its fields are under the engine's
// mutex; wake has room for one, so that nobody waits for a subscriber.
type subscription struct {
	engine *Engine
	role   localapi.Role
	queue  []chat.Event
	opens  []string // windows to open, which no overflow may drop
	handed []handed // the last of them that were taken
	missed bool     // a snapshot is due before anything else
	ended  bool
	wake   chan struct{}
}

// handed is a window that a subscriber was asked to open.
type handed struct {
	peer string
	at   time.Time
}

// Subscribe implements localapi.Engine.
func (e *Engine) Subscribe(role localapi.Role) localapi.Subscription {
	s := &subscription{engine: e, role: role, wake: make(chan struct{}, 1)}
	e.mu.Lock()
	if e.ended {
		s.ended = true
	} else {
		s.queue = []chat.Event{e.snapshotLocked()}
		e.subs[s] = struct{}{}
	}
	e.mu.Unlock()
	if role == localapi.Popup {
		// Whatever waited for the window process goes to it now.
		_ = e.ask(context.Background(), act(func() { e.attached(s) }))
	}
	return s
}

func (e *Engine) snapshotLocked() chat.Event {
	return chat.Event{Type: chat.EventSnapshot, At: time.Now(), Status: new(e.status), Roster: e.rosterLocked()}
}

// publishLocked hands an event to every subscriber. Events are shared: nobody
// changes one.
func (e *Engine) publishLocked(event chat.Event) {
	event.At = time.Now()
	for s := range e.subs {
		if s.missed {
			continue // the snapshot will tell
		}
		if len(s.queue) >= eventsQueued {
			s.queue, s.missed = nil, true
		} else {
			s.queue = append(s.queue, event)
		}
		s.signal()
	}
}

func (s *subscription) openLocked(peer string) {
	if !slices.Contains(s.opens, peer) {
		s.opens = append(s.opens, peer)
	}
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// endLocked lets Next return io.EOF once the queue is empty.
func (s *subscription) endLocked() {
	s.ended = true
	s.signal()
}

// Next implements localapi.Subscription.
func (s *subscription) Next(ctx context.Context) (chat.Event, error) {
	for {
		event, ok, ended := s.take()
		switch {
		case ok:
			return event, nil
		case ended:
			return chat.Event{}, io.EOF
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return chat.Event{}, ctx.Err()
		}
	}
}

func (s *subscription) take() (event chat.Event, ok, ended bool) {
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case s.missed && !s.ended:
		s.missed = false
		return e.snapshotLocked(), true, false
	case len(s.queue) > 0:
		event, s.queue = s.queue[0], s.queue[1:]
		return event, true, false
	case len(s.opens) > 0:
		event = chat.Event{Type: chat.EventOpen, At: time.Now(), Peer: s.opens[0]}
		s.opens = s.opens[1:]
		s.handed = append(slices.DeleteFunc(s.handed, func(h handed) bool { return event.At.Sub(h.at) > handedFor }),
			handed{event.Peer, event.At})
		return event, true, false
	}
	return chat.Event{}, false, s.ended
}

// Close implements localapi.Subscription.
func (s *subscription) Close() {
	e := s.engine
	e.mu.Lock()
	delete(e.subs, s)
	was := s.ended
	s.endLocked()
	e.mu.Unlock()
	if s.role == localapi.Popup && !was {
		_ = e.ask(context.Background(), act(func() { e.detached(s) }))
	}
}
