//go:build windows

package win32

import (
	"unsafe"

	"earshot/tray/popup/ui"
)

// Sizes are in pixels at 96 dots per inch.
const (
	minWidth, minHeight   = 340, 380
	wantWidth, wantHeight = 420, 520
	margin, gap           = 12, 8
)

// window is what both kinds of windows share. It lives on the thread of Run.
type window struct {
	t       *Toolkit
	handler ui.Handler
	top     hwnd
	entry   hwnd
	// original is the entry's own window procedure.
	original    uintptr
	placeholder string
	text        string // the entry's
	composition bool   // an input method is composing
	buttons     map[hwnd]bool
	// colors are those of texts that are not as most.
	colors map[hwnd]uint32
	fonts  fonts
	dpi    int32
	system int32
	want   ui.Size // of the content, at 96 dots per inch
	shown  bool
	closed bool
}

func (w *window) base() *window { return w }

// scale turns pixels at 96 dots per inch into those of the window's monitor.
func (w *window) scale(pixels int32) int32 { return pixels * w.dpi / 96 }

// init makes the window, without its controls. v is what it is part of.
func (w *window) init(t *Toolkit, v view, title string, size ui.Size, handler ui.Handler) error {
	w.t, w.handler, w.want = t, handler, size
	if size == (ui.Size{}) {
		w.want = ui.Size{Width: wantWidth, Height: wantHeight}
	}
	w.buttons, w.colors = make(map[hwnd]bool), make(map[hwnd]uint32)
	top, err := t.create(className, title, wsPopupFrame|wsClipKids, 0, 0, 0)
	if err != nil {
		return err
	}
	w.top, w.dpi, w.system = top, windowDPI(top), systemDPI()
	w.fonts = newFonts(w.dpi, w.system)
	t.theme.frame(top)
	t.windows[top] = v
	return nil
}

// controls makes a window's controls and keeps the first error.
type controls struct {
	w   *window
	id  uintptr
	err error
}

func (c *controls) add(class, text string, style, extended uint32, font handle) hwnd {
	if c.err != nil {
		return 0
	}
	c.id++
	var made hwnd
	made, c.err = c.w.t.create(class, text, style|wsChild|wsVisible, extended, c.w.top, c.id)
	send(made, wmSetFont, font, 1)
	if class != "STATIC" {
		c.w.t.theme.control(made)
	}
	return made
}

func (c *controls) label(text string, style uint32, font handle) hwnd {
	return c.add("STATIC", text, style|ssNoPrefix, 0, font)
}

// named puts a text without size before the next control, which is where
// screen readers look for the name of a control that has none of its own.
func (c *controls) named(name string) { move(c.label(name, 0, c.w.fonts.small), 0, 0, 0, 0) }

// field makes the entry field.
func (c *controls) field(name, placeholder string, style uint32) {
	c.named(name)
	w := c.w
	w.entry = c.add("EDIT", "", style|wsTab|wsBorder, 0, w.fonts.body)
	if c.err != nil {
		return
	}
	w.placeholder = placeholder
	w.t.entries[w.entry] = w
	const procedure = ^uintptr(3) // GWLP_WNDPROC, -4
	w.original, _, _ = setWindowLong.Call(w.entry, procedure, procedures().entry)
	const leftAndRight = 3
	margins := uintptr(w.scale(4))
	send(w.entry, emSetMargins, leftAndRight, margins|margins<<16)
}

// windowProc is the window procedure of all our windows.
func windowProc(top hwnd, message uint32, wparam, lparam uintptr) uintptr {
	t := current
	if t != nil && message == msgPosted && top == t.door {
		t.posts.Drain()
		return 0
	}
	if t != nil {
		if v := t.windows[top]; v != nil {
			if answer, done := receive(v, message, wparam, lparam); done {
				return answer
			}
		}
	}
	answer, _, _ := defWindowProc.Call(top, uintptr(message), wparam, lparam)
	return answer
}

// receive handles a message to a window, and says whether it is done with.
func receive(v view, message uint32, wparam, lparam uintptr) (answer uintptr, done bool) {
	w := v.base()
	switch message {
	case wmDestroy:
		delete(w.t.windows, w.top)
		w.fonts.free()
		return 0, true
	case msgDestroy:
		destroyWindow.Call(w.top)
		return 0, true
	}
	if w.closed {
		return 0, false
	}
	switch message {
	case msgReady:
		w.handler.Ready()
	case wmSize:
		v.layout()
	case wmSizeEnd:
		w.resized()
	case wmDropFiles:
		dragFinish.Call(wparam)
		v.attached(ui.AttachFiles)
	case wmActivate:
		active := low(wparam) != 0
		if active {
			setFocus.Call(w.entry)
		}
		w.handler.Focus(active)
	case wmSetFocus:
		setFocus.Call(w.entry)
	case wmClose:
		w.Close()
		w.handler.Closed()
	case wmGetMinMax:
		info := (*minMaxInfo)(pointer(lparam))
		info.minTrack = point{w.scale(minWidth), w.scale(minHeight)}
	case wmDPIChanged:
		w.rescale(v, int32(low(wparam)), (*rect)(pointer(lparam)))
	case wmCommand:
		if lparam == w.entry && w.entry != 0 && high(wparam) == enChange {
			w.edited()
		} else {
			v.command(lparam, high(wparam))
		}
	case wmNotify:
		if c, ok := v.(*conversation); ok {
			c.notified(pointer(lparam))
		}
	case wmColorStatic, wmColorEdit, wmColorList, wmColorButton:
		return w.color(wparam, lparam), true
	case wmMeasureItem:
		_, tall := w.measure(w.fonts.body, "Ag", 0)
		(*measureItem)(pointer(lparam)).height = uint32(tall + w.scale(12))
		return 1, true
	case wmDrawItem:
		v.draw((*drawItem)(pointer(lparam)))
		return 1, true
	default:
		return 0, false
	}
	return 0, true
}

// pointer is a message's lparam as the pointer that it is. Windows owns what
// it points to, during the message.
func pointer(lparam uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&lparam))
}

func (w *window) edited() {
	before := w.text
	w.text = fromWindows(textOf(w.entry))
	if (before == "") != (w.text == "") {
		invalidateRect.Call(w.entry, 0, 1)
	}
	w.handler.Edited(w.text)
}

// color gives a text its colours and returns the brush behind it.
func (w *window) color(dc, control uintptr) uintptr {
	t := &w.t.theme
	color, ours := w.colors[control]
	if !ours {
		color = t.text
	}
	setTextColor.Call(dc, uintptr(color))
	if control == w.entry {
		setBkColor.Call(dc, uintptr(t.field))
		return t.fieldBrush
	}
	setBkMode.Call(dc, 1)
	return t.backBrush
}

// rescale follows a window to a monitor of another resolution.
func (w *window) rescale(v view, dpi int32, box *rect) {
	old := w.fonts
	w.dpi = dpi
	w.fonts = newFonts(dpi, w.system)
	for child, font := range v.base().childFonts(v) {
		send(child, wmSetFont, font, 1)
	}
	old.free()
	const noZ, noActivate = 0x4, 0x10
	setWindowPos.Call(w.top, 0, uintptr(box.left), uintptr(box.top),
		uintptr(box.right-box.left), uintptr(box.bottom-box.top), noZ|noActivate)
	v.layout()
}

// childFonts returns each control's font.
func (w *window) childFonts(v view) map[hwnd]handle {
	all := map[hwnd]handle{w.entry: w.fonts.body}
	switch v := v.(type) {
	case *conversation:
		all[v.name], all[v.presence], all[v.hint] = w.fonts.name, w.fonts.small, w.fonts.small
		all[v.empty], all[v.notice] = w.fonts.body, w.fonts.small
		all[v.more] = w.fonts.name
		all[v.send], all[v.action] = w.fonts.body, w.fonts.body
		all[v.answers[0]], all[v.answers[1]] = w.fonts.body, w.fonts.body
	case *find:
		all[v.list], all[v.hint], all[v.empty] = w.fonts.body, w.fonts.small, w.fonts.body
		_, tall := w.measure(w.fonts.body, "Ag", 0)
		send(v.list, lbSetItemHeight, 0, uintptr(tall+w.scale(12)))
	}
	return all
}

// Present implements ui.Window.
func (w *window) Present() {
	if w.closed {
		return
	}
	const normal, restore = 1, 9
	switch iconic, _, _ := isIconic.Call(w.top); {
	case !w.shown:
		w.place()
		showWindow.Call(w.top, normal)
	case iconic != 0:
		showWindow.Call(w.top, restore)
	}
	setForeground.Call(w.top)
	setFocus.Call(w.entry)
	if !w.shown {
		w.shown = true
		updateWindow.Call(w.top)
		postMessage.Call(w.top, msgReady, 0, 0)
	}
}

// place puts the window near the pointer, where the person looks, whole within
// the monitor's work area.
func (w *window) place() {
	var at point
	getCursorPos.Call(uintptr(unsafe.Pointer(&at)))
	const nearest = 2
	work := workArea(at, nearest)

	// No screen is larger than that, and no file's number may overflow.
	const most = 1 << 14
	frame := rect{
		right:  w.scale(int32(min(max(w.want.Width, minWidth), most))),
		bottom: w.scale(int32(min(max(w.want.Height, minHeight), most))),
	}
	adjustWindowRect.Call(uintptr(unsafe.Pointer(&frame)), wsPopupFrame, 0, 0)
	width := min(frame.right-frame.left, work.right-work.left)
	height := min(frame.bottom-frame.top, work.bottom-work.top)
	space := w.scale(gap)
	left, top := at.x-width/2, at.y+space
	if at.y > (work.top+work.bottom)/2 {
		top = at.y - space - height
	}
	left = max(work.left, min(left, work.right-width-space))
	top = max(work.top, min(top, work.bottom-height-space))
	const noZ, noActivate = 0x4, 0x10
	setWindowPos.Call(w.top, 0, uintptr(left), uintptr(top), uintptr(width), uintptr(height), noZ|noActivate)
}

// Announce implements ui.Window. Screen readers read the system's own controls
// by themselves; nothing more is said.
func (w *window) Announce(string) {}

// resized tells of the size that the person has given the window by its frame,
// unless the window fills the screen or half of it: half of a work area ends at
// the area's edges.
func (w *window) resized() {
	if zoomed, _, _ := isZoomed.Call(w.top); zoomed != 0 {
		return
	}
	var box rect
	getWindowRect.Call(w.top, uintptr(unsafe.Pointer(&box)))
	const nearest = 2
	at := point{(box.left + box.right) / 2, (box.top + box.bottom) / 2}
	work := workArea(at, nearest)
	if box.bottom-box.top >= work.bottom-work.top {
		return
	}
	width, height := w.client()
	size := ui.Size{Width: int(width * 96 / w.dpi), Height: int(height * 96 / w.dpi)}
	if size != w.want && size.Width > 0 && size.Height > 0 {
		w.want = size
		w.handler.Resized(size)
	}
}

// workArea is what the taskbar leaves of the monitor at a point.
func workArea(at point, otherwise uintptr) rect {
	monitor, _, _ := monitorFromPoint.Call(*(*uintptr)(unsafe.Pointer(&at)), otherwise)
	info := monitorInfo{}
	info.size = uint32(unsafe.Sizeof(info))
	getMonitorInfo.Call(monitor, uintptr(unsafe.Pointer(&info)))
	return info.work
}

// Close implements ui.Window. The window goes once the message under way, if
// any, has been handled.
func (w *window) Close() {
	if w.closed {
		return
	}
	w.closed = true
	show(w.top, false)
	postMessage.Call(w.top, msgDestroy, 0, 0)
}

// move puts a control somewhere.
func move(control hwnd, x, y, width, height int32) {
	moveWindow.Call(control, uintptr(x), uintptr(y), uintptr(max(width, 0)), uintptr(max(height, 0)), 1)
}

func (w *window) client() (width, height int32) {
	var box rect
	getClientRect.Call(w.top, uintptr(unsafe.Pointer(&box)))
	return box.right, box.bottom
}
