package secure

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"earshot/protocol/wire"
)

const (
	// watchEvery is how often the host's addresses and the clock are looked
	// at. No system tells of both in the same way, and a look costs some tens
	// of microseconds.
	watchEvery = 3 * time.Second
	// sleptFor is how much more time must have passed on the wall's clock than
	// on ours for the computer to have been asleep, or its clock to be set.
	sleptFor = 10 * time.Second
)

// watch looks for another network and for a computer that was asleep, until
// ctx ends. Both leave connections behind that look alive and are not.
func (t *Transport) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	before, last := t.interfaces(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		slept := now.Round(0).Sub(last.Round(0))-now.Sub(last) > sleptFor
		addrs := t.interfaces()
		moved := !slices.Equal(addrs, before)
		before, last = addrs, now
		if !slept && !moved {
			continue
		}
		t.log.Info("the network may have changed", "slept", slept, "addresses", addrs)
		t.control.Kick()
		t.relay.Kick()
		t.peer.Wake()
		t.lookAround()
		_ = t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetCandidates{
			SetCandidates: &wire.SetCandidates{Candidates: hostCandidates(t.addresses())},
		}})
	}
}

func (t *Transport) interfaces() []netip.Addr {
	addrs, err := t.cfg.Net.Addrs()
	if err != nil {
		t.log.Debug("this computer's addresses can't be read", "error", err)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}
