package hostnet

import (
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"
)

// Network is one of a Sim's networks: hosts, and routers by their outer
// addresses, that reach each other without a router between them. It is the
// core of a Sim, or what is behind a Router.
type Network struct {
	sim     *Sim
	router  *Router // the way out; nil at the core
	nodes   map[netip.Addr]node
	loss    func(from, to netip.AddrPort, b []byte) bool
	latency time.Duration
}

// node is a *simHost or a *Router. On the way to an IPv6 host behind a router,
// the router is the node for its address.
type node interface{ line() *attachment }

// attachment is the line by which a host or router hangs on a network.
type attachment struct {
	network *Network
	router  bool // a router's, not a host's
	down    bool
	latency time.Duration
	out, in share
}

// share is how many datagrams a line loses in one direction.
type share struct {
	lost float64
	rng  *rand.Rand
}

func (s *share) loses() bool { return s.lost > 0 && s.rng.Float64() < s.lost }

func (a *attachment) line() *attachment { return a }

// attach returns the line of a new node. Chance depends on its address alone,
// so that what happens on one line doesn't depend on the others.
func (n *Network) attach(addr netip.Addr, router bool) attachment {
	return attachment{network: n, router: router, out: share{rng: n.sim.source(addr, 1)}, in: share{rng: n.sim.source(addr, 2)}}
}

// source returns a source of chance for an address and a purpose.
func (s *Sim) source(addr netip.Addr, purpose uint64) *rand.Rand {
	for _, b := range addr.As16() {
		purpose = purpose*1099511628211 + uint64(b)
	}
	return rand.New(rand.NewPCG(s.seed, purpose))
}

// Host puts a host with these addresses on the network and returns what its
// programs see of it. An address that is in use is returned as the host that
// has it, so that several programs share a host. There is no loopback: a host
// reaches itself at its own address.
//
// Behind a router, IPv4 addresses are known on that network only. IPv6 addresses
// that are not private (RFC 4193) are reached from everywhere, by way of the
// router.
func (n *Network) Host(addr netip.Addr, more ...netip.Addr) Net {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if taken := n.nodes[addr.Unmap()]; taken != nil {
		return taken.(*simHost) // a router runs no programs
	}
	h := &simHost{sim: n.sim, attachment: n.attach(addr.Unmap(), false),
		udp: make(map[uint16]*simPacketConn), tcp: make(map[uint16]any), conns: make(map[*simConn]struct{})}
	n.sim.hosts[h] = struct{}{}
	h.settle(append([]netip.Addr{addr}, more...))
	return h
}

// settle gives a host its addresses on the network that it is attached to.
func (h *simHost) settle(addrs []netip.Addr) {
	h.addrs = nil
	for _, a := range addrs {
		a = a.Unmap()
		h.addrs = append(h.addrs, a)
		h.network.nodes[a] = h
		if routed(a) {
			for r := h.network.router; r != nil; r = r.wan.network.router {
				r.wan.network.nodes[a] = r
			}
		}
	}
}

// leave takes a host's addresses off the network.
func (h *simHost) leave() {
	for _, a := range h.addrs {
		delete(h.network.nodes, a)
		if routed(a) {
			for r := h.network.router; r != nil; r = r.wan.network.router {
				delete(r.wan.network.nodes, a)
			}
		}
	}
}

// routed says whether an address behind a router means something outside.
func routed(a netip.Addr) bool { return a.Is6() && matters(a) && !a.IsPrivate() }

// Move takes a host from the network that it is on to this one, as a laptop is
// carried to another place, with other addresses. Sockets that listen
// everywhere go on, other UDP sockets too but nothing reaches them. Its TCP
// connections are dead, and nobody says so.
func (n *Network) Move(host Net, addr netip.Addr, more ...netip.Addr) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	h := host.(*simHost)
	h.leave()
	h.network = n
	h.settle(append([]netip.Addr{addr}, more...))
	for c := range h.conns {
		c.route.gone, c.route.silent = true, true
	}
	h.tell(Moved)
}

// Loss has lost asked about every datagram that enters this network, from a
// host or a router, with the addresses that it has there: at the core those
// that NATs gave it, behind a router those inside. The datagram is lost when
// lost returns true. lost must not keep b. nil, the default, loses nothing.
func (n *Network) Loss(lost func(from, to netip.AddrPort, b []byte) bool) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	n.loss = lost
}

// Latency sets how long everything takes from one node of this network to
// another, one way. What is under way keeps its time.
func (n *Network) Latency(d time.Duration) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	n.latency = d
}

// Line is the line by which a host or a router hangs on its network.
type Line struct {
	Latency time.Duration // one way, besides the network's own
	Out, In float64       // shares of datagrams that are lost from the node, and to it
}

// Line sets the line of the host or router at addr.
func (n *Network) Line(addr netip.Addr, line Line) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if node := n.nodes[addr.Unmap()]; node != nil {
		node.line().set(line)
	}
}

func (a *attachment) set(line Line) {
	a.latency, a.out.lost, a.in.lost = line.Latency, line.Out, line.In
}

// Down takes the cable out of a host, or of a router on its outer side:
// datagrams to and from it are lost, what is on TCP connections waits.
// down=false puts it in again. A host sees both.
func (n *Network) Down(addr netip.Addr, down bool) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	node := n.nodes[addr.Unmap()]
	if node == nil || node.line().down == down {
		return
	}
	node.line().down = down
	if h, ok := node.(*simHost); ok {
		h.tell(Moved)
	}
	for h := range n.sim.hosts { // what waits may be for the peer of an end that is closed
		for c := range h.conns {
			c.in.release()
		}
	}
}

// Kill takes a host off the network for good, as a power cut does: its sockets
// are closed and nobody else is told. Host puts a new one in its place.
func (n *Network) Kill(addr netip.Addr) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if h := n.host(addr.Unmap()); h != nil {
		h.dead = true
		h.leave()
		delete(n.sim.hosts, h)
		h.closeAll()
	}
}

// Crash ends all programs of a host, as kill -9 does, while the host stays: its
// sockets are closed, its connections reset.
func (n *Network) Crash(addr netip.Addr) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if h := n.host(addr.Unmap()); h != nil {
		h.closeAll()
	}
}

// CutTCP resets all TCP connections of a host, at both ends.
func (n *Network) CutTCP(addr netip.Addr) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	h := n.host(addr.Unmap())
	if h == nil {
		return
	}
	for c := range h.conns {
		c.fail(syscall.ECONNRESET)
		c.peer.fail(syscall.ECONNRESET)
	}
}

// host returns the host at addr on this network. The mutex is held.
func (n *Network) host(addr netip.Addr) *simHost {
	h, _ := n.nodes[addr].(*simHost)
	return h
}

// carry takes a datagram across the network, from the line of a node or, if
// that is nil, from the router that leads out of it. The mutex is held.
func (n *Network) carry(p packet, from *attachment) {
	if lost := n.loss; lost != nil {
		n.sim.mu.Unlock() // so that the hook may use the network itself
		drop := lost(p.from, p.to, p.b)
		n.sim.mu.Lock()
		if drop {
			return
		}
	}
	delay := n.latency
	if from != nil {
		if from.down || from.out.loses() {
			return
		}
		delay += from.latency
	}
	if to := n.nodes[p.to.Addr()]; to != nil {
		delay += to.line().latency
	}
	p.took += delay
	n.sim.after(delay, func() { n.arrive(p, from) })
}

// arrive is the other end of carry.
func (n *Network) arrive(p packet, from *attachment) {
	to := n.nodes[p.to.Addr()]
	if to == nil {
		if n.router != nil && from != nil {
			n.router.outward(p)
		}
		return
	}
	if line := to.line(); line.down || line.in.loses() {
		return
	}
	switch to := to.(type) {
	case *simHost:
		to.deliver(p)
	case *Router:
		// The core is a router itself, for what it takes from one router to
		// another.
		if n.router == nil && from.router && !p.hop() {
			return
		}
		to.inward(p)
	}
}

// hop is the passage of a router, and false if the packet ends there.
func (p *packet) hop() bool {
	p.ttl--
	return p.ttl > 0
}
