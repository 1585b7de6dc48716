package secure

import (
	"context"
	"net/netip"
	"slices"

	"earshot/p2p"
	"earshot/p2p/portmap"
)

// Mapper gets this device a port on its router; *portmap.Mapper is one.
type Mapper interface {
	Run(ctx context.Context) error
	Changed()
	Ask(ctx context.Context) portmap.Status
	Mapping() (at netip.AddrPort, by portmap.Method, ok bool)
}

// newMapper is the one for the peer socket; nil if routers are not to be asked.
func (t *Transport) newMapper() Mapper {
	if t.cfg.MapPort == nil {
		return nil
	}
	return t.cfg.MapPort(portmap.Config{
		Net: t.cfg.Net, Port: t.peerPort, Outside: t.wayOut, Log: t.log,
		OnChange: t.peer.Online, // who is on the relay has something new to tell
	})
}

// wayOut is what a Mapper must know: a coordinator on the same network needs no
// router, so that none is bothered.
func (t *Transport) wayOut() portmap.Outside {
	report, ok := t.outside.asker.Last()
	seen := report.V4.Addr().Unmap()
	if !ok || !seen.Is4() {
		return portmap.Outside{}
	}
	own := slices.ContainsFunc(t.addresses(), func(a netip.AddrPort) bool { return a.Addr() == seen })
	way := portmap.Outside{Seen: seen, NAT: !own}
	for _, server := range t.outside.askable() {
		if server.Addr().Is4() {
			way.Toward = server.Addr()
			break
		}
	}
	return way
}

// anotherNetwork has the Mapper told of the next answer of the coordinator, though
// it be the same: it may have come by another router.
func (t *Transport) anotherNetwork() {
	t.outside.mu.Lock()
	defer t.outside.mu.Unlock()
	t.outside.told = netip.Addr{}
}

// seenAt tells the Mapper where the coordinator sees this device, once.
func (t *Transport) seenAt(at netip.Addr) {
	t.outside.mu.Lock()
	news := t.outside.told != at
	t.outside.told = at
	t.outside.mu.Unlock()
	if news && t.mapper != nil {
		t.mapper.Changed()
	}
}

// mapped is where the router leads others to this device; the zero AddrPort if
// it doesn't.
func (t *Transport) mapped() netip.AddrPort {
	if t.mapper == nil {
		return netip.AddrPort{}
	}
	at, _, _ := t.mapper.Mapping()
	return at
}

// examineRouter asks the router for its port, and says what came of it.
func (t *Transport) examineRouter(ctx context.Context, found *p2p.Network) {
	if t.mapper == nil {
		return
	}
	s := t.mapper.Ask(ctx)
	found.Mapping, found.Router = s.Method.String(), s.Gateway
	if s.Err != nil {
		reason := portmap.ReasonOf(s.Err)
		found.MappingReason, found.MappingWhy = string(reason), reason.Error()
	}
}
