package model

import (
	"strings"
	"time"

	"earshot/tray/chat"
)

const (
	// draftPause is how long nobody types before what is written is kept, and
	// draftLatest how much can be lost by somebody who types on.
	draftPause  = time.Second
	draftLatest = 5 * time.Second
)

// drafts is what a conversation knows of the engine's copy of its draft.
type drafts struct {
	// loaded says that the copy of an earlier window has come, or won't.
	loaded bool
	// seen is the draft when it was last looked at, and kept what the engine has
	// been given.
	seen, kept chat.Draft
	// since is when the two began to differ, and stop ends the wait for a pause.
	since time.Time
	stop  func()
}

// unsent is what would have to be kept now.
func (c *Conversation) unsent() chat.Draft {
	draft := chat.Draft{To: c.peer, Text: c.draft, ReplyTo: c.replying, Urgent: c.urgent}
	if c.editing != 0 {
		draft = chat.Draft{To: c.peer, Text: c.kept}
	}
	if strings.TrimSpace(draft.Text) == "" {
		return chat.Draft{To: c.peer}
	}
	return draft
}

// loadDraft asks for what an earlier window has left.
func (c *Conversation) loadDraft() {
	c.drafts.seen = chat.Draft{To: c.peer}
	c.drafts.kept = c.drafts.seen
	c.work.Draft(c.peer, func(draft chat.Draft, err error) {
		c.drafts.loaded = true
		if err != nil || strings.TrimSpace(draft.Text) == "" {
			return // the history's failure says enough
		}
		now := c.unsent()
		switch {
		case c.closed:
			// It was closed before this came: both are kept.
			if now.Text != "" && now.Text != draft.Text {
				draft.Text += "\n" + now.Text
				c.work.KeepDraft(draft, func(error) {})
			}
			return
		case now.Text != "" && now.Text != draft.Text:
			c.drafts.kept = draft
			c.setDraft(draft.Text + "\n" + now.Text)
		default:
			draft.To = c.peer
			c.replying, c.urgent = draft.ReplyTo, draft.Urgent
			c.drafts.kept, c.drafts.seen = draft, draft
			c.setDraft(draft.Text)
		}
		c.refresh()
	})
}

// setDraft replaces the draft, be it in the entry or behind the message that is
// being edited.
func (c *Conversation) setDraft(text string) {
	if c.editing != 0 {
		c.kept = text
		return
	}
	c.view.SetEntry(text)
}

// keepLater has the draft kept once nobody types for a while.
func (c *Conversation) keepLater() {
	now := c.unsent()
	if now == c.drafts.seen || c.world.Ended {
		return
	}
	c.drafts.seen = now
	wait := draftPause
	switch at := c.work.Now(); {
	case c.drafts.stop == nil:
		c.drafts.since = at
	default:
		c.drafts.stop()
		wait = min(wait, max(0, draftLatest-at.Sub(c.drafts.since)))
	}
	c.drafts.stop = c.work.Later(wait, c.Keep)
}

// Keep hands the draft to the engine, unless that has it already.
func (c *Conversation) Keep() {
	if c.drafts.stop != nil {
		c.drafts.stop()
		c.drafts.stop = nil
	}
	now := c.unsent()
	c.drafts.seen = now
	if now == c.drafts.kept || c.world.Ended {
		return
	}
	before := c.drafts.kept
	c.drafts.kept = now
	c.work.KeepDraft(now, func(err error) {
		if err == nil || c.closed {
			return
		}
		c.drafts.kept = before
		c.trouble = c.p.T("PopupDraftFailed", "Problem", err.Error())
		c.refresh()
	})
}
