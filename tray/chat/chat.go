// Package chat holds the client's nouns: people, messages and what happens to
// them, as the engine keeps them, the store stores them, and the local API,
// the menu, the notifications and the popup show them. It does nothing.
package chat

import "time"

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
	// Language is the BCP 47 tag of the interface.
	Language string `json:"language"`
	Version  string `json:"version"`
}

// Person is somebody with whom one can have a conversation: whoever is on the
// roster, and whoever was and has a conversation.
type Person struct {
	Name   string `json:"name"`
	Online bool   `json:"online"`
	// Stale says that Online is what was last known: the coordinator is away.
	Stale    bool   `json:"stale,omitempty"`
	Verified bool   `json:"verified"`
	Address  string `json:"address,omitempty"`
	// Unread counts unread messages from this person.
	Unread int `json:"unread"`
	// LastMessage is when the last message was exchanged; zero if never.
	LastMessage time.Time `json:"last_message,omitzero"`
}

// State is how far a message has come.
type State string

const (
	// Sending is a message that is stored here and not yet on its way, be it
	// for a moment or until the person comes online.
	Sending State = "sending"
	// Sent is a message that has left this computer. Classic people don't
	// acknowledge, so for them it is the last state.
	Sent State = "sent"
	// Failed is a message that could not be sent; Problem says why. It goes
	// again only when the person asks for it.
	Failed State = "failed"
	// Received is a message from somebody else.
	Received State = "received"
)

// Everyone is the Peer of messages that were sent to all. It can't be anyone's
// name, for it holds a comma.
const Everyone = ",everyone"

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
	// EventState is a message whose state changed.
	EventState EventType = "state"
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
}
