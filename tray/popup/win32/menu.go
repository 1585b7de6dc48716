//go:build windows

package win32

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
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

// contextMenu shows what can be done with the row at a point of the screen, and
// Copy if something is selected.
func (c *conversation) contextMenu(x, y int32) {
	i := c.rowAt(x, y)
	if i < 0 || i >= len(c.rows) || c.rows[i].Menu == "" {
		return
	}
	row := c.rows[i]
	menu, _, _ := createPopupMenu.Call()
	if menu == 0 {
		return
	}
	defer destroyMenu.Call(menu)
	for k, label := range strings.Split(row.Menu, "\n") {
		text, err := windows.UTF16PtrFromString(mnemonicFree(label))
		if err != nil {
			continue
		}
		appendMenu.Call(menu, 0, uintptr(k+1), uintptr(unsafe.Pointer(text)))
	}
	if x == -1 && y == -1 {
		p := point{}
		clientToScreen.Call(c.messages, uintptr(unsafe.Pointer(&p)))
		x, y = p.x, p.y
	}
	const returnCommand = 0x0100
	chosen, _, _ := trackPopupMenu.Call(menu, returnCommand, uintptr(x), uintptr(y), 0, c.top, 0)
	if chosen > 0 && !c.closed {
		c.handler.Choose(row.ID, int(chosen)-1)
		if !c.closed {
			setFocus.Call(c.entry)
		}
	}
}
