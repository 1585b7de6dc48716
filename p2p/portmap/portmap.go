package portmap

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Method is a protocol by which a router opens ports.
type Method uint8

const (
	_ Method = iota
	// PCP is the Port Control Protocol (RFC 6887).
	PCP
	// NATPMP is its predecessor (RFC 6886).
	NATPMP
	// UPnP is Universal Plug and Play's Internet Gateway Device.
	UPnP
)

var methodNames = [...]string{PCP: "PCP", NATPMP: "NAT-PMP", UPnP: "UPnP"}

// String is the protocol's name; it is empty for no protocol.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return ""
}

// Reason is why there is no mapping: a word for programs, which Error says as a
// sentence to people.
type Reason string

// Reasons.
const (
	ErrNotNeeded  Reason = "not-needed"
	ErrNotKnown   Reason = "not-known"
	ErrNoGateway  Reason = "no-router"
	ErrNoAnswer   Reason = "no-answer"
	ErrRefused    Reason = "refused"
	ErrDoubleNAT  Reason = "double-nat"
	ErrBadAnswer  Reason = "bad-answer"
	ErrNoExternal Reason = "no-address"
)

var sentences = map[Reason]string{
	ErrNotNeeded:  "No router is asked for an open port, because the coordinator sees this computer's own address.",
	ErrNotKnown:   "No router is asked for an open port, because the coordinator hasn't seen this computer by UDP over IPv4.",
	ErrNoGateway:  "There is no router on the way to the coordinator that could open a port.",
	ErrNoAnswer:   "The router opens no ports by itself. To be reached directly more often, switch on UPnP, NAT-PMP or PCP in the router's settings.",
	ErrRefused:    "The router refused to open a port. Look in the router's settings whether this computer may open ports by UPnP, NAT-PMP or PCP.",
	ErrDoubleNAT:  "The router opens ports, but is itself behind another router or a provider's NAT, so they can't be reached from the Internet.",
	ErrBadAnswer:  "The router's answers make no sense. A restart or an update of the router may help.",
	ErrNoExternal: "The router says that it has no address on the Internet. It is probably behind another router or a provider's NAT, so it can't open a port there.",
}

// Error is a sentence.
func (r Reason) Error() string { return sentences[r] }

// trouble is a Reason with what happened in detail, for the log.
type trouble struct {
	reason Reason
	detail error
}

func (e *trouble) Error() string   { return string(e.reason) + ": " + e.detail.Error() }
func (e *trouble) Unwrap() []error { return []error{e.reason, e.detail} }

func because(r Reason, format string, args ...any) error {
	return &trouble{r, fmt.Errorf(format, args...)}
}

// ReasonOf returns the reason in an error of this package, which is the
// outermost one; it is empty for nil.
func ReasonOf(err error) Reason {
	r, _ := errors.AsType[Reason](err)
	return r
}

// Outside is what is known of the way out, of IPv4: there is no NAT elsewhere.
type Outside struct {
	// Toward is the coordinator: the router on the way there is asked.
	Toward netip.Addr
	// Seen is how the coordinator sees this host; the zero Addr if that isn't
	// known, and then no router is asked.
	Seen netip.Addr
	// NAT says that there is one in between. Without one there is nothing to
	// open, and no router is asked.
	NAT bool
}

// Status is how a Mapper stands.
type Status struct {
	// Method and External are those of the mapping; zero if there is none.
	Method   Method
	External netip.AddrPort
	// Gateway is the router that was asked last.
	Gateway netip.Addr
	// Until is when the mapping ends if the router isn't heard of again.
	Until time.Time
	// Err says why there is no mapping, in the words of programs; a person is
	// told ReasonOf(Err). It is nil if there is a mapping.
	Err error
}
