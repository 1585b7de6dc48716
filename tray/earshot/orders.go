package main

import (
	"bufio"
	"context"
	"io"
	"net/url"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/popup"
)

// ordersVariable is the environment variable by which the window process knows
// that it is told by its standard input which windows to open, a name a line.
const ordersVariable = "EARSHOT_POPUP_ORDERS"

// orders is the engine for windows in another desktop session than its own,
// whose process somebody else than the engine has started.
type orders struct {
	popup.Engine
	open chan string // peers; closed never
}

func newOrders(engine popup.Engine, in io.Reader) *orders {
	o := &orders{Engine: engine, open: make(chan string, 16)}
	go func() { // until the process ends: nothing else ends a read of its input
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if peer, err := url.QueryUnescape(lines.Text()); err == nil {
				o.open <- peer
			}
		}
	}()
	return o
}

// order is how a window is asked for.
func order(peer string) string { return url.QueryEscape(peer) + "\n" }

// Subscribe implements popup.Engine. The engine's own wishes are for the
// windows in its session.
func (o *orders) Subscribe(localapi.Role) localapi.Subscription {
	s := &ordered{Subscription: o.Engine.Subscribe(localapi.Watcher), open: o.open, next: make(chan result, 1)}
	return s
}

// ordered is the engine's events with those windows among them.
type ordered struct {
	localapi.Subscription
	open    chan string
	next    chan result
	waiting bool // for next
}

type result struct {
	event chat.Event
	err   error
}

// Next implements localapi.Subscription.
func (s *ordered) Next(ctx context.Context) (chat.Event, error) {
	if !s.waiting {
		s.waiting = true
		go func() {
			event, err := s.Subscription.Next(ctx)
			s.next <- result{event, err}
		}()
	}
	select {
	case r := <-s.next:
		s.waiting = false
		return r.event, r.err
	case peer := <-s.open:
		return chat.Event{Type: chat.EventOpen, Peer: peer}, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}
