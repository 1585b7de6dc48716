package p2p

import (
	"context"
	"net/netip"
	"time"

	"earshot/protocol/identity"
)

// Route is the way on which a device is reached, better ones first.
type Route uint8

const (
	// RouteNone is a device with which there is no session.
	RouteNone Route = iota
	// RouteDirect is an address that the device has on its own network, or a
	// port that its router has opened for it.
	RouteDirect
	// RoutePunched is a hole in a NAT, which both devices made (RFC 5128, 3.3).
	RoutePunched
	// RouteRelayed is the coordinator's relay, which sees ciphertext only.
	RouteRelayed
)

var routeNames = [...]string{
	RouteNone: "none", RouteDirect: "direct", RoutePunched: "punched", RouteRelayed: "relayed",
}

// String is a word for logs and programs; what people read is translated.
func (r Route) String() string {
	if int(r) < len(routeNames) {
		return routeNames[r]
	}
	return "unknown"
}

// Reached says how a device is reached from now on.
type Reached struct {
	Name   string
	Device identity.PublicKey
	Route  Route
	At     netip.AddrPort // zero for RouteNone and RouteRelayed
	// Why says of RouteNone what is wrong; it is empty if the session ended
	// because nobody used it.
	Why string
}

func (Reached) event() {}

// Network is what a client's network lets through, as far as a Transport can
// tell.
type Network struct {
	Server string
	Checks []Check
	// NAT is how the NAT on the way to the coordinator maps (RFC 4787, 4.1):
	// none, easy, hard, blocked (no UDP comes back at all) or unknown.
	NAT string
	// Firewall says whether datagrams get in that nobody asked for: open,
	// restricted or unknown.
	Firewall   string
	Candidates []Candidate
	// Mapping is the protocol by which the router has opened a port (PCP,
	// NAT-PMP or UPnP), or empty, and MappingWhy is then why not, as a sentence,
	// and MappingReason as one of portmap's words. All are empty if routers are
	// not to be asked.
	Mapping, MappingWhy, MappingReason string
	// Router is whom the port was asked of; the zero Addr if nobody was.
	Router netip.Addr
	// Relay says that a connection to the relay stands.
	Relay bool
}

// Check is one way to the coordinator.
type Check struct {
	What string // tcp, udp, or web (the WebSocket)
	OK   bool
	Took time.Duration
	Why  string // a sentence, unless OK
}

// Candidate is an address at which this device may be reached.
type Candidate struct {
	Kind string // host, reflexive or mapped
	Addr netip.AddrPort
}

// Examiner is a Transport that can tell about the network. Both calls may take
// seconds.
type Examiner interface {
	Examine(ctx context.Context) (Network, error)
	// Try makes a session with a device, if there is none, and says by which
	// way it is reached now.
	Try(ctx context.Context, device identity.PublicKey) (Route, error)
}
