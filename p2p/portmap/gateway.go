package portmap

import (
	"net"
	"net/netip"

	"github.com/libp2p/go-netroute"
)

// place is a router and the address that this host has toward it.
type place struct{ gateway, local netip.Addr }

// route asks the system for the next router on the way to an address.
func route(toward netip.Addr) (gateway, local netip.Addr, err error) {
	router, err := netroute.New()
	if err != nil {
		return gateway, local, because(ErrNoGateway, "%w", err)
	}
	_, via, from, err := router.Route(net.IP(toward.AsSlice()))
	if err != nil {
		return gateway, local, because(ErrNoGateway, "%w", err)
	}
	gateway, _ = netip.AddrFromSlice(via)
	local, _ = netip.AddrFromSlice(from)
	return gateway.Unmap(), local.Unmap(), nil
}

// find returns which router to ask on the way to an address. It must be on a
// private network, as this host then is: a NAT hides nobody else, and a
// stranger's router on the Internet is not to be bothered.
func (m *Mapper) find(toward netip.Addr) (place, error) {
	toward = toward.Unmap()
	if !toward.Is4() || toward.IsLoopback() {
		return place{}, because(ErrNoGateway, "the coordinator is at %v", toward)
	}
	gateway, local, err := m.cfg.Gateway(toward)
	if err != nil {
		return place{}, err
	}
	p := place{gateway, local}
	if !usable(gateway) || !usable(local) || gateway == local || gateway == toward {
		return p, because(ErrNoGateway, "the way to %v is from %v by %v", toward, local, gateway)
	}
	return p, nil
}

func usable(a netip.Addr) bool { return a.Is4() && a.IsGlobalUnicast() && !isGlobal(a) }
