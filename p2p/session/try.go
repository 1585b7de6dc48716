package session

import (
	"context"
	"slices"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
)

// tryRelayed is how long Try waits for something better than the relay.
const tryRelayed = 4 * time.Second

// evTry is somebody who wants to know how the device is reached.
type evTry struct{ result chan<- p2p.Route }

// try is one who waits.
type try struct {
	result chan<- p2p.Route
	since  time.Time
}

// Try makes a session with a device, if there is none, and says how it is
// reached then: directly as soon as that is known, and through the relay or not
// at all once there is little hope for better. The error is ctx's, or
// p2p.ErrNotConnected.
func (e *Endpoint) Try(ctx context.Context, device identity.PublicKey) (p2p.Route, error) {
	result := make(chan p2p.Route, 1)
	if _, _, ok := e.cfg.Lookup(device); !ok || !e.post(device, evTry{result}) {
		return p2p.RouteNone, p2p.ErrNotConnected
	}
	select {
	case route := <-result:
		return route, nil
	case <-ctx.Done():
		return p2p.RouteNone, ctx.Err()
	}
}

// answerTries tells those who wait, once it is known, and returns when to look
// again; zero is when something happens.
func (d *device) answerTries(now time.Time) (wake time.Time) {
	d.tries = slices.DeleteFunc(d.tries, func(t try) bool {
		current := d.machine.current
		switch {
		case current != nil && !current.relayed:
		case current != nil:
			if at := t.since.Add(tryRelayed); now.Before(at) {
				if wake.IsZero() || at.Before(wake) {
					wake = at
				}
				return false
			}
		case d.machine.dialling || !d.machine.wanted.IsZero():
			return false
		}
		t.result <- d.shown.by
		return true
	})
	return wake
}
