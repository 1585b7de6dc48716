package hostnet

import (
	"context"
	"net/netip"
)

// Watch implements Net.
func (h *simHost) Watch(ctx context.Context, changed func(Change)) error {
	news := make(chan Change, 1)
	h.sim.mu.Lock()
	if h.watch == nil {
		h.watch = make(map[chan Change]struct{})
	}
	h.watch[news] = struct{}{}
	h.sim.mu.Unlock()
	defer func() {
		h.sim.mu.Lock()
		defer h.sim.mu.Unlock()
		delete(h.watch, news)
	}()
	for {
		select {
		case c := <-news:
			changed(c)
		case <-ctx.Done():
			return nil
		}
	}
}

// tell says to a host's programs that something has changed. The mutex is held.
func (h *simHost) tell(c Change) {
	for news := range h.watch {
		select {
		case news <- c:
		default: // the one before is yet to be told
		}
	}
}

// Wake has a host learn that it was asleep.
func (n *Network) Wake(addr netip.Addr) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if h := n.host(addr.Unmap()); h != nil {
		h.tell(Woke)
	}
}
