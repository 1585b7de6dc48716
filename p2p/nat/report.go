// Package nat finds out how the NAT and the firewall in front of this host
// behave, and at which addresses others see its peer socket, by asking the
// coordinator's STUN ports (RFC 8489, RFC 5780) through that very socket.
//
// Three parts: messages (message.go) and what to ask when (round.go), and what
// the answers mean (classify.go), do no I/O and read no clock; the Asker puts
// them on a socket that somebody else reads.
package nat

import (
	"net/netip"
	"time"
)

// Kind is how a NAT maps what its hosts send (RFC 4787, 4.1).
type Kind uint8

const (
	// Unknown has not been found out: only one of the coordinator's ports
	// answered.
	Unknown Kind = iota
	// None is no NAT at all: the coordinator sees an address of this host.
	None
	// Easy is a NAT that maps a socket to one address, whomever it sends to
	// (endpoint-independent), so that others can be told that address. With a
	// coordinator that has one address only, a mapping that depends on the
	// address and not on the port (RFC 4787 advises against those) looks the same.
	Easy
	// Hard is a NAT that maps a socket to another port, or address, for each
	// destination.
	Hard
	// Blocked is that nothing came back from any port by UDP.
	Blocked
)

var kindNames = [...]string{Unknown: "unknown", None: "none", Easy: "easy", Hard: "hard", Blocked: "blocked"}

// String is the word that introductions carry.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Unknown]
}

// Filtering is what gets in through NAT and firewall (RFC 4787, 5).
type Filtering uint8

const (
	// FilteringUnknown has not been found out.
	FilteringUnknown Filtering = iota
	// Open lets in what comes from a port that was never asked. One address of
	// the coordinator can't tell whether it would be let in from any other
	// address, too.
	Open
	// Restricted lets in only what comes from where this host has sent to.
	Restricted
)

var filteringNames = [...]string{FilteringUnknown: "unknown", Open: "open", Restricted: "restricted"}

// String is a word for logs and programs.
func (f Filtering) String() string {
	if int(f) < len(filteringNames) {
		return filteringNames[f]
	}
	return filteringNames[FilteringUnknown]
}

// MaxHops is what Report.Hops counts up to: a datagram that gets through so many
// routers has left most NATs behind.
const MaxHops = 4

// Report is what was found out. A quick look keeps Filtering and Hops of the last
// full one, unless the network has become another one since; the beginning of a
// full one has of these what was answered by then. Kind, Filtering and Hops are those of IPv4 if it
// was answered, as that is where NATs are, or else those of IPv6.
type Report struct {
	Kind      Kind
	Filtering Filtering
	// V4 and V6 are where the coordinator's main port sees the socket: zero if it
	// doesn't. Behind a Hard NAT another peer will see another port.
	V4, V6 netip.AddrPort
	// Hops is how many routers are between here and the coordinator: 1 is at
	// most one, MaxHops so many or more, 0 unknown. With a TTL of one more a
	// datagram gets as far as the coordinator is, so through every NAT before
	// that, and hardly farther.
	Hops uint8
	RTT  time.Duration // of the fastest answer; 0 if there was none
	At   time.Time     // when it was asked
}
