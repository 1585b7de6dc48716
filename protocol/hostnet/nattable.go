package hostnet

import (
	"net/netip"
	"slices"
	"time"
)

// Of a conversation without an answer, and with one, as Linux has it.
const (
	natUnanswered = 30 * time.Second
	natAnswered   = 120 * time.Second
	natFirstPort  = 1024
	natAttempts   = 128 // at a free port; then the packet is lost
)

// mapping is an outer port of a socket inside.
type mapping struct {
	conversation                                  // with anybody
	inside       netip.AddrPort                   // the socket
	remote       netip.AddrPort                   // whom it is for: narrowed as Mapping says
	port         uint16                           // outside
	static       bool                             // Forward's
	spoken       map[netip.AddrPort]*conversation // narrowed as Filtering says
}

// conversation is what the timeout depends on.
type conversation struct {
	last     time.Time // packet outwards
	answered bool
}

type innerKey struct{ inside, remote netip.AddrPort }

type outerKey struct {
	port   uint16
	remote netip.AddrPort
}

type v6Key struct{ inside, remote netip.AddrPort }

// narrow leaves of an address what a mapping or a filter depends on: level 0
// nothing, 1 the address, 2 the port too.
func narrow(level uint8, a netip.AddrPort) netip.AddrPort {
	switch level {
	case 0:
		return netip.AddrPort{}
	case 1:
		return netip.AddrPortFrom(a.Addr(), 0)
	}
	return a
}

// forget drops everything that traffic has made.
func (r *Router) forget() {
	old := r.outer
	r.inner, r.outer, r.ports = make(map[innerKey]*mapping), make(map[outerKey]*mapping), make(map[uint16][]*mapping)
	r.admitted, r.firewall = make(map[outerKey]time.Time), make(map[v6Key]*conversation)
	r.crowded = 1024
	for _, m := range old {
		if m.static {
			r.add(m)
		}
	}
}

func (r *Router) add(m *mapping) {
	r.inner[innerKey{m.inside, m.remote}] = m
	r.outer[outerKey{m.port, m.remote}] = m
	r.ports[m.port] = append(r.ports[m.port], m)
}

func (r *Router) remove(m *mapping) {
	delete(r.inner, innerKey{m.inside, m.remote})
	delete(r.outer, outerKey{m.port, m.remote})
	left := slices.DeleteFunc(r.ports[m.port], func(other *mapping) bool { return other == m })
	if r.ports[m.port] = left; len(left) == 0 {
		delete(r.ports, m.port)
	}
}

// sweep removes what has timed out.
func (r *Router) sweep() {
	for _, m := range r.outer {
		r.live(m)
	}
	for key, last := range r.admitted {
		if !r.fresh(&conversation{last: last}) {
			delete(r.admitted, key)
		}
	}
	for key, c := range r.firewall {
		if !r.fresh(c) {
			delete(r.firewall, key)
		}
	}
	r.crowded = 1024 + 2*len(r.outer)
}

// fresh says whether a conversation has not timed out.
func (r *Router) fresh(c *conversation) bool {
	if c == nil {
		return false
	}
	limit := r.cfg.Timeout
	switch {
	case limit > 0:
	case c.answered:
		limit = natAnswered
	default:
		limit = natUnanswered
	}
	return time.Since(c.last) < limit
}

// live returns m, or nil after removing it if it has timed out.
func (r *Router) live(m *mapping) *mapping {
	if m == nil || m.static || r.fresh(&m.conversation) {
		return m
	}
	r.remove(m)
	return nil
}

// own says whether a port is in a conversation of the router itself with
// somebody.
func (r *Router) own(port uint16, with netip.AddrPort) bool {
	last, ok := r.admitted[outerKey{port, with}]
	return ok && r.fresh(&conversation{last: last})
}

// translate returns the mapping by which a packet from inside goes out, nil if
// no port was found.
func (r *Router) translate(inside, remote netip.AddrPort) *mapping {
	m := r.mapped(inside, remote)
	if m == nil {
		return nil
	}
	m.last = time.Now()
	key := narrow(uint8(r.cfg.Filtering), remote)
	c := m.spoken[key]
	if !r.fresh(c) {
		c = &conversation{}
		if m.spoken == nil {
			m.spoken = make(map[netip.AddrPort]*conversation)
		}
		m.spoken[key] = c
	}
	c.last = m.last
	return m
}

func (r *Router) mapped(inside, remote netip.AddrPort) *mapping {
	if m := r.inner[innerKey{inside: inside}]; m != nil && m.static {
		return m
	}
	if m := r.live(r.inner[innerKey{inside, remote}]); m != nil {
		return m
	}
	scope := narrow(uint8(r.cfg.Mapping), remote)
	if m := r.live(r.inner[innerKey{inside, scope}]); m != nil {
		if !r.own(m.port, remote) {
			return m
		}
		scope = remote // another port for this one only
	}
	if len(r.outer) > r.crowded {
		r.sweep()
	}
	port, ok := r.choose(inside.Port(), func(port uint16) bool { return r.free(port, scope) && !r.own(port, remote) })
	if !ok {
		return nil
	}
	m := &mapping{inside: inside, remote: scope, port: port}
	r.add(m)
	return m
}

// choose returns an outer port for an inner one.
func (r *Router) choose(inner uint16, free func(uint16) bool) (port uint16, ok bool) {
	if r.cfg.PreservePorts {
		if port := r.preserved(inner); free(port) {
			return port, true
		}
	}
	for range natAttempts {
		if port := natFirstPort + uint16(r.rng.UintN(1<<16-natFirstPort)); free(port) {
			return port, true
		}
	}
	return 0, false
}

// preserved is the outer port of an inner one, if it is free.
func (r *Router) preserved(inner uint16) uint16 {
	if inner < natFirstPort {
		return inner
	}
	const count = 1<<16 - natFirstPort
	return natFirstPort + uint16((uint32(inner)-natFirstPort+uint32(r.shift))%count)
}

// free says whether a port can be given to whoever speaks to those in scope.
func (r *Router) free(port uint16, scope netip.AddrPort) bool {
	for level := range uint8(3) {
		if r.live(r.outer[outerKey{port, narrow(level, scope)}]) != nil {
			return false
		}
	}
	if scope.Port() != 0 {
		return true
	}
	// Whatever is narrower than the scope is in the way as well.
	return !slices.ContainsFunc(r.ports[port], func(m *mapping) bool {
		return (!scope.IsValid() || m.remote.Addr() == scope.Addr()) && r.fresh(&m.conversation)
	})
}

// find returns the mapping that lets a packet from outside in, nil if there is
// none.
func (r *Router) find(port uint16, remote netip.AddrPort) *mapping {
	for level := range uint8(3) {
		if m := r.live(r.outer[outerKey{port, narrow(2-level, remote)}]); m != nil && r.lets(m, remote) {
			return m
		}
	}
	if r.cfg.Filtering == FilterAddressPort {
		return nil
	}
	for _, m := range slices.Backward(r.ports[port]) {
		if r.fresh(&m.conversation) && r.lets(m, remote) {
			return m
		}
	}
	return nil
}

func (r *Router) lets(m *mapping, remote netip.AddrPort) bool {
	return m.static || r.cfg.Filtering == FilterEndpointIndependent ||
		r.fresh(m.spoken[narrow(uint8(r.cfg.Filtering), remote)])
}

// outward passes a packet from inside.
func (r *Router) outward(p packet) {
	back := p.to.Addr() == r.public
	if r.cfg.BlockUDP || back && !r.cfg.Hairpin || !p.hop() {
		return
	}
	switch {
	case p.to.Addr().Is4():
		m := r.translate(p.from, p.to)
		if m == nil {
			return
		}
		p.from = netip.AddrPortFrom(r.public, m.port)
	case !routed(p.from.Addr()):
		return
	case r.cfg.V6Firewall:
		if len(r.firewall) > r.crowded {
			r.sweep()
		}
		key := v6Key{p.from, p.to}
		c := r.firewall[key]
		if !r.fresh(c) {
			c = &conversation{}
			r.firewall[key] = c
		}
		c.last = time.Now()
	}
	if back {
		p.ttl++ // this router is passed once
		r.inward(p)
		return
	}
	r.wan.network.carry(p, &r.wan)
}

// inward passes a packet from outside.
func (r *Router) inward(p packet) {
	if r.cfg.BlockUDP {
		return
	}
	if p.to.Addr().Is6() {
		c := r.firewall[v6Key{p.to, p.from}]
		if r.cfg.V6Firewall && !r.fresh(c) || !p.hop() {
			return
		}
		if c != nil {
			c.answered = true
		}
		r.carry(p, nil)
		return
	}
	m := r.find(p.to.Port(), p.from)
	if m == nil {
		if r.cfg.AdmitsUnsolicited {
			r.admitted[outerKey{p.to.Port(), p.from}] = time.Now()
			p.refuse()
		}
		return
	}
	if !p.hop() {
		return
	}
	m.answered = true
	if c := m.spoken[narrow(uint8(r.cfg.Filtering), p.from)]; c != nil {
		c.answered = true
	}
	p.to = m.inside
	r.carry(p, nil)
}

// tcpPort returns an outer port for a connection.
func (r *Router) tcpPort(inner uint16) uint16 {
	port, _ := r.choose(inner, func(port uint16) bool { _, taken := r.tcp[port]; return !taken })
	return port
}
