//go:build windows

package win32

import (
	"slices"

	"earshot/tray/popup/ui"
)

// find implements ui.Find.
type find struct {
	window
	handler ui.FindHandler

	list, empty, hint, to hwnd
	people                []ui.Person
}

// NewFind implements ui.Toolkit.
func (t *Toolkit) NewFind(spec ui.FindSpec, handler ui.FindHandler) (ui.Find, error) {
	f := &find{handler: handler}
	if err := f.init(t, f, spec.Title, spec.Size, handler); err != nil {
		return nil, &problem{t.p.T("PopupNoToolkit"), err}
	}
	with := controls{w: &f.window}
	with.field(spec.EntryName, spec.Placeholder, esAutoH)
	f.to = with.label("", ssEndEllipsis, f.fonts.small)
	with.named(spec.ListName)
	f.list = with.add("LISTBOX", "", wsScroll|lbsNotify|lbsOwnerDraw|lbsStrings|lbsNoIntegral, 0, f.fonts.body)
	f.empty = with.label("", ssCenter, f.fonts.body)
	f.hint = with.label(spec.Hint, ssEndEllipsis, f.fonts.small)
	if with.err != nil {
		f.Close()
		return nil, &problem{t.p.T("PopupNoToolkit"), with.err}
	}
	f.colors[f.hint], f.colors[f.empty] = t.theme.dim, t.theme.dim
	f.layout()
	return f, nil
}

// attached does nothing: who is looked for is text.
func (f *find) attached(ui.Attachment) {}

func (f *find) keys() map[uintptr]ui.Key { return findKeys }

func (f *find) command(control, code uintptr) {
	if control != f.list || code != lbnSelChange {
		return
	}
	index := int(int32(send(f.list, lbGetCurSel, 0, 0)))
	if index >= 0 && index < len(f.people) {
		if held(vkControl) {
			f.handler.Pick(index)
		} else {
			f.handler.Choose(index)
		}
	}
	if !f.closed {
		setFocus.Call(f.entry)
	}
}

func (f *find) layout() {
	if f.hint == 0 {
		return
	}
	width, height := f.client()
	side, space := f.scale(margin), f.scale(gap)
	_, line := f.measure(f.fonts.small, "Ag", 0)
	_, body := f.measure(f.fonts.body, "Ag", 0)
	entry := body + f.scale(10)
	move(f.entry, side, side, width-2*side, entry)
	top := side + entry + space
	if textOf(f.to) != "" {
		move(f.to, side, top, width-2*side, line)
		top += line + space
	}
	show(f.to, textOf(f.to) != "")
	bottom := height - line - f.scale(6)
	move(f.hint, side, bottom, width-2*side, line)
	bottom -= f.scale(6)
	move(f.list, 0, top, width, bottom-top)
	_, need := f.measure(f.fonts.body, textOf(f.empty), width-2*side)
	move(f.empty, side, top+(bottom-top-need)/2, width-2*side, need)
	show(f.list, len(f.people) > 0)
	show(f.empty, len(f.people) == 0)
	invalidateRect.Call(f.top, 0, 1)
}

// SetPeople implements ui.Find.
func (f *find) SetPeople(people []ui.Person, selected int) {
	if f.closed {
		return
	}
	f.people = slices.Clone(people)
	send(f.list, wmSetRedraw, 0, 0)
	send(f.list, lbResetContent, 0, 0)
	for _, person := range people {
		sendText(f.list, lbAddString, 0, person.Label)
	}
	f.Select(selected)
	send(f.list, wmSetRedraw, 1, 0)
	f.layout()
}

// Select implements ui.Find.
func (f *find) Select(index int) {
	if !f.closed {
		send(f.list, lbSetCurSel, uintptr(index), 0)
	}
}

// draw draws a person.
func (f *find) draw(item *drawItem) {
	if int(item.item) >= len(f.people) {
		return
	}
	person := f.people[item.item]
	theme := &f.t.theme
	brush, front, dim, dot := theme.backBrush, uintptr(theme.text), uintptr(theme.dim), uintptr(theme.dim)
	if person.Online {
		dot = uintptr(theme.green)
	}
	selected := item.state&1 != 0
	if selected {
		brush, front = theme.highlightBrush, uintptr(theme.highlighted)
		dim, dot = front, front
	}
	fillBox(item.dc, &item.box, brush)
	setBkMode.Call(item.dc, 1)
	old, _, _ := selectObject.Call(item.dc, f.fonts.body)
	defer selectObject.Call(item.dc, old)

	const line = dtSingleLine | dtVCenter | dtNoPrefix | dtEndEllipsis
	box := item.box
	box.left += f.scale(margin)
	box.right -= f.scale(margin)
	mark := "○"
	if person.Online {
		mark = "●"
	}
	if person.Picked {
		mark = "✓"
	}
	setTextColor.Call(item.dc, dot)
	drawString(item.dc, mark, &box, line)
	box.left += f.scale(18)

	detail := person.Detail
	if person.Unread != "" {
		detail = "(" + person.Unread + ")  " + detail
	}
	wide, _ := f.measure(f.fonts.body, detail, 0)
	setTextColor.Call(item.dc, dim)
	drawString(item.dc, detail, &box, line|dtRight)
	box.right -= wide + f.scale(gap)
	setTextColor.Call(item.dc, front)
	drawString(item.dc, person.Name, &box, line)
}

// SetEmpty implements ui.Find.
func (f *find) SetEmpty(text string) {
	if !f.closed {
		setText(f.empty, text)
		f.layout()
	}
}

// SetHint implements ui.Find.
func (f *find) SetHint(text string) {
	if !f.closed {
		setText(f.hint, text)
	}
}

// SetTo implements ui.Find.
func (f *find) SetTo(text string) {
	if !f.closed {
		setText(f.to, text)
		f.layout()
	}
}

// SetEntry implements ui.Find.
func (f *find) SetEntry(text string) {
	if !f.closed {
		f.setEntry(text)
	}
}

var _ ui.Find = (*find)(nil)
