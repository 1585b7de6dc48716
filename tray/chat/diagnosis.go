package chat

import "time"

// Route is the way on which somebody is reached.
type Route string

const (
	// RouteNone is nobody who was reached.
	RouteNone Route = ""
	// RouteDirect is an address of the other device's own network, or one that
	// its router has opened for it.
	RouteDirect Route = "direct"
	// RoutePunched goes through a router straight to the other device, because
	// both devices opened it.
	RoutePunched Route = "punched"
	// RouteRelayed goes through the coordinator, which sees ciphertext only.
	RouteRelayed Route = "relayed"
)

// Straight says that nobody is between the two devices.
func (r Route) Straight() bool { return r == RouteDirect || r == RoutePunched }

// Protocol is what a coordinator speaks.
type Protocol string

const (
	// ProtocolUnknown is a coordinator that has not been reached.
	ProtocolUnknown Protocol = ""
	ProtocolSecure  Protocol = "secure"
	ProtocolClassic Protocol = "classic"
)

// Diagnosis is what the client has found out about the network that it is in,
// and whom it reaches from there. It holds no keys and no texts.
type Diagnosis struct {
	At       time.Time `json:"at"`
	Protocol Protocol  `json:"protocol,omitempty"`
	// Server is the coordinator's address.
	Server string `json:"server"`
	// Checks are the ways to the coordinator that were tried.
	Checks []Check `json:"checks"`
	// NAT is none, easy, hard, blocked (no UDP at all) or unknown, and
	// Firewall open, restricted or unknown; empty if nobody looked.
	NAT      string `json:"nat,omitempty"`
	Firewall string `json:"firewall,omitempty"`
	// Addresses are those at which others may reach this device.
	Addresses []Address `json:"addresses"`
	// Mapping is the protocol by which the router has opened a port (PCP,
	// NAT-PMP or UPnP). If that is empty, MappingReason is a word for why it has
	// not, and MappingWhy a sentence; all are empty if nobody was to ask it.
	Mapping       string `json:"mapping,omitempty"`
	MappingReason string `json:"mapping_reason,omitempty"`
	MappingWhy    string `json:"mapping_why,omitempty"`
	// Router is the address of the router that was asked.
	Router string `json:"router,omitempty"`
	// Relay says that a connection to the coordinator's relay stands.
	Relay bool `json:"relay,omitempty"`
	// People are those whom the client tried to reach, and NotTried is how
	// many more are online.
	People   []Reach `json:"people"`
	NotTried int     `json:"not_tried,omitempty"`
	// Hidden says that nobody was tried because the person is invisible, and
	// would have been seen.
	Hidden bool `json:"hidden,omitempty"`
}

// Check is one way to the coordinator: tcp, udp or web; or, without a client,
// name, which is the coordinator's name in the DNS.
type Check struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"ms"`
	// Why is what went wrong, in the words of programs.
	Why string `json:"why,omitempty"`
}

// Address is one at which others may reach this device: host (of its own
// network), reflexive (as others see it) or mapped (opened by the router).
type Address struct {
	Kind string `json:"kind"`
	At   string `json:"at"`
}

// Skip is why somebody was not tried.
type Skip string

const (
	SkipNot     Skip = "" // it was tried
	SkipOffline Skip = "offline"
	SkipClassic Skip = "classic" // a route is something of the secure protocol
	SkipBlocked Skip = "blocked" // Trust wants a decision first
)

// Reach is somebody whom the client tried to reach. Without a Route and a Skip
// it was in vain.
type Reach struct {
	Name         string `json:"name"`
	Route        Route  `json:"route,omitempty"`
	Milliseconds int64  `json:"ms,omitempty"`
	Skip         Skip   `json:"skip,omitempty"`
}
