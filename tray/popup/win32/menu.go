//go:build windows

package win32

import (
	"slices"
	"strings"
	"unsafe"

	"earshot/tray/popup/ui"
)

const (
	emCharFromPos  = 0x00D7
	emGetSelection = wmUser + 52
)

// length is that of the text of all rows.
func (c *conversation) length() int32 {
	c.toEnd()
	var end charRange
	send(c.messages, emGetSelection, 0, uintptr(unsafe.Pointer(&end)))
	return end.last
}

// rowAt is the index of the row at a point of the screen, or -1. A point that
// isn't one, as when the menu is opened by a key, is the selection's.
func (c *conversation) rowAt(x, y int32) int {
	var at int32
	if x == -1 && y == -1 {
		var selection charRange
		send(c.messages, emGetSelection, 0, uintptr(unsafe.Pointer(&selection)))
		at = selection.first
	} else {
		p := point{x, y}
		screenToClient.Call(c.messages, uintptr(unsafe.Pointer(&p)))
		at = int32(send(c.messages, emCharFromPos, 0, uintptr(unsafe.Pointer(&p))))
	}
	found := -1
	for i, start := range c.starts {
		if start <= at {
			found = i
		}
	}
	return found
}

// SetCommands implements ui.Conversation.
func (c *conversation) SetCommands(commands []ui.Command) {
	if !c.closed {
		c.commands = slices.Clone(commands)
		c.layout()
	}
}

// openMenu shows the commands below their button.
func (c *conversation) openMenu() {
	const checked = 0x0008 // MF_CHECKED
	var flags []uintptr
	var labels []string
	for _, command := range c.commands {
		labels = append(labels, command.Label)
		flags = append(flags, 0)
		if command.Toggle && command.Checked {
			flags[len(flags)-1] = checked
		}
	}
	var box rect
	getWindowRect.Call(c.more, uintptr(unsafe.Pointer(&box)))
	const atRight = 0x0008 // TPM_RIGHTALIGN
	if chosen := c.choose(labels, flags, box.right, box.bottom, atRight); chosen >= 0 {
		c.handler.Command(chosen)
	}
}

// choose shows a menu and returns what was chosen in it, or -1.
func (c *conversation) choose(labels []string, flags []uintptr, x, y int32, align uintptr) int {
	menu, _, _ := createPopupMenu.Call()
	if menu == 0 {
		return -1
	}
	defer destroyMenu.Call(menu)
	for i, label := range labels {
		appendMenu.Call(menu, flags[i], uintptr(i+1), uintptr(unsafe.Pointer(str(mnemonicFree(label)))))
	}
	const returnCommand = 0x0100
	chosen, _, _ := trackPopupMenu.Call(menu, returnCommand|align, uintptr(x), uintptr(y), 0, c.top, 0)
	if c.closed {
		return -1
	}
	return int(chosen) - 1
}

// contextMenu shows what can be done with the row at a point of the screen, and
// Copy if something is selected.
func (c *conversation) contextMenu(x, y int32) {
	i := c.rowAt(x, y)
	if i < 0 || i >= len(c.rows) || c.rows[i].Menu == "" {
		return
	}
	row := c.rows[i]
	if x == -1 && y == -1 {
		p := point{}
		clientToScreen.Call(c.messages, uintptr(unsafe.Pointer(&p)))
		x, y = p.x, p.y
	}
	labels := append(strings.Split(row.Menu, "\n"), c.copyLabel)
	flags := make([]uintptr, len(labels))
	var selection charRange
	if send(c.messages, emGetSelection, 0, uintptr(unsafe.Pointer(&selection))); selection.first == selection.last {
		const grayed = 0x0001 // MF_GRAYED
		flags[len(flags)-1] = grayed
	}
	switch chosen := c.choose(labels, flags, x, y, 0); {
	case chosen < 0:
	case chosen == len(labels)-1:
		send(c.messages, wmCopy, 0, 0)
	default:
		c.handler.Choose(row.ID, chosen)
		if !c.closed {
			setFocus.Call(c.entry)
		}
	}
}
