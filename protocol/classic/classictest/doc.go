// Package classictest holds clients and a server as other programs in the field
// are, for tests of ours against them. Nothing here uses package classic, so a
// mistake there is not mirrored here, and nothing here is careful: fields are
// indexed without checking, and where the other program's receiving thread
// would end for good, this one does, and Died says why.
package classictest

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrDied is the family of what ends a fragile program's receiving thread.
var ErrDied = errors.New("this program would have died")

// User is a line of a program's list of users.
type User struct {
	Name     string
	Endpoint netip.AddrPort
}

// Event is something that a program received, or the end of its held
// connection (Verb "closed").
type Event struct {
	// Verb is the first field, of verbs too that the program ignores.
	Verb string
	// Fields is the datagram, split at its commas, the verb first.
	Fields []string
	// From is the sender's address.
	From netip.AddrPort
}

// Name is the person that a login, logout, talk or qunliao is of, else "".
func (e Event) Name() string {
	switch e.Verb {
	case "login", "logout":
		return e.Fields[1]
	case "talk", "qunliao":
		return e.Fields[2]
	}
	return ""
}

// Text is what a talk or qunliao says, as a program shows that takes the fourth
// field and nothing more.
func (e Event) Text() string {
	if e.Verb == "talk" || e.Verb == "qunliao" {
		return e.Fields[3]
	}
	return ""
}

func (e Event) String() string { return fmt.Sprintf("%q from %v", e.Fields, e.From) }

// Is matches an event by its verb and its person.
func Is(verb, name string) func(Event) bool {
	return func(e Event) bool { return e.Verb == verb && e.Name() == name }
}

// Says matches a talk or qunliao by its person and text.
func Says(name, text string) func(Event) bool {
	return func(e Event) bool {
		return (e.Verb == "talk" || e.Verb == "qunliao") && e.Name() == name && e.Text() == text
	}
}
