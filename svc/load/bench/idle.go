//go:build linux

package main

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"earshot/svc/load"
)

// measureIdle is a coordinator with as many clients as one is asked to bear, who
// do nothing but say so.
func (s server) measureIdle(ctx context.Context, p plan, note func(result)) error {
	p.quiet = p.idleQuiet
	r, err := s.begin(ctx, p.idle, p, note)
	if err != nil {
		return err
	}
	defer r.end()
	ctx, cancel := context.WithTimeout(ctx, 3*p.patience+p.quiet)
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

// sameKeepalive returns once the coordinator has told every client how often it
// wants to hear of so many, which is with the answer to the next keepalive: some
// were told when there were few.
func (r *run) sameKeepalive(ctx context.Context) error {
	crowd := r.crowd.(*load.Secure)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for client := 0; client < r.n; {
		was := crowd.KeepaliveTime(client)
		if was == crowd.KeepaliveTime(r.n-1) {
			client++
			continue
		}
		if err := crowd.Keepalive(client); err != nil {
			return err
		}
		for crowd.KeepaliveTime(client) == was {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
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
// that, each by its own clock.
func (r *run) ping(ctx context.Context, crowd *load.Secure) {
	pings := make(pings, r.n)
	for client := range pings {
		pings[client].client = client
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		for now := time.Now(); !pings[0].due.After(now); {
			pings[0].next(now, crowd)
			heap.Fix(&pings, 0)
		}
		timer.Reset(time.Until(pings[0].due))
	}
}

// pinging is a client's keepalive.
type pinging struct {
	client int
	sent   time.Time // zero while it isn't online
	due    time.Time // when it is looked at again
}

// next sends a client's keepalive, unless it is too early.
func (p *pinging) next(now time.Time, crowd *load.Secure) {
	if !crowd.Online(p.client) {
		p.sent, p.due = time.Time{}, now.Add(time.Second)
		return
	}
	every := crowd.KeepaliveTime(p.client)
	if p.sent.IsZero() { // as if it had been online for some time
		p.sent = now.Add(-rand.N(every))
	}
	if now.Sub(p.sent) >= every {
		p.sent = now
		_ = crowd.Keepalive(p.client) // a connection that is lost is seen when everybody is to know
	}
	p.due = p.sent.Add(every)
}

// pings is a heap, the first that is due on top.
type pings []pinging

func (p pings) Len() int           { return len(p) }
func (p pings) Less(i, j int) bool { return p[i].due.Before(p[j].due) }
func (p pings) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p pings) Push(any)           { panic("the clients are always as many") }
func (p pings) Pop() any           { panic("the clients are always as many") }
