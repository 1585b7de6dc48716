//go:build windows

package win32

import (
	"slices"
	"strings"
	"unsafe"

	"earshot/tray/popup/ui"

	"golang.org/x/sys/windows"
)

// charFormat and paraFormat are CHARFORMAT2W and PARAFORMAT2.
type charFormat struct {
	size, mask, effects uint32
	height, offset      int32
	color               uint32
	charSet, pitch      byte
	face                [32]uint16
	weight              uint16
	spacing             int16
	back, locale        uint32
	_                   uint32
	style               int16
	kerning             uint16
	_                   [4]byte
}

type paraFormat struct {
	size, mask         uint32
	_                  [2]uint16
	start, right, hang int32
	alignment          uint16
	tabs               int16
	_                  [32]int32
	before, after      int32
	_                  int32
	_                  int16
	_                  [2]byte
	_                  [8]uint16
}

type charRange struct{ first, last int32 }

const (
	emExGetSel     = wmUser + 52
	emLimitText    = wmUser + 53
	emExSetSel     = wmUser + 55
	emSetBack      = wmUser + 67
	emSetChar      = wmUser + 68
	emSetEvents    = wmUser + 69
	emSetPara      = wmUser + 71
	emGetRange     = wmUser + 75
	emGetScrollPos = wmUser + 221
	emSetScrollPos = wmUser + 222
)

// initMessages makes the control take texts of any length and nothing but
// text.
func (c *conversation) initMessages() {
	send(c.messages, emLimitText, 0, 1<<30)
	send(c.messages, emSetBack, 0, uintptr(c.t.theme.back))
	const links = 0x04000000 // ENM_LINK
	send(c.messages, emSetEvents, 0, links)
}

// follow opens what a part of the messages leads to, in the browser.
func (c *conversation) follow(part charRange) {
	if part.last <= part.first || part.last-part.first > 4096 {
		return
	}
	text := make([]uint16, part.last-part.first+1)
	request := struct {
		part charRange
		text *uint16
	}{part, &text[0]}
	send(c.messages, emGetRange, 0, uintptr(unsafe.Pointer(&request)))
	address := windows.UTF16ToString(text)
	if links := ui.Links(address); len(links) == 1 && links[0] == (ui.Link{From: 0, To: len(address)}) {
		const normal = 1
		shellExecute.Call(c.top, uintptr(unsafe.Pointer(str("open"))), uintptr(unsafe.Pointer(str(address))), 0, 0, normal)
	}
}

// clicked follows a link that is not one of the system's, and says whether there
// is one at a point of the control.
func (c *conversation) clicked(x, y int32) bool {
	p := point{x, y}
	at := int32(send(c.messages, emCharFromPos, 0, uintptr(unsafe.Pointer(&p))))
	var selection charRange
	send(c.messages, emExGetSel, 0, uintptr(unsafe.Pointer(&selection)))
	if !c.t.theme.dark || selection.first != selection.last {
		return false
	}
	i := slices.IndexFunc(c.links, func(l charRange) bool { return l.first <= at && at < l.last })
	if i >= 0 {
		c.follow(c.links[i])
	}
	return i >= 0
}

// notified is a WM_NOTIFY: an ENLINK, which is packed to four bytes, is a NMHDR
// (24 bytes), the message (4), its parameters (16) and the part of the text.
func (c *conversation) notified(info unsafe.Pointer) {
	const enLink, buttonUp = 0x070b, 0x0202
	header := (*struct {
		from, id uintptr
		code     uint32
		_        uint32
		message  uint32
		_        [4]uint32
		part     charRange
	})(info)
	if header.from == c.messages && header.code == enLink && header.message == buttonUp {
		c.follow(header.part)
	}
}

// SetRows implements ui.Conversation.
func (c *conversation) SetRows(rows []ui.Row) {
	if !c.closed {
		c.rows = slices.Clone(rows)
		c.rewrite(true)
	}
}

// AppendRow implements ui.Conversation.
func (c *conversation) AppendRow(r ui.Row) {
	if c.closed {
		return
	}
	end := c.atEnd() || r.Kind == ui.RowOwn
	c.rows = append(c.rows, r)
	if len(c.rows) == 1 || r.Action != "" {
		c.rewrite(end)
		return
	}
	c.quietly(end, func() { c.write(r) })
}

// UpdateRow implements ui.Conversation. The text has no rows of its own, so
// all of it is written anew; selection and place stay.
func (c *conversation) UpdateRow(r ui.Row) {
	if c.closed {
		return
	}
	i := slices.IndexFunc(c.rows, func(old ui.Row) bool { return old.ID == r.ID })
	if i >= 0 {
		c.rows[i] = r
		c.rewrite(c.atEnd())
	}
}

// rewrite writes all rows, and scrolls to the last if end is set.
func (c *conversation) rewrite(end bool) {
	c.quietly(end, func() {
		setText(c.messages, "")
		c.starts, c.links = c.starts[:0], c.links[:0]
		for _, r := range c.rows {
			c.write(r)
		}
	})
	c.actionID = 0
	if i := slices.IndexFunc(c.rows, func(r ui.Row) bool { return r.Action != "" }); i >= 0 {
		c.actionID = c.rows[i].ID
		setText(c.action, mnemonicFree(c.rows[i].Action))
	}
	c.layout()
	if end {
		c.scrollToEnd()
	}
}

// quietly changes the text without flicker, and keeps selection and place or
// scrolls to the end.
func (c *conversation) quietly(end bool, change func()) {
	var selection charRange
	var place point
	send(c.messages, emExGetSel, 0, uintptr(unsafe.Pointer(&selection)))
	send(c.messages, emGetScrollPos, 0, uintptr(unsafe.Pointer(&place)))
	send(c.messages, wmSetRedraw, 0, 0)
	change()
	send(c.messages, emExSetSel, 0, uintptr(unsafe.Pointer(&selection)))
	send(c.messages, emSetScrollPos, 0, uintptr(unsafe.Pointer(&place)))
	send(c.messages, wmSetRedraw, 1, 0)
	if end {
		c.scrollToEnd()
	}
	invalidateRect.Call(c.messages, 0, 1)
}

// scrollToEnd shows the last row.
func (c *conversation) scrollToEnd() {
	const vscroll, bottom = 0x0115, 7
	send(c.messages, vscroll, bottom, 0)
}

// atEnd says that the last row is in sight.
func (c *conversation) atEnd() bool {
	type scrollInfo struct {
		size, mask uint32
		low, high  int32
		page       uint32
		pos, track int32
	}
	info := scrollInfo{mask: 0x17}
	info.size = uint32(unsafe.Sizeof(info))
	const vertical = 1
	if ok, _, _ := getScrollInfo.Call(c.messages, vertical, uintptr(unsafe.Pointer(&info))); ok == 0 {
		return true
	}
	return info.pos+int32(info.page) >= info.high-c.scale(12)
}

// write adds a row at the end.
func (c *conversation) write(r ui.Row) {
	const left, right, center = 1, 2, 3
	c.starts = append(c.starts, c.length())
	theme := &c.t.theme
	body, small := c.height(c.fonts.body), c.height(c.fonts.small)
	switch {
	case r.Kind == ui.RowDay:
		c.paragraph(center, 0, 10, 4)
		c.run(r.Text+"\r", small, theme.dim, false)
		return
	case r.Kind == ui.RowOwn:
		c.paragraph(right, 60, 6, 0)
	default:
		c.paragraph(left, 60, 6, 0)
	}
	align := uint16(left)
	if r.Kind == ui.RowOwn {
		align = right
	}
	if r.Author != "" {
		c.run(r.Author+"\r", small, theme.blue, true)
		c.paragraph(align, 60, 0, 0)
	}
	if r.Quote != "" {
		c.run("❝ "+r.Quote+"\r", small, theme.dim, false)
		c.paragraph(align, 60, 0, 0)
	}
	color := theme.text
	if r.Faded {
		color = theme.dim
	}
	for line := range strings.SplitSeq(r.Text, "\n") {
		c.line(line, body, color)
		c.paragraph(align, 60, 0, 0)
	}
	meta := r.Time
	if r.State != "" {
		meta += " · " + r.State
	}
	color = theme.dim
	if r.Urgent {
		color = theme.notice
	}
	c.run(meta+"\r", small, color, r.Urgent)
	if r.Problem != "" {
		c.run(r.Problem+"\r", small, theme.red, false)
	}
}

// line adds a line of a message, with its links.
func (c *conversation) line(text string, height int32, color uint32) {
	at := 0
	for _, l := range ui.Links(text) {
		c.run(text[at:l.From], height, color, false)
		from := c.length()
		c.link = true
		c.run(text[l.From:l.To], height, c.t.theme.blue, false)
		c.link = false
		c.links = append(c.links, charRange{from, c.length()})
		at = l.To
	}
	c.run(text[at:]+"\r", height, color, false)
}

// height is a font's height in twips.
func (c *conversation) height(font handle) int32 {
	base := -messageFont(c.system).height
	if font == c.fonts.body {
		base = base * 108 / 100
	}
	return max(base, 8) * 1440 / 96
}

// paragraph formats what is written next. Distances are in pixels at 96 dots
// per inch; far is kept free on the side away from the text.
func (c *conversation) paragraph(alignment uint16, far, before, after int32) {
	const twips = 1440 / 96
	f := paraFormat{mask: 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80, alignment: alignment}
	f.size = uint32(unsafe.Sizeof(f))
	f.start, f.right = margin*twips, margin*twips
	switch alignment {
	case 1:
		f.right = far * twips
	case 2:
		f.start = far * twips
	}
	f.before, f.after = before*twips, after*twips
	c.toEnd()
	send(c.messages, emSetPara, 0, uintptr(unsafe.Pointer(&f)))
}

func (c *conversation) toEnd() {
	end := charRange{1 << 30, 1 << 30}
	send(c.messages, emExSetSel, 0, uintptr(unsafe.Pointer(&end)))
}

// run adds text in one format.
func (c *conversation) run(text string, height int32, color uint32, bold bool) {
	if text == "" {
		return
	}
	const maskBold, maskUnderline, maskLink, maskFace, maskColor, maskSize, selection = 1, 4, 0x20, 0x20000000, 0x40000000, 0x80000000, 1
	f := charFormat{mask: maskBold | maskUnderline | maskLink | maskFace | maskColor | maskSize, height: height, color: color}
	f.size = uint32(unsafe.Sizeof(f))
	f.face = messageFont(c.system).face
	if bold {
		f.effects = 1
	}
	switch {
	case c.link && c.t.theme.dark:
		// The system draws links in a blue that is not to be read on black.
		f.effects |= maskUnderline
	case c.link:
		f.effects |= maskLink
	}
	pieces := []string{text}
	if rest, ok := strings.CutPrefix(text, "{"); ok {
		// It must not be read as an RTF document, which begins like this.
		pieces = []string{"{", rest}
	}
	for _, piece := range pieces {
		c.toEnd()
		send(c.messages, emSetChar, selection, uintptr(unsafe.Pointer(&f)))
		sendText(c.messages, emReplaceSel, 0, piece)
	}
}
