package session

import (
	"log/slog"
	"net/netip"
	"slices"

	"earshot/p2p"
	"earshot/protocol/wire"
)

// route is how a connection goes.
type route struct {
	by p2p.Route
	at netip.AddrPort // zero for the relay
}

// LogValue implements slog.LogValuer.
func (r route) LogValue() slog.Value {
	return slog.GroupValue(slog.String("by", r.by.String()), slog.Any("at", r.at))
}

// routeOf says how a new connection goes. It is punched unless one of the two
// can be reached where it says that it is.
func (d *device) routeOf(l *link) route {
	if l.lane.relay {
		return route{by: p2p.RouteRelayed}
	}
	by := p2p.RoutePunched
	nat, _ := d.e.cfg.Network()
	_, at, _ := d.e.cfg.Lookup(d.key)
	if nat == wire.Nat_NAT_NONE || l.at.Addr().IsPrivate() || slices.Contains(at, l.at) {
		by = p2p.RouteDirect
	}
	for _, c := range d.told {
		if c.At == l.at && c.Kind != wire.Candidate_KIND_REFLEXIVE {
			by = p2p.RouteDirect
		}
	}
	return route{by, l.at}
}
