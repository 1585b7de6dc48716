// Package p2p is what a client needs of the network, whichever protocol serves
// it: a Transport logs in at a coordinator, tells who came and who left, and
// carries items straight to other people. The engine in tray/client sees
// nothing else, so it never asks which protocol a person speaks.
package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"earshot/protocol/identity"
)

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
		// Secure says that the coordinator has proved who it is.
		Secure bool
		// FirstUse is the coordinator's fingerprint if it was trusted because
		// it was met for the first time, so that the person may compare it;
		// otherwise it is zero.
		FirstUse identity.ID
	}
	// Disconnected says that the coordinator is out of reach; the roster is
	// stale from now on. Cause is a member of ErrTransport and reads as a
	// sentence. Retry is when the next login starts; zero means never, because
	// only a change of the settings can help.
	Disconnected struct {
		Cause error
		Retry time.Time
	}
	// Came says that a person came online, or is online and changed.
	Came struct{ Person Person }
	// Left says that a person went offline.
	Left struct{ Name string }
	// SelfChanged is the person's own entry, whenever its devices change.
	SelfChanged struct{ Person Person }
	// Received is an item from somebody. The receiver stores it durably and
	// then calls Done, once, from any goroutine: with nil, also for an item
	// that it had stored before; with an error of ErrRefusedItem if it never
	// will, which the sender is told; with any other error if it can't now,
	// and the sender will come again.
	Received struct {
		From string
		// Device is the sender's, and is zero if the item came by the classic
		// protocol, which proves nothing.
		Device identity.PublicKey
		Item   Item
		// Known says of a classic item that it came from the address at which
		// From is on the roster.
		Known bool
		// Done is nil for classic items, which nobody acknowledges.
		Done func(error)
	}
	// Typing says that somebody is writing to this person, or has stopped. It
	// holds for TypingFor at most.
	Typing struct {
		From   string
		Active bool
	}
)

func (Connecting) event()   {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Came) event()         {}
func (Left) event()         {}
func (SelfChanged) event()  {}
func (Received) event()     {}
func (Typing) event()       {}

// TypingFor is how long a sign of typing holds, and half of it is how often it
// is repeated.
const TypingFor = 6 * time.Second

// Target is where an item goes: a device, or a person by the classic protocol.
type Target struct {
	Person Person
	// Device is one of Person's, or zero for the classic protocol.
	Device identity.PublicKey
}

// Transport is one login at one coordinator.
type Transport interface {
	// Run logs in, keeps the login alive and calls on for each event, from
	// one goroutine, until ctx ends; it then logs out and returns nil. It
	// returns an error of the family ErrTransport only if it can never work,
	// after a Disconnected without Retry. It may be called once.
	Run(ctx context.Context, on func(Event)) error
	// Send hands over an item and returns at once. Items to one target leave
	// in the order of the calls, and many may be under way. done is called
	// once, from any goroutine, when as much is known of the item's arrival as
	// the protocol ever tells: nil means that it is stored at a device, and
	// that it has left for a classic person. ErrUnreachable and
	// ErrNotConnected mean that it is not known to have arrived; an error of
	// ErrRefusedItem that the receiver will never take it. It may be called
	// from any goroutine while Run runs.
	Send(to Target, item Item, done func(error))
	// SendToAll carries text to everyone who is online, through the
	// coordinator; ErrNotSupported is one that carries none.
	SendToAll(ctx context.Context, text string) error
	// Typing tells a device, if there is a session with it anyway.
	Typing(to Target, active bool)
	// SetStatus changes what the person says of itself, now and at every
	// later login.
	SetStatus(Status)
	// OfferJoin returns a code by which another device may join the account
	// until the time returned, while this device is connected.
	OfferJoin() (identity.JoinCode, time.Time, error)
	// RemoveDevice takes a device off the account.
	RemoveDevice(ctx context.Context, device identity.PublicKey) error
}

// Gated is a Transport that asks before it tells a device that wants to talk
// where this one is.
type Gated interface {
	// AskBefore has admit asked, with the person as the coordinator tells of
	// it. It may be called from any goroutine and must not wait. It is set
	// before Run; without it everyone is told.
	AskBefore(admit func(person Person, device identity.PublicKey) bool)
}

// Refusal is an error of ErrRefused whose reason a program can tell, to say it
// in its person's language. The error's text is the coordinator's sentence.
type Refusal interface {
	error
	// Reason is the name of a wire.Refused_Code without its prefix, such as
	// NAME_TAKEN. There may be others than a program knows.
	Reason() string
}

// ErrTransport is the family of everything that goes wrong on the way to the
// coordinator or to another person.
var ErrTransport = errors.New("transport")

var (
	// ErrRefused is a coordinator's answer to a login. What wraps it carries
	// the coordinator's sentence, and may be a Refusal.
	ErrRefused = fmt.Errorf("%w: refused", ErrTransport)
	// ErrNoAnswer is a coordinator that doesn't answer.
	ErrNoAnswer = fmt.Errorf("%w: no answer", ErrTransport)
	// ErrUnreachable is a person or coordinator at whose address nothing
	// listens.
	ErrUnreachable = fmt.Errorf("%w: unreachable", ErrTransport)
	// ErrNotConnected is a call that needs a login while there is none.
	ErrNotConnected = fmt.Errorf("%w: not connected", ErrTransport)
	// ErrNotSupported is a call that the coordinator's protocol has nothing
	// for.
	ErrNotSupported = fmt.Errorf("%w: the coordinator's protocol can't do this", ErrTransport)
	// ErrNotSecure is a coordinator that does not speak the secure protocol.
	ErrNotSecure = fmt.Errorf("%w: the coordinator speaks the classic protocol only", ErrTransport)
	// ErrIdentity is a coordinator that could not prove to be the one that was
	// expected.
	ErrIdentity = fmt.Errorf("%w: the coordinator is not the expected one", ErrTransport)
	// ErrRefusedItem is an item that its receiver will never take. What wraps
	// it carries the receiver's sentence.
	ErrRefusedItem = fmt.Errorf("%w: the receiver refuses it", ErrTransport)
)
