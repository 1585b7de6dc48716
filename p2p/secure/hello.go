package secure

import (
	"net/netip"
	"slices"

	"earshot/p2p"
	"earshot/protocol/wire"
)

// maxCandidates is how many addresses anybody is told.
const maxCandidates = 8

// hello is what the coordinator is told of this client on a connection from a
// local address.
func (t *Transport) hello(local netip.Addr) *wire.Hello {
	t.mu.Lock()
	t.local = local.Unmap()
	t.mu.Unlock()
	return &wire.Hello{
		VersionMin: 1, VersionMax: 1,
		Name: t.cfg.Name, Program: t.cfg.Program, DeviceLabel: t.cfg.Label,
		Status:     wireStatus(t.status()),
		Candidates: hostCandidates(t.announced()),
		Classic: &wire.Classic{
			Endpoint: wire.Address(netip.AddrPortFrom(local.Unmap(), t.talkPort)),
			Encoding: wire.Encoding_ENCODING_UTF8, // classic.Encoding
		},
		Invite:    t.cfg.Invite,
		JoinProof: t.joinProof(),
	}
}

// addresses are where other devices may reach this one: first the address from
// which the coordinator is reached, then the host's others.
func (t *Transport) addresses() []netip.AddrPort {
	t.mu.Lock()
	local := t.local
	t.mu.Unlock()
	addrs := []netip.Addr{local}
	all, err := t.cfg.Net.Addrs()
	if err != nil {
		t.log.Warn("this computer's addresses can't be read", "error", err)
	}
	for _, a := range all {
		if !slices.Contains(addrs, a) && len(addrs) < maxCandidates {
			addrs = append(addrs, a)
		}
	}
	list := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		if a.IsValid() {
			list = append(list, netip.AddrPortFrom(a, t.peerPort))
		}
	}
	return list
}

// announced are those that others are told of: not the loopback's, unless this
// computer is on no network at all.
func (t *Transport) announced() []netip.AddrPort {
	all := t.addresses()
	beyond := slices.DeleteFunc(slices.Clone(all), func(at netip.AddrPort) bool { return at.Addr().IsLoopback() })
	if len(beyond) > 0 {
		return beyond
	}
	return all
}

// reachable leaves out the loopback's addresses among those at which a device
// says it is, unless the coordinator is on this computer: else it would be this
// computer's own programs that are spoken to.
func (t *Transport) reachable(at []netip.AddrPort) []netip.AddrPort {
	t.mu.Lock()
	near := t.local.IsLoopback()
	t.mu.Unlock()
	if near {
		return at
	}
	return slices.DeleteFunc(slices.Clone(at), func(a netip.AddrPort) bool { return a.Addr().IsLoopback() })
}

func (t *Transport) status() p2p.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own
}

// SetStatus implements p2p.Transport.
func (t *Transport) SetStatus(s p2p.Status) {
	t.mu.Lock()
	changed := t.own != s
	t.own = s
	t.mu.Unlock()
	if changed {
		// Without a connection the next hello says it.
		_ = t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{
			SetStatus: &wire.SetStatus{Status: wireStatus(s)},
		}})
	}
}

func (t *Transport) sortedAddresses() []netip.Addr {
	addrs, err := t.cfg.Net.Addrs()
	if err != nil {
		t.log.Debug("this computer's addresses can't be read", "error", err)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}
