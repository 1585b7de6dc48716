package punch

import (
	"net/netip"
	"time"

	"earshot/protocol/wire"
)

// gaps are between two probes of one candidate; the last one repeats. A fifth
// of all datagrams may be lost without a second being lost.
var gaps = [...]time.Duration{
	60 * time.Millisecond, 120 * time.Millisecond, 240 * time.Millisecond, 400 * time.Millisecond,
	600 * time.Millisecond, 900 * time.Millisecond, 1500 * time.Millisecond,
}

// holdBack is how long the answering device sends openers only: by then what
// the other one has sent has opened its NAT, or it never will.
const holdBack = 600 * time.Millisecond

// target is a candidate of the other device.
type target struct {
	at    netip.AddrPort
	kind  wire.Candidate_Kind
	named bool // by the other device, not learned from a probe
	// pings are those that came from there, and proven is that a pong did.
	pings  int
	proven bool
	since  time.Time
	sent   int
	last   time.Time
	// alive is when the other device was heard from there first.
	alive time.Time
}

func (t *target) heard(now time.Time) {
	if t.alive.IsZero() {
		t.alive = now
	}
}

// next is when a target is to be probed again; zero is never. Where only a ping
// has come from, in whose name whatever, no more goes than came.
func (m *Machine) next(t *target) time.Time {
	if !t.proven && !m.known(t.at.Addr()) && t.sent >= t.pings {
		return time.Time{}
	}
	if t.sent == 0 {
		return t.since
	}
	return t.last.Add(gaps[min(t.sent-1, len(gaps)-1)])
}

// probe sends what is due.
func (m *Machine) probe(now time.Time) {
	for _, t := range m.targets {
		if next := m.next(t); next.IsZero() || now.Before(next) {
			continue
		}
		t.sent++
		t.last = now
		m.act(Send{To: t.at, TTL: m.ttl(t, now)})
	}
}

// ttl is that of the next probe of a target. A Linux router that takes what
// nobody asked for remembers it as a flow of its own, and then gives another
// port to the flow from within that would have been its answer. So the device
// that knows the other one's address first opens its own NAT by a datagram that
// doesn't get as far as the other's.
func (m *Machine) ttl(t *target, now time.Time) int {
	behind := m.cfg.Local != wire.Nat_NAT_NONE && m.cfg.Local != wire.Nat_NAT_BLOCKED
	switch {
	case !m.cfg.Answers, !t.alive.IsZero(), !behind, m.remote == wire.Nat_NAT_NONE:
		return 0 // there is nothing to open, or nothing to spoil
	case t.at.Addr().Is6(), t.kind == wire.Candidate_KIND_HOST && t.at.Addr().IsPrivate():
		return 0 // without NAT, or on this network if anywhere
	case t.kind == wire.Candidate_KIND_MAPPED:
		return 0 // the other's router has been told what to do with it
	case !now.Before(t.since.Add(holdBack)):
		return 0
	}
	return m.opener()
}

// opener is the TTL of a datagram that is to open this device's NAT only.
func (m *Machine) opener() int {
	if m.cfg.TTL == 0 {
		return defaultTTL
	}
	return m.cfg.TTL
}
