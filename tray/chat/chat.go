// Package chat holds the client's nouns: people, messages and what happens to
// them, as the engine keeps them, the store stores them, and the local API,
// the menu, the notifications and the popup show them. It does nothing.
package chat

import (
	"slices"
	"strings"
	"time"
)

// Connection is how the client stands to its coordinator.
type Connection string

const (
	Connecting Connection = "connecting"
	Online     Connection = "online"
	Offline    Connection = "offline" // the roster is kept, and stale
)

// Status is the client's own state.
type Status struct {
	Connection Connection `json:"connection"`
	// Name is the person's own name, as on the roster.
	Name   string `json:"name"`
	Server string `json:"server"`
	// Problem is a sentence that says why the client is not online and what
	// to do; empty while it is.
	Problem string `json:"problem,omitempty"`
	// Unread counts unread messages of all conversations.
	Unread int `json:"unread"`
	// Secure says that the coordinator has proved who it is, and that people
	// can be reached by the secure protocol.
	Secure bool `json:"secure"`
	// Own is what the person says of itself.
	Own OwnStatus `json:"own"`
	// Quiet says that the person does not want to be disturbed now, and
	// QuietUntil when that is over, in UTC. QuietHours says that it is so by the
	// hours that are set for each day.
	Quiet      bool      `json:"quiet,omitempty"`
	QuietUntil time.Time `json:"quiet_until,omitzero"`
	QuietHours bool      `json:"quiet_hours,omitempty"`
	// Fingerprint is the coordinator's if it was met for the first time and
	// trusted for that; empty otherwise.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Language is the BCP 47 tag of the interface.
	Language string `json:"language"`
	Version  string `json:"version"`
	// Seat tells the desktop session in which the client runs from others of
	// the same account; empty if it runs in none.
	Seat string `json:"seat,omitempty"`
}

// Presence is how available a person is.
type Presence string

// Invisible is only ever one's own.
const (
	Available Presence = "online"
	Away      Presence = "away"
	Busy      Presence = "busy"
	Invisible Presence = "invisible"
)

// OwnStatus is what the person says of itself. All texts may be empty.
type OwnStatus struct {
	Presence   Presence `json:"presence"`
	Text       string   `json:"text,omitempty"`
	Display    string   `json:"display,omitempty"`
	Department string   `json:"department,omitempty"`
}

// Trust is how sure it is that somebody is who the name says.
type Trust string

const (
	// TrustNone is a person who speaks the classic protocol: nothing is proved
	// and nothing encrypted.
	TrustNone Trust = ""
	// TrustPinned is a person whose devices are those that were seen first, or
	// were vouched for by them.
	TrustPinned Trust = "pinned"
	// TrustVerified is such a person whose safety number was compared.
	TrustVerified Trust = "verified"
	// TrustChanged is a person who came with a device that nobody vouches for.
	// Nothing is sent to or taken from that device until it is accepted.
	TrustChanged Trust = "changed"
	// TrustLost is a person who was once seen secure and is online by the
	// classic protocol only. Nothing is sent until that is accepted.
	TrustLost Trust = "lost"
)

// Blocked says that nothing goes to the person before the person in front of
// the screen has decided.
func (t Trust) Blocked() bool { return t == TrustChanged || t == TrustLost }

// Person is somebody with whom one can have a conversation: whoever is on the
// roster, and whoever was and has a conversation.
type Person struct {
	Name   string `json:"name"`
	Online bool   `json:"online"`
	// Stale says that Online is what was last known: the coordinator is away.
	Stale bool `json:"stale,omitempty"`
	// Presence is set while the person is online.
	Presence   Presence `json:"presence,omitempty"`
	StatusText string   `json:"status_text,omitempty"`
	Display    string   `json:"display,omitempty"`
	Department string   `json:"department,omitempty"`
	// Secure says that what is written to this person is encrypted for the
	// person's devices.
	Secure bool  `json:"secure"`
	Trust  Trust `json:"trust,omitempty"`
	// Verified says that Trust is TrustVerified.
	Verified bool `json:"verified"`
	// Favourite says that the person wants this one near the top.
	Favourite bool `json:"favourite,omitempty"`
	// Typing says that the person is writing to this one now.
	Typing bool `json:"typing,omitempty"`
	// Route is the way on which the person was reached last, the best one if
	// there are several devices; empty if never since the client started.
	Route Route `json:"route,omitempty"`
	// Connected says that this way stands now. It is given up when nobody uses
	// it, and made again when somebody does.
	Connected bool `json:"connected,omitempty"`
	// Unreachable says in a few words why the last connection broke, until
	// there is another one.
	Unreachable string `json:"unreachable,omitempty"`
	Address     string `json:"address,omitempty"`
	// Unread counts unread messages from this person.
	Unread int `json:"unread"`
	// LastMessage is when the last message was exchanged; zero if never.
	LastMessage time.Time `json:"last_message,omitzero"`
}

// State is how far a message has come.
type State string

const (
	// Sending is a message that is stored here and not yet on its way, be it
	// for a moment or until the person comes online (Waiting).
	Sending State = "sending"
	// Sent is a message that has left this computer. Classic people don't
	// acknowledge, so for them it is the last state.
	Sent State = "sent"
	// Delivered is a message that one of the receiver's devices has stored.
	Delivered State = "delivered"
	// Read is a message that the receiver has seen, if the receiver lets
	// others know.
	Read State = "read"
	// Failed is a message that could not be sent; Problem says why. It goes
	// again only when the person asks for it.
	Failed State = "failed"
	// Received is a message from somebody else.
	Received State = "received"
)

// Everyone is the Peer of messages that were sent to all. It can't be anyone's
// name, for it holds a comma.
const Everyone = ",everyone"

// FindSeveral is no addressee: where a window is opened it is the Find popup, in
// which several people are chosen for one message.
const FindSeveral = ",find several"

// These mark an addressee that is no person. No name holds a comma.
const (
	departmentPrefix = ",department,"
	severalPrefix    = ",several,"
)

// DepartmentPeer returns a department as an addressee.
func DepartmentPeer(department string) string { return departmentPrefix + department }

// DepartmentOf returns the department that an addressee is, if it is one.
func DepartmentOf(peer string) (department string, ok bool) {
	return strings.CutPrefix(peer, departmentPrefix)
}

// SeveralPeer returns several people as one addressee, whose conversation holds
// what was sent to just these.
func SeveralPeer(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return severalPrefix + strings.Join(slices.Compact(names), ",")
}

// SeveralOf returns the people that an addressee is, if it is several.
func SeveralOf(peer string) (names []string, ok bool) {
	list, ok := strings.CutPrefix(peer, severalPrefix)
	if !ok {
		return nil, false
	}
	return strings.Split(list, ","), true
}

// Draft is a message that is to be sent.
type Draft struct {
	// To is a person's name, Everyone, or what DepartmentPeer or SeveralPeer
	// return.
	To   string `json:"to"`
	Text string `json:"text"`
	// ReplyTo is the ID of the message that it answers; 0 for none.
	ReplyTo int64 `json:"reply_to,omitempty"`
	// Urgent asks the receivers for an acknowledgement.
	Urgent bool `json:"urgent,omitempty"`
}

// Progress counts the people to whom a message went. Each number includes
// those of the next further state: who has read it has it delivered too.
type Progress struct {
	Total        int `json:"total"`
	Delivered    int `json:"delivered"`
	Read         int `json:"read"`
	Acknowledged int `json:"acknowledged,omitempty"`
	Failed       int `json:"failed,omitempty"`
}

// Recipient is how far a message has come with one person.
type Recipient struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Waiting says that it waits here, because the person can't be reached.
	Waiting      bool   `json:"waiting,omitempty"`
	Acknowledged bool   `json:"acknowledged,omitempty"`
	Problem      string `json:"problem,omitempty"`
}

// Safety is what two people compare to know that nobody is between them.
type Safety struct {
	Peer string `json:"peer"`
	// Number is 60 digits in groups of five, the same on both sides.
	Number  string   `json:"number"`
	Trust   Trust    `json:"trust"`
	Devices []Device `json:"devices"`
}

// Device is one of an account's devices.
type Device struct {
	// ID is its full spelling.
	ID    string `json:"id"`
	Label string `json:"label"`
	// Online says that it is on the roster now.
	Online bool `json:"online"`
	// This says that it is the device at which one sits.
	This bool `json:"this,omitempty"`
	// New says that it is one that TrustChanged is about.
	New bool `json:"new,omitempty"`
}

// JoinOffer is a code by which another device may join the account.
type JoinOffer struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// TrustAction is what a person decides about another.
type TrustAction string

const (
	// TrustAccept pins what is there now: new devices, or the classic protocol.
	TrustAccept TrustAction = "accept"
	// TrustVerify says that the safety number was compared.
	TrustVerify TrustAction = "verify"
	// TrustUnverify takes that back.
	TrustUnverify TrustAction = "unverify"
)

// Message is one message of a conversation.
type Message struct {
	// ID orders messages and is unique in one profile.
	ID int64 `json:"id"`
	// Peer is whose conversation it belongs to, or Everyone.
	Peer string `json:"peer"`
	// Sender is who wrote it; the person itself if State is not Received.
	Sender string    `json:"sender"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
	State  State     `json:"state"`
	// Problem is a sentence, set if State is Failed.
	Problem string `json:"problem,omitempty"`
	// Waiting says of a message that is Sending that it waits on this computer,
	// because the receiver can't be reached.
	Waiting bool `json:"waiting,omitempty"`
	// Progress is set on a message of the person's own to more than one.
	Progress *Progress `json:"progress,omitempty"`
	// Audience names who else got a received message, as a short phrase in the
	// person's language; empty if nobody did.
	Audience string `json:"audience,omitempty"`
	// ReplyTo is the ID of the message that this one answers, and Quote the
	// beginning of that one's text.
	ReplyTo int64  `json:"reply_to,omitempty"`
	Quote   string `json:"quote,omitempty"`
	// Edited says that Text is not the first; Deleted that it was taken back,
	// and Text is empty.
	Edited  bool `json:"edited,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
	// Urgent asks for an acknowledgement, and Acknowledged says that it was
	// given: by the person if State is Received, else by the receiver.
	Urgent       bool `json:"urgent,omitempty"`
	Acknowledged bool `json:"acknowledged,omitempty"`
	// Secure says that it went, or came, encrypted between proven devices.
	Secure bool `json:"secure,omitempty"`
	// Unread is set on a received message until the person has seen it.
	Unread bool `json:"unread,omitempty"`
	// Doubtful marks a received message that came from another address than
	// the one at which its sender is on the roster.
	Doubtful bool `json:"doubtful,omitempty"`
}

// EventType tells what an Event is about.
type EventType string

const (
	// EventSnapshot is the first event of every subscription, and again after
	// a subscriber was too slow: Status and Roster are complete.
	EventSnapshot EventType = "snapshot"
	// EventStatus is a change of Status.
	EventStatus EventType = "status"
	// EventLogin and EventLogout are a person coming and going.
	EventLogin  EventType = "login"
	EventLogout EventType = "logout"
	// EventPerson is any other change of a person, such as its Unread.
	EventPerson EventType = "person"
	// EventRoster is a roster that was replaced as a whole: Roster.
	EventRoster EventType = "roster"
	// EventMessage is a new message, in either direction.
	EventMessage EventType = "message"
	// EventState is a message of which something changed: its state, its
	// progress, or its text because its sender edited or deleted it.
	EventState EventType = "state"
	// EventErased says that messages were deleted on this computer: of the
	// conversation with Peer, or of whichever if that is empty.
	EventErased EventType = "erased"
	// EventNotice is a sentence that the person should see once: Notice, about
	// Peer if that is set.
	EventNotice EventType = "notice"
	// EventQuit is the person's wish to end the client, wherever it shows. It
	// doesn't come before other ends, such as that of a desktop session.
	EventQuit EventType = "quit"
	// EventSettings is a change of settings: Settings names them.
	EventSettings EventType = "settings"
	// EventOpen asks the popup process to open the window for Peer; an empty
	// Peer is the Find popup.
	EventOpen EventType = "open"
)

// Event is something that happened. Fields that do not belong to Type are not
// set.
type Event struct {
	Type    EventType `json:"type"`
	At      time.Time `json:"at"`
	Status  *Status   `json:"status,omitempty"`
	Person  *Person   `json:"person,omitempty"`
	Roster  []Person  `json:"roster,omitempty"`
	Message *Message  `json:"message,omitempty"`
	Peer    string    `json:"peer,omitempty"`
	Notice  string    `json:"notice,omitempty"`
	// Settings are the names of those whose values are others now.
	Settings []string `json:"settings,omitempty"`
}
