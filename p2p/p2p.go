// Package p2p is what a client needs of the network, whichever protocol serves
// it: a Transport logs in at a coordinator, tells who came and who left, and
// carries messages straight to other people. The engine in tray/client sees
// nothing else, so it never asks which protocol a person speaks.
package p2p

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Person is an entry of the roster.
type Person struct {
	// Name is unique on the roster, as the coordinator spells it.
	Name string
	// Addr is where this person listens.
	Addr netip.AddrPort
	// Verified says that the person has proved to be the holder of the name.
	// It is never set for a classic person.
	Verified bool
}

// Event is what a Transport tells its owner. Events arrive one at a time, in
// the order in which they took effect.
type Event interface{ event() }

type (
	// Connecting says that a login is under way.
	Connecting struct{ Server string }
	// Connected says that the login was accepted under this identity. Roster
	// is everyone who is online, the person itself left out; it replaces what
	// was known before.
	Connected struct {
		Server string
		Self   Person
		Roster []Person
	}
	// Disconnected says that the coordinator is out of reach; the roster is
	// stale from now on. Cause is a member of ErrTransport and reads as a
	// sentence. Retry is when the next login starts; zero means never, because
	// only a change of the settings can help.
	Disconnected struct {
		Cause error
		Retry time.Time
	}
	// Came says that a person came online, or is online at a new address.
	Came struct{ Person Person }
	// Left says that a person went offline.
	Left struct{ Name string }
	// Received is a message. Known says that it came from the address at
	// which From is on the roster.
	Received struct {
		From  string
		Text  string
		Group bool // to everyone, through the coordinator
		Known bool
	}
)

func (Connecting) event()   {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Came) event()         {}
func (Left) event()         {}
func (Received) event()     {}

// Transport is one login at one coordinator.
type Transport interface {
	// Run logs in, keeps the login alive and calls on for each event, from
	// one goroutine, until ctx ends; it then logs out and returns nil. It
	// returns an error of the family ErrTransport only if it can never work,
	// after a Disconnected without Retry. It may be called once.
	Run(ctx context.Context, on func(Event)) error
	// Send carries text to one person and returns when as much is known of
	// its arrival as the protocol ever tells. It may be called from any
	// goroutine while Run runs; messages to one person arrive in the order of
	// the calls. ErrUnreachable means that nobody listens there any more.
	Send(ctx context.Context, to Person, text string) error
	// SendToAll carries text to everyone who is online, through the
	// coordinator. Whoever sent it receives it too.
	SendToAll(ctx context.Context, text string) error
}

// ErrTransport is the family of everything that goes wrong on the way to the
// coordinator or to another person.
var ErrTransport = errors.New("transport")

var (
	// ErrRefused is a coordinator's answer to a login. What wraps it carries
	// the coordinator's sentence.
	ErrRefused = fmt.Errorf("%w: refused", ErrTransport)
	// ErrNoAnswer is a coordinator that doesn't answer.
	ErrNoAnswer = fmt.Errorf("%w: no answer", ErrTransport)
	// ErrUnreachable is a person or coordinator at whose address nothing
	// listens.
	ErrUnreachable = fmt.Errorf("%w: unreachable", ErrTransport)
	// ErrNotConnected is a call that needs a login while there is none.
	ErrNotConnected = fmt.Errorf("%w: not connected", ErrTransport)
)
