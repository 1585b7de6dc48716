//go:build linux

package gtk3

import (
	"html"
	"strings"

	"earshot/tray/popup/ui"
)

// row is one row of the list of messages.
type row struct {
	shown ui.Row
	row   ptr // the GtkListBoxRow
	child ptr
	meta  ptr // the label of time and state
	// signals are those of the child.
	signals []ptr
}

// SetRows implements ui.Conversation.
func (c *conversation) SetRows(rows []ui.Row) {
	if c.closed {
		return
	}
	for _, r := range c.rows {
		handlers.remove(r.signals...)
		wDestroy(r.row)
	}
	clear(c.rows)
	c.follow = true
	for _, r := range rows {
		c.addRow(r)
	}
}

// AppendRow implements ui.Conversation.
func (c *conversation) AppendRow(r ui.Row) {
	if c.closed {
		return
	}
	if r.Kind == ui.RowOwn {
		c.follow = true
	}
	c.addRow(r)
}

// UpdateRow implements ui.Conversation. A row of which only the state changed
// keeps its widgets, so that a selection in its text stays.
func (c *conversation) UpdateRow(r ui.Row) {
	old := c.rows[r.ID]
	if c.closed || old == nil {
		return
	}
	same := old.shown
	same.State, same.Time, same.Name = r.State, r.Time, r.Name
	if same == r && r.Kind != ui.RowDay {
		labelText(old.meta, meta(r))
		named(old.row, r.Name)
		old.shown = r
		return
	}
	handlers.remove(old.signals...)
	wDestroy(old.child)
	c.fill(old, r)
}

func (c *conversation) addRow(r ui.Row) {
	added := &row{row: listRowNew()}
	listRowActive(added.row, 0)
	listRowSelects(added.row, 0)
	wShow(added.row)
	id := handlers.add(func(ptr) bool { return c.rowMenu(r.ID) })
	c.ids = append(c.ids, id)
	gSignalConnect(added.row, "popup-menu", callbacks().ask, id, 0, 0)
	c.fill(added, r)
	listInsert(c.list, added.row, -1)
	c.rows[r.ID] = added
}

// fill makes the widgets within a row.
func (c *conversation) fill(r *row, shown ui.Row) {
	r.shown, r.signals = shown, nil
	if shown.Kind == ui.RowDay {
		r.child = label(shown.Text, "earshot-day")
		wHalign(r.child, alignCenter)
	} else {
		r.child = c.message(r, shown)
	}
	named(r.row, shown.Name)
	containerAdd(r.row, r.child)
	wShowAll(r.child)
}

// message makes a message's bubble, and below it what went wrong.
func (c *conversation) message(r *row, shown ui.Row) ptr {
	const side, far = 12, 48
	column := boxNew(vertical, 3)
	wMarginTop(column, 3)
	wMarginBottom(column, 3)

	bubble := class(boxNew(vertical, 2), "earshot-bubble")
	if shown.Kind == ui.RowOwn {
		class(bubble, "earshot-own")
		wHalign(column, alignEnd)
		wHalign(bubble, alignEnd)
		wMarginStart(column, far)
		wMarginEnd(column, side)
	} else {
		class(bubble, "earshot-other")
		wHalign(column, alignStart)
		wHalign(bubble, alignStart)
		wMarginStart(column, side)
		wMarginEnd(column, far)
	}
	setClass(bubble, "earshot-failed", shown.Problem != "")
	setClass(bubble, "earshot-urgent", shown.Urgent)
	if shown.Author != "" {
		author := label(shown.Author, "earshot-author")
		labelEllipsize(author, ellipsizeEnd)
		boxPackStart(bubble, author, 0, 0, 0)
	}
	if shown.Quote != "" {
		quote := label("❝ "+shown.Quote, "earshot-quote")
		labelEllipsize(quote, ellipsizeEnd)
		labelXalign(quote, 0)
		boxPackStart(bubble, quote, 0, 0, 0)
	}
	text := textLabel(shown.Text, true)
	if links := ui.Links(shown.Text); len(links) > 0 {
		labelMarkup(text, linked(shown.Text, links))
	}
	setClass(text, "earshot-faded", shown.Faded)
	c.offerMenu(r, text, shown)
	boxPackStart(bubble, text, 0, 0, 0)
	r.meta = label(meta(shown), "earshot-meta")
	labelXalign(r.meta, 1)
	boxPackStart(bubble, r.meta, 0, 0, 0)
	boxPackStart(column, bubble, 0, 0, 0)
	if shown.Problem != "" {
		problem := textLabel(shown.Problem, false)
		class(problem, "earshot-problem")
		labelXalign(problem, 1)
		wHalign(problem, alignEnd)
		boxPackStart(column, problem, 0, 0, 0)
	}
	if shown.Action != "" {
		action := class(buttonNew(shown.Action), "earshot-retry")
		wHalign(action, alignEnd)
		wFocusOnClick(action, 0)
		id := handlers.add(func(ptr) bool {
			c.handler.Act(shown.ID)
			return false
		})
		r.signals = append(r.signals, id)
		c.ids = append(c.ids, id)
		gSignalConnect(action, "clicked", callbacks().plain, id, 0, 0)
		boxPackStart(column, action, 0, 0, 0)
	}
	return column
}

// offerMenu adds a row's entries to the context menu of its text.
func (c *conversation) offerMenu(r *row, text ptr, shown ui.Row) {
	if shown.Menu == "" {
		return
	}
	connect := func(object ptr, signal string, f func(arg ptr), shape ptr) {
		id := handlers.add(func(arg ptr) bool {
			f(arg)
			return false
		})
		r.signals = append(r.signals, id)
		c.ids = append(c.ids, id)
		gSignalConnect(object, signal, shape, id, 0, 0)
	}
	connect(text, "populate-popup", func(menu ptr) {
		line := itemLine()
		wShow(line)
		menuAppend(menu, line)
		for i, entry := range strings.Split(shown.Menu, "\n") {
			item := itemNew(entry)
			wShow(item)
			menuAppend(menu, item)
			connect(item, "activate", func(ptr) {
				c.handler.Choose(shown.ID, i)
				c.write()
			}, callbacks().plain)
		}
	}, callbacks().with)
}

// linked is a text as markup in which links are the only elements. A label
// opens them by itself, in the browser.
func linked(text string, links []ui.Link) string {
	var b strings.Builder
	at := 0
	for _, l := range links {
		address := html.EscapeString(text[l.From:l.To])
		b.WriteString(html.EscapeString(text[at:l.From]))
		b.WriteString(`<a href="` + address + `" title="` + address + `">` + address + `</a>`)
		at = l.To
	}
	b.WriteString(html.EscapeString(text[at:]))
	return b.String()
}

// textLabel makes a label for a text of any length.
func textLabel(text string, selectable bool) ptr {
	l := label(text)
	labelWrap(l, 1)
	labelWrapMode(l, wrapWordChar)
	labelMaxChars(l, bubbleChars)
	labelSelectable(l, flag(selectable))
	// A hyphen in a long word would be taken for a part of it: of an address,
	// say.
	attributes := attrListNew()
	attrListInsert(attributes, attrHyphens(0))
	labelAttributes(l, attributes)
	attrListUnref(attributes)
	return l
}

// meta is the line below a message.
func meta(r ui.Row) string {
	if r.State == "" {
		return r.Time
	}
	return r.Time + " · " + r.State
}
