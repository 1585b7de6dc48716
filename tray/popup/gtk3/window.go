//go:build linux

package gtk3

import "earshot/tray/popup/ui"

const (
	minWidth, minHeight   = 380, 420
	wantWidth, wantHeight = 420, 520
)

// window is what both kinds of windows share. It lives on the thread of Run.
type window struct {
	t       *Toolkit
	handler ui.Handler
	top     ptr // the GtkWindow
	entry   ptr // what is typed into
	// filter offers a key to the entry's input method, which says whether it
	// took it.
	filter func(entry, event ptr) int32
	ids    []ptr
	// want is how large the window is to be, and given how large it was made.
	// Until the person changes that, nobody is told of it.
	want, given ui.Size
	shown       bool
	closed      bool
	active      bool
}

// init makes the window with its one child.
func (w *window) init(t *Toolkit, title string, size ui.Size, handler ui.Handler) {
	w.t, w.handler, w.want = t, handler, size
	if size == (ui.Size{}) {
		w.want = ui.Size{Width: wantWidth, Height: wantHeight}
	}
	w.top = winNew(windowTypeToplevel)
	winTitle(w.top, title)
	t.windows[w.top] = w
	w.on(w.top, "delete-event", func(ptr) bool {
		w.Close()
		w.handler.Closed()
		return true
	})
	w.on(w.top, "notify::is-active", func(ptr) bool {
		if active := winIsActive(w.top) != 0; active != w.active {
			w.active = active
			w.handler.Focus(active)
		}
		return false
	})
	w.on(w.top, "key-press-event", w.topKey)
	w.on(w.top, "configure-event", func(ptr) bool { w.configured(); return false })
}

// configured tells of a new size, unless the window fills the screen or a part
// of it.
func (w *window) configured() {
	// Maximised, full screen, tiled at all or to the upper, right, lower or left
	// edge: bits of GdkWindowState.
	const filling = 1<<2 | 1<<4 | 1<<8 | 1<<9 | 1<<11 | 1<<13 | 1<<15
	var width, height int32
	winSize(w.top, &width, &height)
	size := ui.Size{Width: int(width), Height: int(height)}
	if size == w.given || gWindowState(wGetWindow(w.top))&filling != 0 {
		return
	}
	w.given = size
	w.handler.Resized(size)
}

// on connects a signal that has one argument.
func (w *window) on(object ptr, signal string, f func(arg ptr) bool) {
	id := handlers.add(f)
	w.ids = append(w.ids, id)
	gSignalConnect(object, signal, callbacks().with, id, 0, 0)
}

// onPlain connects a signal without arguments.
func (w *window) onPlain(object ptr, signal string, f func()) {
	id := handlers.add(func(ptr) bool {
		f()
		return false
	})
	w.ids = append(w.ids, id)
	gSignalConnect(object, signal, callbacks().plain, id, 0, 0)
}

// entryKey is the entry's key-press-event. The input method is asked first: a
// key that it takes, such as the Enter that ends a composition, is none of
// ours.
func (w *window) entryKey(event ptr, keys map[uint32]ui.Key) bool {
	value, held := keyOf(event)
	key, ours := keys[value]
	if !ours || held != 0 {
		return false
	}
	if w.filter(w.entry, event) != 0 {
		return true
	}
	return w.handler.Key(key)
}

// topKey sees keys before any widget: a letter that is typed while something
// else has the focus goes to the entry, and Escape closes from everywhere.
func (w *window) topKey(event ptr) bool {
	if winGetFocus(w.top) == w.entry {
		return false
	}
	value, held := keyOf(event)
	if value == keyEscape && held == 0 {
		return w.handler.Key(ui.KeyEscape)
	}
	if r := gKeyvalToUnicode(value); held&^shiftMask == 0 && r > ' ' && r != 0x7f {
		wGrabFocus(w.entry)
	}
	return false
}

// keyOf returns a key event's key and which modifiers are held that make it
// another. Locks and the marks of input methods don't count.
func keyOf(event ptr) (value, held uint32) {
	var state uint32
	gEventKeyval(event, &value)
	gEventState(event, &state)
	return value, state & (shiftMask | controlMask | altMask | superMask)
}

// Present implements ui.Window.
func (w *window) Present() {
	if w.closed {
		return
	}
	if !w.shown {
		w.shown = true
		w.place()
		wRealize(w.top)
		w.onPlain(wFrameClock(w.top), "after-paint", w.painted())
		wGrabFocus(w.entry)
	}
	// The person has just asked for this window, so it may take the focus: the
	// window manager believes that by the server's time.
	var time uint32
	if w.t.x11 {
		time = gX11ServerTime(wGetWindow(w.top))
	}
	winPresent(w.top, time)
	wGrabFocus(w.entry)
}

func (w *window) painted() func() {
	done := false
	return func() {
		if !done {
			done = true
			w.handler.Ready()
		}
	}
}

// place puts the window near the pointer, where the person looks: above it in
// the lower half of the monitor, where panels are, else below; and makes it no
// larger than the monitor. On Wayland the compositor chooses the place.
func (w *window) place() {
	// titleBar is room for what the window manager adds, and gap keeps the
	// pointer beside the window.
	const titleBar, gap = 34, 12
	display := gDisplayDefault()
	var x, y int32
	gDevicePosition(gSeatPointer(gDefaultSeat(display)), 0, &x, &y)
	var area rectangle
	gMonitorWorkarea(gMonitorAtPoint(display, x, y), &area)
	fit := func(want, least, room int32) int32 { return min(max(want, least), max(room, 1)) }
	roomX, roomY := area.width-2*gap, area.height-2*gap-titleBar
	width, height := fit(int32(w.want.Width), minWidth, roomX), fit(int32(w.want.Height), minHeight, roomY)
	wSizeRequest(w.top, min(minWidth, width), min(minHeight, height))
	winDefaultSize(w.top, width, height)
	w.given = ui.Size{Width: int(width), Height: int(height)}
	if !w.t.x11 {
		return
	}
	left, top := x-width/2, y+gap
	if y > area.y+area.height/2 {
		top = y - gap - height - titleBar
	}
	left = max(area.x+gap, min(left, area.x+area.width-width-gap))
	top = max(area.y+gap, min(top, area.y+area.height-height-titleBar-gap))
	winMove(w.top, left, top)
}

// Close implements ui.Window.
func (w *window) Close() {
	if w.closed {
		return
	}
	w.closed = true
	handlers.remove(w.ids...)
	delete(w.t.windows, w.top)
	wDestroy(w.top)
}
