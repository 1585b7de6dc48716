package hostnet

import (
	"net/netip"
	"time"
)

// route is the way of a TCP connection. The network's mutex guards it.
type route struct {
	from     *simHost
	to       netip.Addr
	out      []passage // the routers that lead out, the dialling host's own first
	in       []*Router // those that lead in, to an IPv6 host; the innermost last
	networks []*Network
	seen     netip.AddrPort // what the listener takes for the dialling end
	gone     bool           // forgotten by a router
	silent   bool           // and nobody says so
	freed    bool
}

// passage is a router that knows the connection by one of its ports.
type passage struct {
	*Router
	port uint16 // 0 without translation
}

// route finds the way from a local address to a remote one, and leaves its
// traces in the routers.
func (h *simHost) route(local netip.AddrPort, to netip.Addr) *route {
	rt := &route{from: h, to: to, seen: local}
	n := h.network
	for rt.networks = append(rt.networks, n); n.nodes[to] == nil && n.router != nil; rt.networks = append(rt.networks, n) {
		r := n.router
		p := passage{Router: r}
		if to.Is4() {
			p.port = r.tcpPort(rt.seen.Port())
			r.tcp[p.port] = struct{}{}
			rt.seen = netip.AddrPortFrom(r.public, p.port)
		}
		r.routes[rt] = struct{}{}
		rt.out = append(rt.out, p)
		if to == r.public {
			break // what comes from inside is refused as what comes from outside is
		}
		n = r.wan.network
	}
	if to.Is4() {
		return rt
	}
	for r, _ := n.nodes[to].(*Router); r != nil; r, _ = n.nodes[to].(*Router) {
		r.routes[rt] = struct{}{}
		rt.in = append(rt.in, r)
		n = &r.Network
		rt.networks = append(rt.networks, n)
	}
	return rt
}

// end returns the host that the route leads to now, nil if there is none, or
// says that a router refuses.
func (rt *route) end() (h *simHost, refused bool) {
	if rt.gone {
		return nil, false
	}
	for _, r := range rt.in {
		if r.cfg.V6Firewall {
			return nil, false
		}
	}
	if len(rt.out) > 0 && rt.out[len(rt.out)-1].public == rt.to {
		return nil, true
	}
	switch to := rt.networks[len(rt.networks)-1].nodes[rt.to].(type) {
	case *simHost:
		if !to.down {
			return to, false
		}
	case *Router:
		return nil, !to.wan.down
	}
	return nil, false
}

// up says whether no cable is out on the way. The end that was dialled is not
// asked.
func (rt *route) up() bool {
	for _, p := range rt.out {
		if p.wan.down {
			return false
		}
	}
	for _, r := range rt.in {
		if r.wan.down {
			return false
		}
	}
	return !rt.from.down
}

// latency is what everything takes, one way.
func (rt *route) latency() time.Duration {
	d := rt.from.latency
	for _, n := range rt.networks {
		d += n.latency
	}
	for _, p := range rt.out {
		d += p.wan.latency
	}
	for _, r := range rt.in {
		d += r.wan.latency
	}
	if h := rt.networks[len(rt.networks)-1].host(rt.to); h != nil {
		d += h.latency
	}
	return d
}

// free has the routers forget a connection that has ended.
func (rt *route) free() {
	if rt.freed {
		return
	}
	rt.freed = true
	for _, p := range rt.out {
		delete(p.tcp, p.port)
		delete(p.routes, rt)
	}
	for _, r := range rt.in {
		delete(r.routes, rt)
	}
}
