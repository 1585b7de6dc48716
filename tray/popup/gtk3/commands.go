//go:build linux

package gtk3

import (
	"slices"
	"sync"

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
		item := checkNew(command.Label)
		checkSet(item, flag(command.Checked))
		wShow(item)
		menuAppend(c.menu, item)
		c.onPlain(item, "activate", func() {
			c.handler.Command(i)
			c.write()
		})
	}
	menuAttach(c.menu, c.more, 0)
	const northEast, southEast = 3, 9
	menuPopup(c.menu, c.more, southEast, northEast, 0)
}

// Announce implements ui.Conversation. ATK has the signal since 2.46, of 2022;
// before, screen readers only see the new row.
func (c *conversation) Announce(text string) {
	if !c.closed && canAnnounce() {
		gSignalSay(gAccessible(c.top), "announcement", text)
	}
}

var canAnnounce = sync.OnceValue(func() bool { return gSignalLookup("announcement", gAtkType()) != 0 })
