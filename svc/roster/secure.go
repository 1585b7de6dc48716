package roster

import (
	"net/netip"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Secure is what a user has whose devices have proved their keys. It is never
// changed once it is on a roster.
type Secure struct {
	Status Status
	// Devices are all of the account's, those that are offline too.
	Devices []Device
}

// Status is what a user says of itself.
type Status struct {
	Presence                      wire.Presence
	Text, DisplayName, Department string
}

// Device is one of a user's.
type Device struct {
	Key        identity.PublicKey
	Label      string
	Online     bool
	Candidates []Candidate
	// Endorsements are by other devices of the account.
	Endorsements []Endorsement
}

// Candidate is an address at which a device may be reached.
type Candidate struct {
	Kind    wire.Candidate_Kind
	Address netip.AddrPort
}

// Endorsement is a device's word for another one; see identity.Key.Endorse.
type Endorsement struct {
	By        identity.PublicKey
	Signature []byte
}

// Wire returns the user as the secure protocol has it.
func (u User) Wire() *wire.User {
	w := &wire.User{Id: u.ID, Name: u.Name}
	if u.Endpoint.IsValid() {
		w.Classic = &wire.Classic{Endpoint: wire.Address(u.Endpoint), Encoding: wire.Encoding(u.Encoding) + 1}
	}
	if u.Secure != nil {
		w.Status = u.Secure.Status.Wire()
		for _, d := range u.Secure.Devices {
			w.Devices = append(w.Devices, d.Wire())
		}
	}
	return w
}

// Wire returns the status as the secure protocol has it.
func (s Status) Wire() *wire.Status {
	return &wire.Status{Presence: s.Presence, Text: s.Text, DisplayName: s.DisplayName, Department: s.Department}
}

// Wire returns the device as the secure protocol has it.
func (d Device) Wire() *wire.Device {
	w := &wire.Device{Key: d.Key[:], Label: d.Label, Online: d.Online, Candidates: WireCandidates(d.Candidates)}
	for _, e := range d.Endorsements {
		w.Endorsements = append(w.Endorsements, &wire.Endorsement{By: e.By[:], Signature: e.Signature})
	}
	return w
}

// WireCandidates returns addresses as the secure protocol has them.
func WireCandidates(candidates []Candidate) []*wire.Candidate {
	var w []*wire.Candidate
	for _, c := range candidates {
		w = append(w, &wire.Candidate{Kind: c.Kind, Address: wire.Address(c.Address)})
	}
	return w
}

func encode(u User) []byte {
	b, err := proto.Marshal(u.Wire())
	if err != nil {
		panic(err) // only invalid UTF-8 fails, which nobody puts on a roster
	}
	return b
}
