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
	if err := r.cold(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ping(ctx, r.crowd.(*load.Secure))
	}()
	err = r.idle(ctx)
	cancel()
	<-ended
	return err
}

// ping has every client send its keepalive in turn.
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
			_ = crowd.Keepalive(client + i)
		}
	}
}
