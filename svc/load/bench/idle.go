//go:build linux

package main

import (
	"context"
	"time"

	"earshot/svc/load"
)

// keepalive is how often an idle client says that it is there.
const keepalive = 25 * time.Second

// measureIdle is a coordinator with as many clients as one is asked to bear, who
// do nothing but say so.
func (s server) measureIdle(ctx context.Context, p plan, note func(result)) error {
	r, err := s.begin(ctx, p.idle, p, note)
	if err != nil {
		return err
	}
	defer r.end()
	ctx, cancel := context.WithTimeout(ctx, 2*p.patience+p.quiet)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ping(ctx, r.crowd.(*load.Secure))
	}()
	if err = r.cold(ctx); err == nil {
		err = r.idle(ctx)
	}
	cancel()
	<-ended
	return err
}

// ping has every client that is online send its keepalive in turn.
func (r *run) ping(ctx context.Context, crowd *load.Secure) {
	const bunch = 10
	tick := time.NewTicker(bunch * keepalive / time.Duration(r.n))
	defer tick.Stop()
	for client := 0; ; client = (client + bunch) % (r.n - bunch) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for i := range bunch {
			if crowd.Online(client + i) {
				_ = crowd.Keepalive(client + i) // a connection that is lost is seen when everybody is to know
			}
		}
	}
}
