//go:build linux

package gtk3

import (
	"slices"
	"strings"

	"earshot/tray/popup/ui"
)

// newMore makes the button that opens the conversation's menu.
func (c *conversation) newMore(name string) ptr {
	c.more = class(buttonNew("⋮"), "flat", "earshot-more")
	wTooltip(c.more, name)
	named(c.more, name)
	wValign(c.more, alignCenter)
	wFocusOnClick(c.more, 0)
	wNoShowAll(c.more, 1)
	c.onPlain(c.more, "clicked", c.openMenu)
	return c.more
}

// SetCommands implements ui.Conversation.
func (c *conversation) SetCommands(commands []ui.Command) {
	if c.closed {
		return
	}
	c.commands = slices.Clone(commands)
	wSetVisible(c.more, flag(len(commands) > 0))
}

// openMenu shows the commands as they are now. The menu that was shown before
// goes with the button.
func (c *conversation) openMenu() {
	if c.menu != 0 {
		wDestroy(c.menu)
	}
	c.menu = menuNew()
	for i, command := range c.commands {
		var item ptr
		if command.Toggle {
			item = checkNew(command.Label)
			checkSet(item, flag(command.Checked))
		} else {
			item = itemNew(command.Label)
		}
		wShow(item)
		menuAppend(c.menu, item)
		c.onPlain(item, "activate", func() {
			c.handler.Command(i)
			c.write()
		})
	}
	menuAttach(c.menu, c.top, 0) // whose font it takes
	const northEast, southEast = 3, 9
	menuPopup(c.menu, c.more, southEast, northEast, 0)
}

// rowMenu shows what can be done with the row that has the keyboard. With the
// mouse the menu of the message's text has the same entries.
func (c *conversation) rowMenu(id int64) bool {
	r := c.rows[id]
	if r == nil || r.shown.Kind == ui.RowDay {
		return false
	}
	shown := r.shown
	if c.menu != 0 {
		wDestroy(c.menu)
	}
	c.menu = menuNew()
	add := func(label string, do func()) {
		item := itemNew(label)
		wShow(item)
		menuAppend(c.menu, item)
		c.onPlain(item, "activate", do)
	}
	add(c.copyLabel, func() {
		clipboardText(clipboardGet(gAtom("CLIPBOARD", 0)), shown.Text, int32(len(shown.Text)))
	})
	for _, l := range ui.Links(shown.Text) {
		address := shown.Text[l.From:l.To]
		add(short(address), func() { showURI(c.top, address, 0, 0) })
	}
	if shown.Menu != "" {
		for i, label := range strings.Split(shown.Menu, "\n") {
			add(label, func() {
				c.handler.Choose(shown.ID, i)
				c.write()
			})
		}
	}
	menuAttach(c.menu, c.top, 0)
	const northWest, southWest = 1, 7
	menuPopup(c.menu, r.row, southWest, northWest, 0)
	menuFirst(c.menu, 1)
	return true
}

// short is an address as a menu has room for it: what leads to whom is at its
// beginning.
func short(address string) string {
	const most = 48
	if all := []rune(address); len(all) > most {
		return string(all[:most]) + "…"
	}
	return address
}

// tab is the Tab key in the list of messages, which is one stop: it leads to
// the newest message, from there to its text and its button, and out of the
// list. The arrow keys lead from message to message.
func (c *conversation) tab(direction ptr) bool {
	const forward, backward = 0, 1
	towards := int32(direction)
	if towards != forward && towards != backward || len(c.rows) == 0 {
		return false
	}
	inside := focusChild(c.list)
	if inside == 0 {
		wGrabFocus(listRowAt(c.list, int32(len(c.rows)-1)))
		return true
	}
	if wChildFocus(inside, towards) != 0 {
		return true
	}
	gSignalStop(c.list, "focus")
	return false
}
