//go:build linux

package gtk3

import "earshot/tray/popup/ui"

// find implements ui.Find.
type find struct {
	window
	handler ui.FindHandler

	list, scroll, empty, hint, to ptr
	placeholder                   ptr  // label over the entry
	preedit                       bool // an input method is composing
	rows                          []ptr
	text                          string
}

// findKeys are the keys that the model wants to know of.
var findKeys = map[uint32]ui.Key{
	keyReturn:         ui.KeyEnter,
	keyKeypadEnter:    ui.KeyEnter,
	keyISOEnter:       ui.KeyEnter,
	keyEscape:         ui.KeyEscape,
	keyUp:             ui.KeyUp,
	keyKeypadUp:       ui.KeyUp,
	keyDown:           ui.KeyDown,
	keyKeypadDown:     ui.KeyDown,
	keyPageUp:         ui.KeyPageUp,
	keyKeypadPageUp:   ui.KeyPageUp,
	keyPageDown:       ui.KeyPageDown,
	keyKeypadPageDown: ui.KeyPageDown,
	keyBackspace:      ui.KeyBackspace,
}

// NewFind implements ui.Toolkit.
func (t *Toolkit) NewFind(spec ui.FindSpec, handler ui.FindHandler) (ui.Find, error) {
	f := &find{handler: handler}
	f.init(t, spec.Title, spec.Size, handler)

	box := boxNew(vertical, 0)
	containerAdd(f.top, box)
	search := class(boxNew(vertical, 0), "earshot-search")
	f.entry, f.filter = entryNew(), entryFilter
	entryIcon(f.entry, 0, "edit-find-symbolic")
	wSizeRequest(f.entry, -1, 38)
	named(f.entry, spec.EntryName)
	// The entry's own placeholder is hidden while the entry has the keyboard,
	// which it always has.
	f.placeholder = is(label(spec.Placeholder, "earshot-find-placeholder"), roleRedundant)
	wHalign(f.placeholder, alignStart)
	overlay := overlayNew()
	containerAdd(overlay, f.entry)
	overlayAdd(overlay, f.placeholder)
	overlayPass(overlay, f.placeholder, 1)
	boxPackStart(search, overlay, 0, 0, 0)
	f.to = label("", "earshot-to")
	labelWrap(f.to, 1)
	labelMaxChars(f.to, bubbleChars)
	boxPackStart(search, f.to, 0, 0, 0)
	boxPackStart(box, search, 0, 0, 0)
	boxPackStart(box, separatorNew(horizontal), 0, 0, 0)

	f.scroll = class(scrollNew(0, 0), "earshot-messages")
	scrollPolicy(f.scroll, policyNever, policyAutomatic)
	f.list = class(listNew(), "earshot-list", "earshot-people")
	listMode(f.list, selectionBrowse)
	named(f.list, spec.ListName)
	f.empty = label("", "earshot-empty")
	labelWrap(f.empty, 1)
	labelMaxChars(f.empty, bubbleChars)
	wHalign(f.empty, alignCenter)
	labelJustify(f.empty, justifyCenter)
	wShow(f.empty)
	listPlaceholder(f.list, f.empty)
	containerAdd(f.scroll, f.list)
	boxPackStart(box, f.scroll, 1, 1, 0)
	boxPackStart(box, separatorNew(horizontal), 0, 0, 0)
	f.hint = label(spec.Hint, "earshot-hint")
	labelEllipsize(f.hint, ellipsizeEnd)
	wMarginTop(f.hint, 8)
	boxPackStart(box, f.hint, 0, 0, 0)
	wShowAll(box)
	wHide(f.to)

	f.on(f.entry, "key-press-event", func(event ptr) bool { return f.entryKey(event, findKeys) })
	f.onPlain(f.entry, "changed", func() {
		f.text = goString(entryText(f.entry))
		f.showPlaceholder()
		f.handler.Edited(f.text)
	})
	f.on(f.entry, "preedit-changed", func(text ptr) bool {
		f.preedit = *pointer(text) != 0
		f.showPlaceholder()
		return false
	})
	f.on(f.list, "row-activated", func(row ptr) bool {
		var held uint32
		gCurrentState(&held)
		if held&controlMask != 0 {
			f.handler.Pick(int(listRowIndex(row)))
		} else {
			f.handler.Choose(int(listRowIndex(row)))
		}
		wGrabFocus(f.entry)
		return false
	})
	return f, nil
}

func (f *find) showPlaceholder() {
	wSetVisible(f.placeholder, flag(f.text == "" && !f.preedit))
}

// SetPeople implements ui.Find.
func (f *find) SetPeople(people []ui.Person, selected int) {
	if f.closed {
		return
	}
	for _, row := range f.rows {
		wDestroy(row)
	}
	f.rows = f.rows[:0]
	for _, person := range people {
		row := personRow(person)
		listInsert(f.list, row, -1)
		f.rows = append(f.rows, row)
	}
	f.Select(selected)
}

func personRow(person ui.Person) ptr {
	row := listRowNew()
	// The focus stays in the entry field, where the arrow keys work too.
	wCanFocus(row, 0)
	named(row, person.Label)
	line := boxNew(horizontal, 8)
	dot := "○"
	if person.Online {
		dot = "●"
	}
	if person.Picked {
		dot = "✓"
	}
	mark := is(label(dot, "earshot-dot"), roleRedundant)
	setClass(mark, "online", person.Online)
	boxPackStart(line, mark, 0, 0, 0)
	name := label(person.Name, "earshot-person")
	labelEllipsize(name, ellipsizeEnd)
	boxPackStart(line, name, 1, 1, 0)
	if person.Unread != "" {
		badge := label(person.Unread, "earshot-badge")
		wValign(badge, alignCenter)
		boxPackStart(line, badge, 0, 0, 0)
	}
	detail := label(person.Detail, "earshot-detail")
	boxPackStart(line, detail, 0, 0, 0)
	containerAdd(row, line)
	wShowAll(row)
	return row
}

// Select implements ui.Find.
func (f *find) Select(index int) {
	if f.closed || index < 0 || index >= len(f.rows) {
		return
	}
	listSelect(f.list, f.rows[index])
	f.reveal(index)
}

// reveal scrolls to a row. All rows are equally high, and the list may not
// have been laid out yet.
func (f *find) reveal(index int) {
	adjustment := scrollVadjustment(f.scroll)
	height := adjUpper(adjustment) / float64(len(f.rows))
	top, page := float64(index)*height, adjPage(adjustment)
	value := adjValue(adjustment)
	switch {
	case top < value:
		adjSetValue(adjustment, top)
	case top+height > value+page:
		adjSetValue(adjustment, top+height-page)
	}
}

// SetEmpty implements ui.Find.
func (f *find) SetEmpty(text string) {
	if !f.closed {
		labelText(f.empty, text)
	}
}

// SetHint implements ui.Find.
func (f *find) SetHint(text string) {
	if !f.closed {
		labelText(f.hint, text)
	}
}

// SetTo implements ui.Find.
func (f *find) SetTo(text string) {
	if f.closed {
		return
	}
	labelText(f.to, text)
	if text == "" {
		wHide(f.to)
	} else {
		wShow(f.to)
	}
}

// SetEntry implements ui.Find.
func (f *find) SetEntry(text string) {
	if !f.closed {
		entrySetText(f.entry, text)
		editablePosition(f.entry, -1)
	}
}

var _ ui.Find = (*find)(nil)
