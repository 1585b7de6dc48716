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

// Why there is no mapping. The texts are sentences for people.
var (
	ErrNotNeeded  = errors.New("No router is asked for an open port, because the coordinator sees this computer's own address.")
	ErrNotKnown   = errors.New("No router is asked for an open port yet, because the coordinator hasn't said how it sees this computer.")
	ErrNoGateway  = errors.New("There is no router on the way to the coordinator that could open a port.")
	ErrNoAnswer   = errors.New("The router opens no ports by itself. To be reached directly more often, switch on UPnP, NAT-PMP or PCP in the router's settings.")
	ErrRefused    = errors.New("The router refused to open a port. Look in the router's settings whether this computer may open ports by UPnP, NAT-PMP or PCP.")
	ErrDoubleNAT  = errors.New("The router opened a port, but it is itself behind another router or a provider's NAT, so the port can't be reached from the Internet.")
	ErrBadAnswer  = errors.New("The router's answers make no sense. A restart or an update of the router may help.")
	ErrNoExternal = errors.New("The router has no address on the Internet now, so it can't open a port.")
)

// trouble is one of the sentences above with what happened in detail, for the
// log.
type trouble struct {
	sentence, detail error
}

func (e *trouble) Error() string   { return e.sentence.Error() + " (" + e.detail.Error() + ")" }
func (e *trouble) Unwrap() []error { return []error{e.sentence, e.detail} }

func because(sentence error, format string, args ...any) error {
	return &trouble{sentence, fmt.Errorf(format, args...)}
}

// Sentence returns what an error of this package says to a person, without its
// details; it is empty for nil.
func Sentence(err error) string {
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.sentence.Error()
	}
	if err != nil {
		return err.Error()
	}
	return ""
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
	// Err says why there is no mapping; nil if there is one.
	Err error
}
