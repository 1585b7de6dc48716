// Package ui is the small interface between the popup's view model and the
// native toolkits that show it: GTK3 on Linux and Win32 on Windows. It holds
// values and method sets and does nothing itself.
//
// # The one rule about threads
//
// A toolkit has one thread, the one that called Toolkit.Run. Every method of
// Toolkit, Conversation and Find except Toolkit.Post is called on that thread,
// and every handler is called on it too. Whoever comes from another goroutine
// goes through Post. So neither windows nor models need a lock.
//
// A handler may call any method of the window, its Close included; a toolkit
// must survive that (for example by destroying the widget from its main loop).
// Methods of a window that is already closed do nothing.
//
// # Text
//
// All text is plain and comes from strangers: it is never markup, never a
// format, never a mnemonic (an "&" or "_" is shown as it is). Line ends are
// "\n"; a toolkit that needs others converts, in both directions.
package ui

import "context"

// Toolkit is a native toolkit. A process has one, made before Run.
type Toolkit interface {
	// Run locks the calling goroutine to its thread, calls started there, and
	// shows windows until ctx is done. Then it closes what is still open,
	// without calling Closed, and returns nil. It is called once, from the
	// main goroutine where the platform asks for that. It returns an error,
	// a sentence in the person's language, if the toolkit can't start.
	Run(ctx context.Context, started func()) error
	// Post has f called on the toolkit's thread, in the order of the calls. It
	// never waits and may be called from any goroutine, before Run too. What
	// is posted after Run has ended is dropped.
	Post(f func())
	// NewConversation makes the window of a conversation and shows nothing
	// until Present.
	NewConversation(spec ConversationSpec, handler ConversationHandler) (Conversation, error)
	// NewFind makes the window in which people are found by typing, and shows
	// nothing until Present.
	NewFind(spec FindSpec, handler FindHandler) (Find, error)
}

// Window is what all windows can do.
type Window interface {
	// Present shows the window, raises it if it is shown already, and puts
	// the keyboard into the entry field. A window that is shown for the first
	// time comes up on the monitor with the pointer, near to it, whole within
	// the work area.
	Present()
	// Close takes the window away. Closed is not called for it.
	Close()
	// Announce has a screen reader say something, if there is one.
	Announce(text string)
}

// Size is that of a window's content, in pixels of a screen of usual density
// (96 to the inch). The zero Size is the toolkit's own choice.
type Size struct{ Width, Height int }

// Key is a key that means something to the model. Others stay the toolkit's.
type Key int

const (
	// KeyEnter is Return or the keypad's Enter without Shift, Control or Alt.
	// Enter with Shift is a new line, which the entry does by itself.
	KeyEnter Key = iota + 1
	KeyEscape
	// KeyUp and KeyDown, KeyPageUp and KeyPageDown are reported by the Find
	// window only.
	KeyUp
	KeyDown
	KeyPageUp
	KeyPageDown
	// KeyBackspace is reported by the Find window only.
	KeyBackspace
)

// Handler is told what the person does in a window.
type Handler interface {
	// Ready is called once: the first frame is drawn and the entry field has
	// been given the focus.
	Ready()
	// Edited is called after each change of the entry field, by the person or
	// by SetEntry, with all of its text. Text still under composition by an
	// input method is not part of it.
	Edited(text string)
	// Key is called for the keys above, and never for a key that an input
	// method took: an Enter that ends a composition is not KeyEnter. The
	// toolkit goes on with a key only if Key returns false.
	Key(key Key) bool
	// Focus tells that the window became the active one, or ceased to be.
	Focus(active bool)
	// Resized tells that the person gave the window another size. It is not
	// called for a window that fills the screen or half of it.
	Resized(size Size)
	// Closed is called when the person closed the window by its frame. It is
	// gone then.
	Closed()
}

// ConversationSpec is what doesn't change in a conversation's window.
type ConversationSpec struct {
	// Title is the window's title.
	Title string
	// Size is what the window begins with. It is made smaller where the
	// monitor is.
	Size Size
	// Placeholder is shown in the entry while it is empty.
	Placeholder string
	// Hint is the line below the entry that tells the keys.
	Hint string
	// Send is the label of the button.
	Send string
	// Emoji is what the button is called that opens the toolkit's own choice of
	// them; a toolkit without one has no button.
	Emoji string
	// More is what the button is called that opens the conversation's menu.
	More string
	// Copy is the menu entry that copies a message, in menus that the toolkit
	// makes without one of its own.
	Copy string
	// EntryName and MessagesName are what a screen reader calls the entry
	// field and the list of messages.
	EntryName, MessagesName string
}

// Header is the upper line of a conversation.
type Header struct {
	Name string
	// Presence is a short text such as "Online · not verified".
	Presence string
	// Online colours the dot before Presence.
	Online bool
}

// RowKind says what a row is.
type RowKind int

const (
	// RowDay is a line between the messages of two days. It has Text alone.
	RowDay RowKind = iota
	// RowOwn is a message that the person wrote, shown at the right.
	RowOwn
	// RowOther is a message from somebody else, shown at the left.
	RowOther
)

// Row is one line of the conversation. It is a value: toolkits keep copies.
type Row struct {
	// ID tells the row from the others; a day's line has a negative one.
	ID   int64
	Kind RowKind
	// Author is shown above Text. It is empty where it is clear who wrote.
	Author string
	// Quote is the beginning of what it answers, shown above Text; empty if it
	// answers nothing.
	Quote string
	Text  string
	// Time is the time of day.
	Time string
	// State is how far an own message has come, in a word or two, shown
	// beside Time; or a remark about another's message. It may be empty.
	State string
	// Problem is a sentence, shown below in the colour of errors; empty if
	// there is none.
	Problem string
	// Action labels the button below the row, such as "Send again"; there is
	// none if it is empty.
	Action string
	// Faded takes a text back that is not what somebody wrote, and Urgent marks
	// one that must not be overlooked.
	Faded, Urgent bool
	// Menu is what the row's context menu offers besides the toolkit's own
	// entries: labels with a "\n" between two of them.
	Menu string
	// Name is what a screen reader says for the row.
	Name string
}

// Notice is a sentence between rows and entry, with up to two buttons; those
// without a label aren't there. Without a text nothing is shown.
type Notice struct {
	Text    string
	Buttons [2]string
}

// Command is an entry of a conversation's menu.
type Command struct {
	Label string
	// Toggle says that it can be switched on, and Checked that it is.
	Toggle, Checked bool
}

// Attachment is what somebody dropped or pasted that is not text.
type Attachment int

const (
	AttachFiles Attachment = iota + 1
	AttachPicture
)

// Conversation is the window of one conversation: header, rows, a notice,
// the entry field, the Send button and the hint.
type Conversation interface {
	Window
	SetHeader(header Header)
	// SetRows replaces all rows and shows the last one.
	SetRows(rows []Row)
	// AppendRow adds a row at the end and shows it, unless the person has
	// scrolled up and the row is not their own.
	AppendRow(row Row)
	// UpdateRow replaces the row of the same ID where it stands.
	UpdateRow(row Row)
	// SetEmpty sets the text shown in the place of the rows while there are
	// none.
	SetEmpty(text string)
	// SetNotice shows a notice in the place of the one before it.
	SetNotice(notice Notice)
	// SetCommands sets the entries of the conversation's menu, which a button
	// beside the header opens; without any, there is no button.
	SetCommands(commands []Command)
	// SetEntry replaces the text of the entry field.
	SetEntry(text string)
	// SetSendable enables or disables the Send button.
	SetSendable(sendable bool)
}

// ConversationHandler is told what happens in a conversation's window.
type ConversationHandler interface {
	Handler
	// Send is a click on the Send button.
	Send()
	// Act is a click on a row's button.
	Act(id int64)
	// Choose is an entry of a row's context menu, by its place in Row.Menu.
	Choose(id int64, entry int)
	// Answer is a click on a button of the notice.
	Answer(button int)
	// Command is an entry of the conversation's menu.
	Command(index int)
	// Attached is called when something that is not text was dropped on the
	// window or pasted into the entry. Text that was goes into the entry by
	// itself.
	Attached(what Attachment)
}

// FindSpec is what doesn't change in a Find window.
type FindSpec struct {
	Title       string
	Size        Size
	Placeholder string
	Hint        string
	// EntryName and ListName are what a screen reader calls the entry field
	// and the list of people.
	EntryName, ListName string
}

// Person is one row of the Find window.
type Person struct {
	Name string
	// Detail is a short text beside the name, such as "Online".
	Detail string
	Online bool
	// Unread is shown as a badge; there is none if it is empty.
	Unread string
	// Picked marks somebody who was chosen along with others.
	Picked bool
	// Label is what a screen reader says for the row.
	Label string
}

// Find is the window in which people are found by typing.
type Find interface {
	Window
	// SetPeople replaces the list; selected is the index of the row that is
	// highlighted and scrolled to, -1 if none.
	SetPeople(people []Person, selected int)
	// Select highlights another row and scrolls to it.
	Select(index int)
	// SetEmpty sets the text shown in the place of the list while it is empty.
	SetEmpty(text string)
	// SetHint replaces the spec's Hint.
	SetHint(text string)
	// SetTo sets the line between entry and list that tells who was picked;
	// there is none if it is empty.
	SetTo(text string)
	// SetEntry replaces the text of the entry field.
	SetEntry(text string)
}

// FindHandler is told what happens in a Find window.
type FindHandler interface {
	Handler
	// Choose is a click on a row, and Pick one with Control held.
	Choose(index int)
	Pick(index int)
}
