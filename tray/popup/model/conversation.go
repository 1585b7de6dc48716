package model

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

const (
	// historyLimit is how many messages a window starts with.
	historyLimit = 50
	// keepMessages bounds a window that stays open for long.
	keepMessages = 500
)

// Conversation is the model of the window of one conversation. It implements
// ui.ConversationHandler; its owner gives it a window by Attach and tells it
// of the engine's events. Not safe for several goroutines, see the package.
type Conversation struct {
	peer  string
	world *World
	work  Work
	p     *i18n.Printer
	view  ui.Conversation
	// gone is called once when the window is closed, by whomever.
	gone func()

	closed, active bool
	draft          string
	// trouble is the sentence of the last thing that went wrong.
	trouble  string
	messages []chat.Message // by ID, upward
	// heard holds the messages that events told of since the history was last
	// asked for: events are newer than its answer.
	heard   map[int64]bool
	marking bool
	past    bool // the history has come

	// editing is the message whose text is being changed, and replying the one
	// that is being answered; 0 for none.
	editing, replying int64
	// urgent says that the next message asks for an acknowledgement.
	urgent bool
	// kept is the draft that stood in the entry before a message was edited.
	kept   string
	drafts drafts
	// comparing is what is shown to be compared; nil while nothing is.
	comparing *chat.Safety
	// typed is when the other side was last told that the person writes; zero
	// once it was told that this is over.
	typed time.Time

	shown struct {
		header   ui.Header
		rows     []ui.Row
		notice   ui.Notice
		commands []ui.Command
		sendable bool
	}
}

// NewConversation returns the model of the conversation with peer, who may be
// chat.Everyone. gone is called when its window is closed.
func NewConversation(peer string, world *World, work Work, p *i18n.Printer, gone func()) *Conversation {
	return &Conversation{peer: peer, world: world, work: work, p: p, gone: gone}
}

// Peer is whose conversation it is.
func (c *Conversation) Peer() string { return c.peer }

// Spec is the fixed part of the window.
func (c *Conversation) Spec() ui.ConversationSpec {
	name := c.name()
	return ui.ConversationSpec{
		Title:        c.p.T("PopupTitle", "Name", name),
		Size:         c.work.Size(KindConversation),
		Placeholder:  c.p.T("PopupPlaceholder"),
		Hint:         c.p.T("PopupHint"),
		Send:         c.p.T("PopupSend"),
		Emoji:        c.p.T("PopupEmoji"),
		More:         c.p.T("PopupMore"),
		Copy:         c.p.T("PopupMenuCopy"),
		EntryName:    c.p.T("PopupEntryName", "Name", name),
		MessagesName: c.p.T("PopupMessagesName", "Name", name),
	}
}

// Attach gives the model its window, fills it and asks for the history.
func (c *Conversation) Attach(view ui.Conversation) {
	c.view = view
	view.SetSendable(false)
	c.loadDraft()
	c.refresh()
	c.load()
}

// Restore puts a text that could not be sent back into the entry, before what
// has been written since, and says why.
func (c *Conversation) Restore(text string, problem error) {
	if strings.TrimSpace(c.draft) != "" {
		text += "\n" + c.draft
	}
	c.view.SetEntry(text)
	c.trouble = c.p.T("PopupSendFailed", "Problem", problem.Error())
	c.refresh()
}

// Event tells the model of an event that has been applied to its World.
func (c *Conversation) Event(event chat.Event) {
	if c.closed {
		return
	}
	switch event.Type {
	case chat.EventSnapshot:
		c.load()
	case chat.EventErased:
		if event.Peer == "" || SamePeer(event.Peer, c.peer) {
			c.messages = nil
			c.load()
		}
	case chat.EventMessage, chat.EventState:
		if event.Message == nil || !SamePeer(event.Message.Peer, c.peer) {
			return
		}
		defer c.announce(event)
		c.heard[event.Message.ID] = true
		c.put(*event.Message, true)
	}
	c.refresh()
	c.markRead()
}

// Refresh shows what changed in the World.
func (c *Conversation) Refresh() {
	if !c.closed {
		c.refresh()
	}
}

// Present raises the window.
func (c *Conversation) Present() { c.view.Present() }

// Ready implements ui.Handler.
func (c *Conversation) Ready() { c.work.Trace("first frame") }

// Edited implements ui.Handler.
func (c *Conversation) Edited(text string) {
	c.draft = text
	c.tellTyping()
	if strings.TrimSpace(text) != "" && c.trouble != "" && !c.world.Ended {
		// What went wrong has been read by somebody who writes on.
		c.trouble = ""
	}
	c.refresh()
}

// Key implements ui.Handler: Enter sends, Escape closes.
func (c *Conversation) Key(key ui.Key) bool {
	switch key {
	case ui.KeyEnter:
		c.Send()
	case ui.KeyEscape:
		if !c.leave() {
			c.close()
		}
	default:
		return false
	}
	return true
}

// Focus implements ui.Handler. A message counts as read when it is shown in
// the active window.
func (c *Conversation) Focus(active bool) {
	c.active = active
	if active {
		c.work.Trace("ready for typing")
	}
	c.markRead()
}

// Resized implements ui.Handler.
func (c *Conversation) Resized(size ui.Size) { c.work.Resized(KindConversation, size) }

// Attached implements ui.ConversationHandler: what can't be sent is refused in
// so many words, and what is written stays.
func (c *Conversation) Attached(what ui.Attachment) {
	if c.closed {
		return
	}
	c.trouble = c.p.T("PopupNoFiles")
	if what == ui.AttachPicture {
		c.trouble = c.p.T("PopupNoPictures")
	}
	c.refresh()
}

// announce has a message from somebody else said while it is new.
func (c *Conversation) announce(event chat.Event) {
	if event.Type != chat.EventMessage || event.Message.State != chat.Received {
		return
	}
	for _, row := range c.shown.rows {
		if row.ID == event.Message.ID {
			c.view.Announce(row.Name)
		}
	}
}

// Send implements ui.ConversationHandler: it sends what is in the entry, or
// gives the message that is edited its new text.
func (c *Conversation) Send() {
	text := strings.TrimSpace(c.draft)
	if !c.sendable() || c.closed {
		return
	}
	edited, draft := c.editing, chat.Draft{To: c.peer, Text: text, ReplyTo: c.replying, Urgent: c.urgent}
	c.trouble, c.editing, c.replying, c.urgent = "", 0, 0, false
	c.typed = time.Time{} // the message says that it is over
	c.draft = c.kept
	c.view.SetEntry(c.kept)
	c.kept = ""
	if edited != 0 {
		c.work.Edit(edited, text, func(err error) {
			if err != nil && !c.closed && c.editing == 0 { // the new text must not be lost
				c.edit(edited, text)
			}
			c.settled("PopupEditFailed")(err)
		})
	} else {
		c.work.Send(draft, func(m chat.Message, err error) {
			// A failure is Work's to hand on by Restore: this window may be gone.
			if err != nil || c.closed {
				return
			}
			c.put(m, false)
			c.Keep()
			c.refresh()
		})
	}
	c.refresh()
}

// settled returns what shows the failure of something that was asked for.
func (c *Conversation) settled(failure string) func(error) {
	return func(err error) {
		if err != nil && !c.closed {
			c.trouble = c.p.T(failure, "Problem", err.Error())
			c.refresh()
		}
	}
}

// sendable says whether what is in the entry may go.
func (c *Conversation) sendable() bool {
	return strings.TrimSpace(c.draft) != "" && !c.world.Ended && !c.blocked()
}

// Closed implements ui.Handler.
func (c *Conversation) Closed() {
	if !c.closed {
		c.stopTyping()
		c.Keep()
		c.closed = true
		c.gone()
	}
}

func (c *Conversation) close() {
	if !c.closed {
		c.view.Close()
		c.Closed()
	}
}

// load asks for the last messages. The answer may be older than what events
// have told since, so those win.
func (c *Conversation) load() {
	heard := make(map[int64]bool)
	c.heard = heard
	c.work.History(c.peer, historyLimit, func(messages []chat.Message, err error) {
		if c.closed {
			return
		}
		if err != nil {
			c.trouble = c.p.T("PopupHistoryFailed", "Problem", err.Error())
		}
		for _, m := range messages {
			c.put(m, !heard[m.ID])
		}
		c.past = true
		c.refresh()
		c.markRead()
	})
}

// put adds a message. One that is there already is replaced if newer.
func (c *Conversation) put(m chat.Message, newer bool) {
	i, found := slices.BinarySearchFunc(c.messages, m.ID, func(m chat.Message, id int64) int {
		return cmp.Compare(m.ID, id)
	})
	switch {
	case !found:
		c.messages = slices.Insert(c.messages, i, m)
	case newer:
		c.messages[i] = m
	}
	if extra := len(c.messages) - keepMessages; extra > 0 {
		c.messages = slices.Delete(c.messages, 0, extra)
	}
}

// markRead tells the engine that the person has seen the messages, if so.
func (c *Conversation) markRead() {
	unread := slices.ContainsFunc(c.messages, func(m chat.Message) bool { return m.Unread })
	if c.closed || !c.active || c.marking || !unread {
		return
	}
	last := c.messages[len(c.messages)-1].ID
	c.marking = true
	c.work.MarkRead(c.peer, func(err error) {
		c.marking = false
		if err != nil {
			return // it stays unread, and is tried again when the window gets the focus
		}
		for i := range c.messages {
			if c.messages[i].ID <= last {
				c.messages[i].Unread = false
			}
		}
		c.markRead()
	})
}

// name is how the conversation is called in texts.
func (c *Conversation) name() string {
	if c.peer == chat.Everyone {
		return c.p.T("PopupEveryone")
	}
	if department, ok := chat.DepartmentOf(c.peer); ok {
		return department
	}
	if names, ok := chat.SeveralOf(c.peer); ok {
		return strings.Join(names, ", ")
	}
	return c.peer
}
