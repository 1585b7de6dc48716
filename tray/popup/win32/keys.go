//go:build windows

package win32

import (
	"unsafe"

	"earshot/tray/popup/ui"
)

var conversationKeys = map[uintptr]ui.Key{vkReturn: ui.KeyEnter, vkEscape: ui.KeyEscape}

var findKeys = map[uintptr]ui.Key{
	vkReturn: ui.KeyEnter, vkEscape: ui.KeyEscape,
	vkUp: ui.KeyUp, vkDown: ui.KeyDown, vkPrior: ui.KeyPageUp, vkNext: ui.KeyPageDown,
	vkBack: ui.KeyBackspace,
}

// key sees a message before Windows makes characters of it, and says whether
// it is done with. A key that an input method takes arrives as VK_PROCESSKEY
// and is none of ours.
func (t *Toolkit) key(m *message) bool {
	if m.message != wmKeyDown && m.message != wmChar && m.message != wmRightUp && m.message != wmLeftUp {
		return false
	}
	const root = 2
	top, _, _ := getAncestor.Call(m.window, root)
	v := t.windows[top]
	if v == nil || v.base().closed {
		return false
	}
	w := v.base()
	if c, ok := v.(*conversation); ok && m.window == c.messages {
		// The control has no context menu of its own.
		switch {
		case m.message == wmRightUp:
			c.contextMenu(m.at.x, m.at.y)
			return true
		case m.message == wmKeyDown && m.wparam == vkApps:
			c.contextMenu(-1, -1)
			return true
		}
	}
	if c, ok := v.(*conversation); ok && m.message == wmLeftUp && m.window == c.messages {
		c.clicked(int32(int16(low(m.lparam))), int32(int16(high(m.lparam))))
	}
	if m.message == wmRightUp || m.message == wmLeftUp {
		return false
	}
	if m.message == wmChar {
		// What is typed while something else has the focus goes to the entry.
		if m.window != w.entry && m.wparam > ' ' && m.wparam != 0x7f {
			setFocus.Call(w.entry)
			m.window = w.entry
		}
		return false
	}
	if m.window == w.entry && w.composing() {
		return false
	}
	shift, control, alt := held(vkShift), held(vkControl), held(vkMenu)
	switch {
	case m.wparam == vkTab && !control && !alt:
		var back uintptr
		if shift {
			back = 1
		}
		next, _, _ := getNextTabItem.Call(top, m.window, back)
		setFocus.Call(next)
		return true
	case m.wparam == 'A' && control && !alt && !shift && m.window == w.entry:
		send(w.entry, emSetSel, 0, ^uintptr(0))
		return true
	case shift || control || alt:
		return false
	case m.wparam == vkReturn && w.buttons[m.window]:
		send(m.window, bmClick, 0, 0)
		return true
	}
	key, ours := v.keys()[m.wparam]
	if !ours || (m.window != w.entry && key != ui.KeyEscape) {
		return false
	}
	return w.handler.Key(key)
}

// composing says that an input method holds text that is not in the entry yet.
func (w *window) composing() bool {
	if w.composition {
		return true
	}
	context, _, _ := immGetContext.Call(w.entry)
	if context == 0 {
		return false
	}
	defer immReleaseContext.Call(w.entry, context)
	const compositionString = 8 // GCS_COMPSTR
	n, _, _ := immGetComposition.Call(context, compositionString, 0, 0)
	return int32(n) > 0
}

// entryProc is the window procedure of entry fields: the system's own, with a
// placeholder drawn over an empty field and an eye on compositions.
func entryProc(control hwnd, message uint32, wparam, lparam uintptr) uintptr {
	w := current.entries[control]
	switch message {
	case wmPaste:
		if what := pasted(); what != 0 {
			if v := current.windows[w.top]; v != nil {
				v.attached(what)
			}
			return 0
		}
	case wmStartCompose:
		w.composition = true
		invalidateRect.Call(control, 0, 1)
	case wmEndCompose:
		w.composition = false
		invalidateRect.Call(control, 0, 1)
	}
	answer, _, _ := callWindowProc.Call(w.original, control, uintptr(message), wparam, lparam)
	switch message {
	case wmPaint:
		w.drawPlaceholder()
	case wmNCDestroy: // a window's last message
		delete(current.entries, control)
	}
	return answer
}

// pasted says what the clipboard has that an entry field does not take, or 0.
// Who copies a table offers both picture and text, and means the text.
func pasted() ui.Attachment {
	const bitmap, bits, text, files = 2, 8, 13, 15 // CF_BITMAP, CF_DIB, CF_UNICODETEXT, CF_HDROP
	has := func(format uintptr) bool {
		ok, _, _ := hasFormat.Call(format)
		return ok != 0
	}
	switch {
	case has(files):
		return ui.AttachFiles
	case has(text):
		return 0
	case has(bitmap) || has(bits):
		return ui.AttachPicture
	}
	return 0
}

func (w *window) drawPlaceholder() {
	if w.text != "" || w.composition || w.placeholder == "" {
		return
	}
	hideCaret.Call(w.entry)
	defer showCaret.Call(w.entry)
	dc, _, _ := getDC.Call(w.entry)
	defer releaseDC.Call(w.entry, dc)
	old, _, _ := selectObject.Call(dc, w.fonts.body)
	defer selectObject.Call(dc, old)
	setTextColor.Call(dc, uintptr(w.t.theme.dim))
	setBkMode.Call(dc, 1)
	var box rect
	getClientRect.Call(w.entry, uintptr(unsafe.Pointer(&box)))
	box.left += w.scale(6)
	box.top++
	drawString(dc, w.placeholder, &box, dtNoPrefix|dtEndEllipsis)
}
