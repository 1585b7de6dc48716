//go:build linux

package main

import (
	"context"
	"math/rand/v2"
	"time"

	"earshot/svc/load"
)

// measureIdle is a coordinator with as many clients as one is asked to bear, who
// do nothing but say so.
func (s server) measureIdle(ctx context.Context, p plan, note func(result)) error {
	r, err := s.begin(ctx, p.idle, p, note)
	if err != nil {
		return err
	}
	defer r.end()
	ctx, cancel := context.WithTimeout(ctx, 2*p.patience+p.quiet)
	defer cancel()
	return r.alive(ctx, func() error {
		if err := r.cold(ctx); err != nil {
			return err
		}
		if err := r.sameKeepalive(ctx); err != nil {
			return err
		}
		return r.idle(ctx)
	})
}

// sameKeepalive waits until the coordinator has told every client the same of how
// often it wants to hear of them, which grows with their number.
func (r *run) sameKeepalive(ctx context.Context) error {
	crowd := r.crowd.(*load.Secure)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		same := true
		for client := range r.n {
			same = same && crowd.KeepaliveTime(client) == crowd.KeepaliveTime(r.n-1)
		}
		if same {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alive does something while all clients that are online say that they are, if
// their server wants that.
func (r *run) alive(ctx context.Context, do func() error) error {
	crowd, ok := r.crowd.(*load.Secure)
	if !ok {
		return do()
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ping(ctx, crowd)
	}()
	err := do()
	cancel()
	<-ended
	return err
}

// ping has every client that is online send its keepalive when it is time for
// that.
func (r *run) ping(ctx context.Context, crowd *load.Secure) {
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	sent := make([]time.Time, r.n)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		for client := range sent {
			if !crowd.Online(client) {
				continue
			}
			every := crowd.KeepaliveTime(client)
			if sent[client].IsZero() { // as if it had been online for some time
				sent[client] = now.Add(-rand.N(every))
			}
			if now.Sub(sent[client]) >= every {
				sent[client] = now
				_ = crowd.Keepalive(client) // a connection that is lost is seen when everybody is to know
			}
		}
	}
}
