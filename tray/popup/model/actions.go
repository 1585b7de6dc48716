package model

import (
	"slices"
	"strings"
	"time"

	"earshot/tray/chat"
)

// typingEvery is how often the other side is told that the person writes on.
const typingEvery = 3 * time.Second

// tellTyping tells a person who can be told what the entry's content means.
func (c *Conversation) tellTyping() {
	person, known := c.world.Person(c.peer)
	switch now := c.work.Now(); {
	case strings.TrimSpace(c.draft) == "":
		c.stopTyping()
	case c.editing != 0 || !known || !person.Secure || !person.Online || person.Trust.Blocked():
	case now.Sub(c.typed) >= typingEvery:
		c.typed = now
		c.work.Typing(c.peer, true)
	}
}

func (c *Conversation) stopTyping() {
	if !c.typed.IsZero() {
		c.typed = time.Time{}
		c.work.Typing(c.peer, false)
	}
}

// blocked says that nothing goes to the person before something is decided.
func (c *Conversation) blocked() bool {
	person, known := c.world.Person(c.peer)
	return known && person.Trust.Blocked()
}

// leave ends what the entry or the notice is used for besides a new message. It
// is false if there is nothing of that kind.
func (c *Conversation) leave() bool {
	switch {
	case c.comparing != nil:
		c.comparing = nil
	case c.editing != 0:
		c.editing = 0
		c.view.SetEntry(c.kept)
		c.kept = ""
	case c.replying != 0 || c.urgent:
		c.replying, c.urgent = 0, false
	default:
		return false
	}
	c.refresh()
	return true
}

// edit puts a text into the entry that is to be a message's new one. The draft
// comes back afterwards.
func (c *Conversation) edit(id int64, text string) {
	if c.editing == 0 {
		c.kept = c.draft
	}
	c.editing, c.replying, c.urgent = id, 0, false
	c.view.SetEntry(text)
}

// entry is one of a menu.
type entry struct {
	label      string
	toggle, on bool
	do         func()
}

// write has the entry field be one for a message, not for a change of one.
func (c *Conversation) write() {
	if c.comparing != nil || c.editing != 0 {
		c.leave()
	}
}

// commands are what can be done in the conversation, whatever stands in it.
func (c *Conversation) commands() (entries []entry) {
	person, known := c.world.Person(c.peer)
	if c.world.Ended {
		return nil
	}
	if person.Secure || !isPerson(c.peer) {
		entries = append(entries, entry{c.p.T("PopupMenuUrgent"), true, c.urgent, func() {
			c.write()
			c.urgent = !c.urgent
		}})
	}
	if known && person.Secure {
		entries = append(entries, entry{label: c.p.T("PopupMenuCompare"), do: c.compare})
	}
	if known && isPerson(c.peer) {
		entries = append(entries, entry{c.p.T("PopupMenuFavourite"), true, person.Favourite, func() {
			c.work.Favourite(person.Name, !person.Favourite, c.settled("PopupFavouriteFailed"))
		}})
	}
	return entries
}

// Command implements ui.ConversationHandler.
func (c *Conversation) Command(chosen int) {
	if entries := c.commands(); !c.closed && chosen >= 0 && chosen < len(entries) {
		c.trouble = ""
		entries[chosen].do()
		c.refresh()
	}
}

// menu is what can be done with a message.
func (c *Conversation) menu(m chat.Message) (entries []entry) {
	add := func(id string, do func()) { entries = append(entries, entry{label: c.p.T(id), do: do}) }
	if m.Deleted || c.world.Ended {
		return nil
	}
	add("PopupMenuReply", func() {
		c.write()
		c.replying = m.ID
	})
	if m.Secure && m.State != chat.Received {
		add("PopupMenuEdit", func() { c.edit(m.ID, m.Text) })
		add("PopupMenuDelete", func() { c.work.Delete(m.ID, c.settled("PopupDeleteFailed")) })
	}
	return entries
}

func labels(entries []entry) string {
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.label
	}
	return strings.Join(all, "\n")
}

// message is one that is shown.
func (c *Conversation) message(id int64) (chat.Message, bool) {
	i := slices.IndexFunc(c.messages, func(m chat.Message) bool { return m.ID == id })
	if i < 0 {
		return chat.Message{}, false
	}
	return c.messages[i], true
}

// Choose implements ui.ConversationHandler.
func (c *Conversation) Choose(id int64, chosen int) {
	m, ok := c.message(id)
	if !ok || c.closed {
		return
	}
	if entries := c.menu(m); chosen >= 0 && chosen < len(entries) {
		c.trouble = ""
		entries[chosen].do()
		c.refresh()
	}
}

// Act implements ui.ConversationHandler: a message that failed goes again, and
// an urgent one is acknowledged.
func (c *Conversation) Act(id int64) {
	m, ok := c.message(id)
	switch {
	case !ok || c.closed:
		return
	case m.State == chat.Failed:
		c.trouble = ""
		c.work.Retry(id, c.settled("PopupRetryFailed"))
	case m.State == chat.Received && m.Urgent && !m.Acknowledged:
		c.trouble = ""
		c.work.Acknowledge(id, c.settled("PopupAcknowledgeFailed"))
	}
	c.refresh()
}

// compare asks for the safety number.
func (c *Conversation) compare() {
	c.work.Safety(c.peer, func(s chat.Safety, err error) {
		if c.closed {
			return
		}
		if err != nil {
			c.trouble = err.Error()
		} else {
			c.comparing = &s
		}
		c.refresh()
	})
}

// Answer implements ui.ConversationHandler: a decision about the person.
func (c *Conversation) Answer(button int) {
	if c.closed {
		return
	}
	failed := c.settled("PopupTrustFailed")
	decide := func(action chat.TrustAction, then func(error)) {
		c.trouble = ""
		c.work.Trust(c.peer, action, then)
	}
	switch person, _ := c.world.Person(c.peer); {
	case c.comparing != nil:
		if c.comparing = nil; button == 0 {
			// Whoever has compared the number has seen the devices, too.
			if !person.Trust.Blocked() {
				decide(chat.TrustVerify, failed)
				break
			}
			decide(chat.TrustAccept, func(err error) {
				if err != nil || c.closed {
					failed(err)
					return
				}
				decide(chat.TrustVerify, failed)
			})
		}
	case person.Trust.Blocked() && button == 0:
		decide(chat.TrustAccept, failed)
	case person.Trust == chat.TrustChanged:
		c.compare()
	}
	c.refresh()
}
