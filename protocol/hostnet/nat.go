package hostnet

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Mapping is how a NAT chooses the outer port of an inner socket (RFC 4787 4.1).
type Mapping uint8

const (
	// EndpointIndependent: one port, whoever it speaks to.
	EndpointIndependent Mapping = iota
	// AddressDependent: a port for each address that it speaks to.
	AddressDependent
	// AddressPortDependent: a port for each address and port that it speaks to.
	AddressPortDependent
)

// Filtering is whose packets a NAT lets in to a mapping (RFC 4787 5).
type Filtering uint8

const (
	// FilterEndpointIndependent: everybody's.
	FilterEndpointIndependent Filtering = iota
	// FilterAddress: those from addresses that were spoken to.
	FilterAddress
	// FilterAddressPort: those from addresses and ports that were spoken to.
	FilterAddressPort
)

// NATConfig is how a NAT behaves (RFC 4787). The zero value lets in most.
type NATConfig struct {
	Mapping   Mapping
	Filtering Filtering
	// PreservePorts gives a socket its own port outside while that is free,
	// otherwise a random one. With AddressPortDependent mapping a port is free
	// as long as nobody speaks from it to that same address and port: this is
	// Linux's masquerade.
	PreservePorts bool
	// Hairpin takes packets from inside to an outer port back in, from the
	// sender's outer port (RFC 4787 6). Otherwise they are lost.
	Hairpin bool
	// AdmitsUnsolicited is a router whose own input chain accepts. A packet
	// that no mapping lets in is then the router's own conversation with that
	// sender, so that a socket inside which later speaks to the sender must
	// take another port for that: plain hole punching fails.
	AdmitsUnsolicited bool
	// BlockUDP passes no datagram, either way.
	BlockUDP bool
	// Timeout is how long a mapping, and a filter's leave, last after the last
	// packet outwards. 0 is 30 s, and 120 s once there was an answer.
	Timeout time.Duration
	// V6Firewall lets in what comes to IPv6 hosts only from an address and port
	// that was spoken to, and no TCP connections. Addresses are not translated.
	V6Firewall bool
}

// EasyNAT is a usual home router: Linux's masquerade behind which the own ports
// are seen outside, and which lets answers in.
func EasyNAT() NATConfig {
	return NATConfig{Mapping: AddressPortDependent, Filtering: FilterAddressPort, PreservePorts: true, V6Firewall: true}
}

// HardNAT has a new random port for every destination ("symmetric").
func HardNAT() NATConfig {
	return NATConfig{Mapping: AddressPortDependent, Filtering: FilterAddressPort, V6Firewall: true}
}

// OpenInputNAT is an EasyNAT which itself admits unsolicited packets.
func OpenInputNAT() NATConfig {
	cfg := EasyNAT()
	cfg.AdmitsUnsolicited = true
	return cfg
}

// FullConeNAT has one port for a socket, which is open to everybody.
func FullConeNAT() NATConfig {
	return NATConfig{V6Firewall: true}
}

// BlockedNAT passes TCP only.
func BlockedNAT() NATConfig {
	cfg := EasyNAT()
	cfg.BlockUDP = true
	return cfg
}

// Router has an address on one network and another network behind it, which the
// methods of Network are about. TCP connections go outwards through it, and are
// refused inwards. The Sim's mutex guards it.
type Router struct {
	Network  // behind it
	wan      attachment
	cfg      NATConfig
	public   netip.Addr
	rng      *rand.Rand
	shift    uint16 // from a preserved port to the outer one
	inner    map[innerKey]*mapping
	outer    map[outerKey]*mapping
	ports    map[uint16][]*mapping   // the newest last
	admitted map[outerKey]time.Time  // the router's own conversations
	firewall map[v6Key]*conversation // of IPv6
	crowded  int                     // how many mappings there may be before the dead ones are swept out
	tcp      map[uint16]struct{}     // outer ports of connections
	routes   map[*route]struct{}     // TCP connections that pass
}

// NAT puts a router with a public address on the network and returns it with
// the network behind it, on which hosts are made with private addresses.
// Networks behind different routers may have the same ones. A router's NAT is a
// NAT behind a NAT.
func (n *Network) NAT(public netip.Addr, cfg NATConfig) *Router {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	public = public.Unmap()
	if n.nodes[public] != nil || !public.Is4() {
		panic("hostnet: a router needs a free IPv4 address")
	}
	r := &Router{cfg: cfg, public: public, wan: n.attach(public, true), rng: n.sim.source(public, 3),
		tcp: make(map[uint16]struct{}), routes: make(map[*route]struct{})}
	r.Network = Network{sim: n.sim, router: r, nodes: make(map[netip.Addr]node)}
	r.forget()
	n.nodes[public] = r
	return r
}

func (r *Router) line() *attachment { return &r.wan }

// Latency sets how long everything takes on the router's outer line, besides
// the network there, one way. The network behind it has none unless
// Network.Latency says so.
func (r *Router) Latency(d time.Duration) {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	r.wan.latency = d
}

// Lossy sets which shares of datagrams are lost on the router's outer line, to
// the outside and from there.
func (r *Router) Lossy(out, in float64) {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	r.wan.out.lost, r.wan.in.lost = out, in
}

// Rebind is a power cycle: the router forgets all mappings, and gives every
// socket another port than before. TCP connections that pass are reset at their
// next use, by either side. What Forward said stays.
func (r *Router) Rebind() {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	r.shift += 1009
	r.forget()
	r.cut(false)
}

// SetPublic gives the router another address: mappings and TCP connections of
// the old one are dead, the latter without anybody saying so.
func (r *Router) SetPublic(addr netip.Addr) {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	nodes := r.wan.network.nodes
	if addr = addr.Unmap(); nodes[addr] != nil || !addr.Is4() {
		panic("hostnet: a router needs a free IPv4 address")
	}
	delete(nodes, r.public)
	r.public = addr
	nodes[addr] = r
	r.forget()
	r.cut(true)
}

func (r *Router) cut(silent bool) {
	for rt := range r.routes {
		rt.gone, rt.silent = true, silent
		rt.free()
	}
}

// Forward opens an outer port to everybody, for a socket inside which is seen
// at that port wherever it speaks to: what a person sets up by hand, or a
// program by UPnP.
func (r *Router) Forward(port uint16, inside netip.AddrPort) {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	r.add(&mapping{inside: inside, port: port, static: true})
}

// Unforward takes back what Forward said.
func (r *Router) Unforward(port uint16) {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	if m := r.outer[outerKey{port: port}]; m != nil && m.static {
		r.remove(m)
	}
}

// Mappings returns how many mappings there are for UDP, without those of
// Forward.
func (r *Router) Mappings() int {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	r.sweep()
	n := 0
	for _, m := range r.outer {
		if !m.static {
			n++
		}
	}
	return n
}

// Public returns the router's outer address.
func (r *Router) Public() netip.Addr {
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	return r.public
}
