// Package localapi is the one door into the client's background process: HTTP
// and server-sent events over a Unix socket that only the account may open, or
// over a named pipe of the current user on Windows. The command line, the
// popup process and any script come in here.
//
// Bodies are JSON; the objects are those of package chat.
//
//	GET  /v1/status                          chat.Status
//	GET  /v1/roster                          [chat.Person, …]
//	GET  /v1/history?peer=&before=&limit=    [chat.Message, …], oldest first
//	POST /v1/search    chat.Query            [chat.Message, …], oldest first
//	GET  /v1/conversations                   [chat.Conversation, …], newest first
//	POST /v1/erase     chat.Erasure          chat.Erased; only on this computer
//	GET  /v1/recipients?id=                  [chat.Recipient, …]
//	POST /v1/messages  chat.Draft + "wait"   chat.Message; to ",everyone" it goes to all
//	POST /v1/edit      {"id","text"}         a new text for a message of one's own
//	POST /v1/delete    {"id"}                takes a message of one's own back
//	POST /v1/acknowledge {"id"}              answers an urgent message
//	POST /v1/typing    {"peer","active"}     tells peer that the person writes
//	GET  /v1/draft?peer=                     chat.Draft, what was written and not sent
//	POST /v1/draft     chat.Draft            keeps one; without a text, forgets it
//	POST /v1/presence  chat.OwnStatus        what the person says of itself
//	GET  /v1/safety?peer=                    chat.Safety
//	POST /v1/trust     {"peer","action"}     chat.TrustAction
//	GET  /v1/devices                         [chat.Device, …], one's own
//	POST /v1/devices/join   {}               chat.JoinOffer
//	POST /v1/devices/remove {"id"}           takes a device off the account
//	GET  /v1/settings                        [settings.Item, …]
//	POST /v1/settings/set   {"name","value"} changes one; people.Ann.login is one too
//	POST /v1/settings/reset {"name"}         takes a choice back; all without a name
//	POST /v1/page      {"name"}              {"url"}: a link to a page, such as settings
//	POST /v1/retry     {"id"}                sends a failed message again
//	POST /v1/read      {"peer"}              marks a conversation as read
//	POST /v1/diagnose  {"names"}             chat.Diagnosis; it takes seconds
//	POST /v1/compose   {"peer"}              opens a window; without a peer, Find
//	POST /v1/quit      {}                    ends the client
//	GET  /v1/events?role=watcher             server-sent events: chat.Event
//
// An event's SSE name is its type and its data is one line. The stream begins
// with a snapshot; an event named "end" is the last one of a client that ended
// in order. Errors are {"error": a sentence for the person, "code": …} with
// status 400 (bad_request), 404 (unknown_person), 403 (locked), 503 (ended) or 500 (failed).
package localapi

import (
	"context"

	"earshot/tray/chat"
	"earshot/tray/settings"
)

// Role is what a subscriber is to the engine.
type Role string

const (
	// Watcher only listens.
	Watcher Role = "watcher"
	// Popup is the process that shows compose windows. EventOpen goes to it
	// alone.
	Popup Role = "popup"
)

// Engine is what the API serves. It is safe for use by several goroutines.
// Errors read as sentences in the person's language.
type Engine interface {
	Status() chat.Status
	// Roster returns everyone online and everyone with a conversation: who
	// wrote unread messages first, then who is online, then by name.
	Roster() []chat.Person
	// History returns the last limit messages with peer (of all conversations
	// if peer is empty) that are older than message before (0: the newest),
	// oldest first.
	History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error)
	// Search returns the messages that a query asks for, oldest first. One without
	// a text pages through the history.
	Search(ctx context.Context, q chat.Query) ([]chat.Message, error)
	// Conversations returns everybody with whom there are messages, the newest
	// first.
	Conversations(ctx context.Context) ([]chat.Conversation, error)
	// Erase deletes messages on this computer, but for those that are on their
	// way; others keep theirs.
	Erase(ctx context.Context, what chat.Erasure) (chat.Erased, error)
	// Send stores a message and returns it in the state Sending; its way shows
	// in events. If wait is set it returns when the message is Sent, Delivered
	// or Failed, or waits for somebody who can't be reached.
	Send(ctx context.Context, draft chat.Draft, wait bool) (chat.Message, error)
	// Recipients returns how far a message has come with each of its receivers.
	Recipients(ctx context.Context, id int64) ([]chat.Recipient, error)
	// Edit gives a message of the person's own a new text, and Delete takes one
	// back, at its receivers too.
	Edit(ctx context.Context, id int64, text string) error
	Delete(ctx context.Context, id int64) error
	// Acknowledge answers an urgent message.
	Acknowledge(ctx context.Context, id int64) error
	// Typing tells peer that the person is writing, or has stopped. It is
	// repeated every three seconds while it lasts.
	Typing(peer string, active bool)
	// Draft returns what the person has written to peer and not sent; without a
	// text if there is nothing. KeepDraft keeps that, whatever becomes of the
	// process, or forgets it if it has no text. Send does not touch it.
	Draft(ctx context.Context, peer string) (chat.Draft, error)
	KeepDraft(ctx context.Context, draft chat.Draft) error
	// SetStatus changes what the person says of itself, and remembers it.
	SetStatus(ctx context.Context, own chat.OwnStatus) error
	// Safety returns what the person and peer can compare.
	Safety(ctx context.Context, peer string) (chat.Safety, error)
	// Trust decides about peer.
	Trust(ctx context.Context, peer string, action chat.TrustAction) error
	// Devices returns the account's own devices, this one first.
	Devices(ctx context.Context) ([]chat.Device, error)
	// OfferJoin returns a code by which another device may join the account.
	OfferJoin(ctx context.Context) (chat.JoinOffer, error)
	// RemoveDevice takes one of the account's own devices off it, by its ID.
	RemoveDevice(ctx context.Context, id string) error
	// Diagnose looks at the network and tries to reach these people, or, if
	// names is empty, those who are online, twenty at most. It may take a
	// minute.
	Diagnose(ctx context.Context, names []string) (chat.Diagnosis, error)
	// Settings returns everything that can be set, in the person's language.
	Settings(ctx context.Context) ([]settings.Item, error)
	// SetSetting changes a setting, or one thing about one person, such as
	// people.Ann.login. The value may be as a person writes it. It takes effect
	// at once and is remembered. The error of one that an administrator has
	// locked has the code CodeLocked.
	SetSetting(ctx context.Context, name string, value any) error
	// ResetSetting takes what the person has chosen back; without a name, everything
	// but the name and the coordinator.
	ResetSetting(ctx context.Context, name string) error
	// Page returns a link at which the person's browser shows a page. It can be
	// opened once, within a minute.
	Page(ctx context.Context, name string) (url string, err error)
	// Retry sends a Failed message again.
	Retry(ctx context.Context, id int64) error
	// MarkRead says that the person has seen all messages from peer.
	MarkRead(ctx context.Context, peer string) error
	// Compose opens the popup for peer, or the Find popup if peer is empty or
	// chat.FindSeveral.
	Compose(ctx context.Context, peer string) error
	// Subscribe returns the events from now on, an EventSnapshot first.
	Subscribe(role Role) Subscription
	// Quit ends the client; it returns before that has happened.
	Quit()
}

// Subscription is one subscriber's events. Its memory is bounded: a subscriber
// that falls too far behind gets a fresh EventSnapshot for what it missed.
type Subscription interface {
	// Next waits for the next event. It returns io.EOF when the engine ends.
	Next(ctx context.Context) (chat.Event, error)
	Close()
}
