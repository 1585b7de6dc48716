// Package model is the popup's view model: what a conversation window and the
// Find window show and do, without a toolkit, a clock or a connection of their
// own. The toolkit's windows are behind package ui, the engine behind Work, so
// one model serves GTK3, Win32 and the tests.
//
// Nothing here is safe for several goroutines. A model lives on its toolkit's
// thread: events of the engine come to it through ui.Toolkit.Post, what the
// person does comes from the window on that thread, and Work calls back on it.
// No method waits for anything.
package model

import (
	"slices"
	"time"

	"earshot/protocol/classic"
	"earshot/tray/chat"
	"earshot/tray/popup/ui"
)

// Work is what a model asks of the world. Calls return at once; then is called
// later, on the toolkit's thread. The requests of one conversation are carried
// out in the order in which they were made.
type Work interface {
	History(peer string, limit int, then func([]chat.Message, error))
	Send(draft chat.Draft, then func(chat.Message, error))
	Retry(id int64, then func(error))
	// Draft asks for what an earlier window has left unsent, and KeepDraft keeps
	// it for a later one. Both take their turn behind what is sent.
	Draft(peer string, then func(chat.Draft, error))
	KeepDraft(draft chat.Draft, then func(error))
	Edit(id int64, text string, then func(error))
	Delete(id int64, then func(error))
	Acknowledge(id int64, then func(error))
	// Typing tells peer that the person writes, or has stopped.
	Typing(peer string, active bool)
	// Safety asks for what the person and peer can compare, and Trust decides.
	Safety(peer string, then func(chat.Safety, error))
	Trust(peer string, action chat.TrustAction, then func(error))
	MarkRead(peer string, then func(error))
	// Favourite says whether peer is to stand near the top of the menu.
	Favourite(peer string, on bool, then func(error))
	// Size is what a kind of window was last given, and Resized remembers it.
	Size(kind string) ui.Size
	Resized(kind string, size ui.Size)
	// Open shows the conversation with peer.
	Open(peer string)
	// Later calls f once after d, unless it is stopped before.
	Later(d time.Duration, f func()) (stop func())
	// Now is the time in the person's time zone.
	Now() time.Time
	// Trace records that something could be seen for the first time.
	Trace(what string)
}

// The kinds of windows, each of which has a size of its own.
const (
	KindConversation = "conversation"
	KindFind         = "find"
)

// World is what all windows know of the engine. The zero World is what is
// known before the first snapshot.
type World struct {
	// Known says that there was a snapshot.
	Known bool
	// Ended says that the engine is gone for good.
	Ended  bool
	Status chat.Status
	People []chat.Person
	// index leads from a folded name to its place in People.
	index map[string]int
}

// Person returns the person of that name, be it spelt in another case or width.
func (w *World) Person(name string) (chat.Person, bool) {
	if i, ok := w.index[fold(name)]; ok {
		return w.People[i], true
	}
	return chat.Person{}, false
}

// Apply brings the world up to an event and reports whether the event could
// have changed what windows show apart from messages.
func (w *World) Apply(event chat.Event) bool {
	switch event.Type {
	case chat.EventSnapshot:
		w.Known = true
		w.replace(event.Roster)
		if event.Status != nil {
			w.Status = *event.Status
		}
	case chat.EventRoster:
		w.replace(event.Roster)
	case chat.EventStatus:
		if event.Status != nil {
			w.Status = *event.Status
		}
	case chat.EventLogin, chat.EventLogout, chat.EventPerson:
		if event.Person == nil {
			return false
		}
		w.put(*event.Person)
	default:
		return false
	}
	return true
}

func (w *World) replace(people []chat.Person) {
	w.People = slices.Clone(people)
	w.index = make(map[string]int, len(people))
	for i, p := range people {
		w.index[fold(p.Name)] = i
	}
}

func (w *World) put(p chat.Person) {
	key := fold(p.Name)
	if i, ok := w.index[key]; ok {
		w.People[i] = p
		return
	}
	if w.index == nil {
		w.index = make(map[string]int)
	}
	w.index[key] = len(w.People)
	w.People = append(w.People, p)
}

// onlineOf counts who is online of an addressee that is more than one person,
// apart from the person itself.
func (w *World) onlineOf(peer string) (n int) {
	department, ofDepartment := chat.DepartmentOf(peer)
	names, ofNames := chat.SeveralOf(peer)
	for _, p := range w.People {
		switch {
		case !p.Online || p.Stale || p.Name == w.Status.Name:
		case ofDepartment && fold(p.Department) != fold(department):
		case ofNames && !slices.ContainsFunc(names, func(name string) bool { return SamePeer(name, p.Name) }):
		default:
			n++
		}
	}
	return n
}

// fold makes names that differ in case or width only the same, as rosters do.
func fold(s string) string { return classic.NameKey(s) }

// SamePeer reports whether two names mean the same conversation.
func SamePeer(a, b string) bool { return a == b || fold(a) == fold(b) }
