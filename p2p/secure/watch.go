package secure

import (
	"context"
	"slices"
	"sync"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/wire"
)

const (
	// lookEvery is how often addresses and clock are looked at though the
	// system tells of changes; blindEvery is where it doesn't.
	lookEvery  = 2 * time.Minute
	blindEvery = 20 * time.Second
	// sleptFor is how much more time must have passed on the wall's clock than
	// on ours for the computer to have been asleep, or its clock to be set.
	sleptFor = 10 * time.Second
)

// watch acts on another network, and on a computer that was asleep, until ctx
// ends. Both leave connections behind that look alive and are not.
func (t *Transport) watch(ctx context.Context) {
	changes := make(chan hostnet.Change, 1)
	blind := make(chan error, 1)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		blind <- t.cfg.Net.Watch(ctx, func(c hostnet.Change) {
			select {
			case changes <- c:
			default: // whichever it is, the same is done about it
			}
		})
	})
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	before, last := t.sortedAddresses(), time.Now()
	for {
		var why hostnet.Change
		select {
		case <-ctx.Done():
			return
		case err := <-blind:
			if ctx.Err() == nil {
				t.log.Info("this computer doesn't tell when its network changes, so earshot looks", "every", blindEvery, "error", err)
				look.Reset(blindEvery)
			}
			continue
		case why = <-changes:
		case <-look.C:
		}
		now, addrs := time.Now(), t.sortedAddresses()
		if why == "" && now.Round(0).Sub(last.Round(0))-now.Sub(last) > sleptFor {
			why = hostnet.Woke
		}
		if why == "" && !slices.Equal(addrs, before) {
			why = hostnet.Moved
		}
		before, last = addrs, now
		if why != "" {
			t.log.Info("the network may have changed", "by", string(why), "addresses", addrs)
			t.startOver()
		}
	}
}

// startOver has everything shown to work that may not do so any more.
func (t *Transport) startOver() {
	t.outside.doubt()
	t.control.Kick()
	t.relay.Kick()
	t.peer.Wake()
	t.lookAround()
	_ = t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetCandidates{
		SetCandidates: &wire.SetCandidates{Candidates: hostCandidates(t.announced())},
	}})
}
