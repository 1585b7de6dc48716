package storm

import (
	"fmt"

	"earshot/protocol/hostnet"
)

// kind is a NAT as RFC 4787 describes it: what it makes of a socket that speaks
// (4.1), whether the socket's own port is seen outside (4.2.1), and whom it lets
// in (5).
type kind struct {
	mapping   hostnet.Mapping
	filtering hostnet.Filtering
	preserves bool
}

// kinds are all of them. Those of one mapping and filtering stand together.
func kinds() (all []kind) {
	for m := range hostnet.AddressPortDependent + 1 {
		for f := range hostnet.FilterAddressPort + 1 {
			all = append(all, kind{m, f, false}, kind{m, f, true})
		}
	}
	return all
}

var (
	mappingNames   = [...]string{"EIM", "ADM", "APDM"}
	filteringNames = [...]string{"EIF", "ADF", "APDF"}
)

// String is the names of RFC 4787's kinds of behaviour, with a + where ports are
// preserved.
func (k kind) String() string {
	name := mappingNames[k.mapping]
	if k.preserves {
		name += "+"
	}
	return fmt.Sprint(name, "/", filteringNames[k.filtering])
}

// foretold says that a socket is seen at one port by whomever it speaks to, so
// that what the coordinator sees is what another one will see. That is so with
// endpoint-independent mapping, and behind any NAT that gives out a socket's
// own port as long as nobody else behind it has the same.
func (k kind) foretold() bool { return k.mapping == hostnet.EndpointIndependent || k.preserves }

// hears says that a NAT lets in what comes from a port that was not spoken to,
// of an address that was.
func (k kind) hears() bool { return k.filtering != hostnet.FilterAddressPort }

// open says that it lets in what comes from anywhere.
func (k kind) open() bool { return k.filtering == hostnet.FilterEndpointIndependent }

// verdict is what theory says of two people.
type verdict uint8

const (
	punched  verdict = iota // plain hole punching does
	learned                 // one learns from the other's probe where it is
	birthday                // one learns so after many guesses
	relayed                 // there is no way but the relay
	either                  // luck, or laxity of the protocol above, may find one
	verdicts
)

var verdictNames = [...]string{"punched", "learned", "birthday", "relayed", "either"}

func (v verdict) String() string { return verdictNames[v] }

// direct says that it must be done without the relay.
func (v verdict) direct() bool { return v <= birthday }

// theory says how two people get to each other whose NATs are of these kinds.
// A way is a pair of ports, a's and b's, such that what a sends to b's port
// leaves by a's and is let in, and the same from b to a: QUIC wants its packets
// to come from where it sends to (RFC 9000, 9). Both know of each other where
// the coordinator, which has one address, sees them.
func theory(a, b kind) verdict {
	switch {
	case a.foretold() && b.foretold():
		// Each sends to where the other one really is, and by that lets in what
		// comes from there, whatever it filters (RFC 5128, 3.3).
		return punched
	case !a.foretold() && !b.foretold():
		return bothHidden(a, b)
	case b.foretold():
		a, b = b, a
	}
	// Of a it is known where it is, of b not. b's probes reach a's NAT from a
	// port that a has not spoken to.
	switch {
	case a.hears():
		return learned // a answers where they came from, for which b has opened
	case b.mapping == hostnet.AddressPortDependent:
		return birthday // b speaks to a from 256 ports, a to 2,048 that it guesses
	}
	// The same would help. But one address can't tell a mapping that depends
	// on the address from one that doesn't, so that nobody knows it is needed.
	return relayed
}

// bothHidden is theory where neither knows the other one's port.
func bothHidden(a, b kind) verdict {
	fixed := func(k kind) bool { return k.mapping == hostnet.AddressDependent } // all ports of the other see one
	opens := a.open() && b.hears() || b.open() && a.hears()
	switch {
	case !fixed(a) && !fixed(b):
		// Every answer leaves by a port of its own, to which the next answer
		// does as well, so there is no pair of ports. But b's packets may go to
		// where a is open to everybody, and a's come back from another port: a
		// way for protocols that don't look.
		if opens {
			return either
		}
		return relayed
	case opens:
		// The one that is open hears the other, and answers from a new port,
		// which the other lets in because it is of the same address. If that
		// one's port is fixed, they have a pair; if not, its next probe has one
		// with the fixed port of the first.
		return learned
	case fixed(a) && fixed(b):
		return relayed // neither ever hears the other, and both are taken for easy
	case fixed(b):
		a, b = b, a
	}
	// a is fixed and taken for easy, b is hard, so that a guesses b's ports. A
	// guess that is right gets in if b hears it, from a port that b has not
	// spoken to, and tells b where a is.
	switch {
	case a.hears() && b.hears():
		return birthday
	case b.hears():
		// b's answer leaves by a new port, which a has guessed as well with a
		// probability of 3 % each time.
		return either
	}
	return relayed
}
