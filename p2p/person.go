package p2p

import (
	"bytes"
	"net/netip"
	"slices"

	"earshot/protocol/identity"
)

// Presence is how available a person is.
type Presence uint8

// The zero value is Online, which is all that a classic person can be.
const (
	Online Presence = iota
	Away
	Busy
	// Invisible is only ever a person's own: nobody sees it on a roster.
	Invisible
)

// Status is what a person says of itself.
type Status struct {
	Presence Presence
	// Text is a short sentence, Display the name as people write it,
	// Department the group of people that the person belongs to. All may be
	// empty.
	Text, Display, Department string
}

// Person is an entry of the roster.
type Person struct {
	// Name is unique on the roster, as the coordinator spells it.
	Name   string
	Status Status
	// Addr is where this person listens for classic datagrams; it is not
	// valid if nowhere.
	Addr netip.AddrPort
	// Devices are all of the account's, online or not. A classic person has
	// none.
	Devices []Device
}

// Device is one of an account's.
type Device struct {
	Key    identity.PublicKey
	Label  string
	Online bool
	// Endorsements are what other devices of the account say for this one.
	// They are not verified.
	Endorsements []Endorsement
}

// Endorsement is a signature of one device for another.
type Endorsement struct {
	By        identity.PublicKey
	Signature []byte
}

// Secure says that the coordinator knows devices of the person.
func (p Person) Secure() bool { return len(p.Devices) > 0 }

// Equal says whether two entries say the same.
func (p Person) Equal(o Person) bool {
	return p.Name == o.Name && p.Status == o.Status && p.Addr == o.Addr &&
		slices.EqualFunc(p.Devices, o.Devices, func(a, b Device) bool {
			return a.Key == b.Key && a.Label == b.Label && a.Online == b.Online &&
				slices.EqualFunc(a.Endorsements, b.Endorsements, func(a, b Endorsement) bool {
					return a.By == b.By && bytes.Equal(a.Signature, b.Signature)
				})
		})
}
