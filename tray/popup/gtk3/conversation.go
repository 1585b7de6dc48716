//go:build linux

package gtk3

import "earshot/tray/popup/ui"

// bubbleChars is how wide a message may grow, in characters of average width,
// before it wraps: narrow enough to show at which side it stands.
const bubbleChars = 34

// conversation implements ui.Conversation.
type conversation struct {
	window
	handler ui.ConversationHandler

	name, dot, presence ptr // labels of the header
	scroll, list        ptr
	empty               ptr // label in the list's place
	notice, noticeText  ptr // box and label
	buttons             [2]ptr
	frame, view, buffer ptr // the entry field
	placeholder         ptr // label over it
	send                ptr // button
	more, menu          ptr // button of the commands, and what it opened last
	commands            []ui.Command
	copyLabel           string
	preedit             bool
	text                string

	rows map[int64]*row
	// follow keeps the last row in sight while rows are added or rewrapped.
	follow bool
}

// conversationKeys are the keys that the model wants to know of.
var conversationKeys = map[uint32]ui.Key{
	keyReturn:      ui.KeyEnter,
	keyKeypadEnter: ui.KeyEnter,
	keyISOEnter:    ui.KeyEnter,
	keyEscape:      ui.KeyEscape,
}

// NewConversation implements ui.Toolkit.
func (t *Toolkit) NewConversation(spec ui.ConversationSpec, handler ui.ConversationHandler) (ui.Conversation, error) {
	c := &conversation{handler: handler, copyLabel: spec.Copy, rows: make(map[int64]*row), follow: true}
	c.init(t, spec.Title, spec.Size, handler)

	box := boxNew(vertical, 0)
	containerAdd(c.top, box)
	boxPackStart(box, c.newHeader(spec), 0, 0, 0)
	boxPackStart(box, separatorNew(horizontal), 0, 0, 0)
	boxPackStart(box, c.newList(spec), 1, 1, 0)
	boxPackStart(box, c.newNotice(), 0, 0, 0)
	boxPackStart(box, separatorNew(horizontal), 0, 0, 0)
	boxPackStart(box, c.newCompose(spec), 0, 0, 0)
	hint := label(spec.Hint, "earshot-hint")
	labelEllipsize(hint, ellipsizeEnd)
	boxPackStart(box, hint, 0, 0, 0)
	wShowAll(box)
	c.takeAttachments()
	return c, nil
}

func (c *conversation) newHeader(spec ui.ConversationSpec) ptr {
	top := class(boxNew(horizontal, 8), "earshot-header")
	header := boxNew(vertical, 2)
	boxPackStart(top, header, 1, 1, 0)
	boxPackStart(top, c.newMore(spec.More), 0, 0, 0)
	c.name = is(label("", "earshot-name"), roleHeading)
	// Several people take as many lines as a window can spare.
	const lines = 3
	labelWrap(c.name, 1)
	labelWrapMode(c.name, wrapWordChar)
	labelLines(c.name, lines)
	labelMaxChars(c.name, bubbleChars)
	labelEllipsize(c.name, ellipsizeEnd)
	boxPackStart(header, c.name, 0, 0, 0)
	line := boxNew(horizontal, 6)
	c.dot = is(label("", "earshot-dot"), roleRedundant)
	c.presence = label("", "earshot-presence")
	labelEllipsize(c.presence, ellipsizeEnd)
	boxPackStart(line, c.dot, 0, 0, 0)
	boxPackStart(line, c.presence, 1, 1, 0)
	boxPackStart(header, line, 0, 0, 0)
	return top
}

func (c *conversation) newList(spec ui.ConversationSpec) ptr {
	c.scroll = class(scrollNew(0, 0), "earshot-messages")
	scrollPolicy(c.scroll, policyNever, policyAutomatic)
	c.list = class(listNew(), "earshot-list")
	listMode(c.list, selectionNone)
	c.on(c.list, "focus", c.tab)
	named(c.list, spec.MessagesName)
	c.empty = label("", "earshot-empty")
	labelWrap(c.empty, 1)
	labelMaxChars(c.empty, bubbleChars)
	wHalign(c.empty, alignCenter)
	labelJustify(c.empty, justifyCenter)
	wShow(c.empty)
	listPlaceholder(c.list, c.empty)
	containerAdd(c.scroll, c.list)

	// The adjustment changes when rows are added or wrap anew, and its value
	// when the person scrolls.
	adjustment := scrollVadjustment(c.scroll)
	c.onPlain(adjustment, "changed", func() {
		if c.follow {
			adjSetValue(adjustment, adjUpper(adjustment)-adjPage(adjustment))
		}
	})
	c.onPlain(adjustment, "value-changed", func() {
		const near = 12
		c.follow = adjValue(adjustment)+adjPage(adjustment) >= adjUpper(adjustment)-near
	})
	return c.scroll
}

func (c *conversation) newNotice() ptr {
	c.notice = class(boxNew(vertical, 6), "earshot-notice")
	is(c.notice, roleInfoBar)
	c.noticeText = label("")
	labelWrap(c.noticeText, 1)
	labelWrapMode(c.noticeText, wrapWordChar)
	labelMaxChars(c.noticeText, bubbleChars)
	labelXalign(c.noticeText, 0)
	boxPackStart(c.notice, c.noticeText, 0, 0, 0)
	wShow(c.noticeText)
	line := boxNew(horizontal, 8)
	wHalign(line, alignEnd)
	for i := range c.buttons {
		c.buttons[i] = class(buttonNew(""), "earshot-retry")
		wFocusOnClick(c.buttons[i], 0)
		c.onPlain(c.buttons[i], "clicked", func() {
			c.handler.Answer(i)
			c.write()
		})
		boxPackStart(line, c.buttons[i], 0, 0, 0)
	}
	boxPackStart(c.notice, line, 0, 0, 0)
	wShow(line)
	wNoShowAll(c.notice, 1)
	return c.notice
}

func (c *conversation) newCompose(spec ui.ConversationSpec) ptr {
	line := class(boxNew(horizontal, 8), "earshot-compose")

	c.view = viewNew()
	viewWrap(c.view, wrapTextWordChar)
	viewTabs(c.view, 0)
	named(c.view, spec.EntryName)
	c.buffer = viewBuffer(c.view)
	c.entry, c.filter = c.view, viewFilter

	scroll := scrollNew(0, 0)
	scrollPolicy(scroll, policyNever, policyAutomatic)
	scrollNatural(scroll, 1)
	scrollMaxHeight(scroll, 132)
	containerAdd(scroll, c.view)

	c.placeholder = is(label(spec.Placeholder, "earshot-placeholder"), roleRedundant)
	wHalign(c.placeholder, alignStart)
	wValign(c.placeholder, alignStart)
	overlay := overlayNew()
	containerAdd(overlay, scroll)
	overlayAdd(overlay, c.placeholder)
	overlayPass(overlay, c.placeholder, 1)
	c.frame = class(boxNew(vertical, 0), "earshot-entry")
	boxPackStart(c.frame, overlay, 1, 1, 0)
	boxPackStart(line, c.frame, 1, 1, 0)

	emoji := class(buttonNew("☺"), "flat", "earshot-emoji")
	wTooltip(emoji, spec.Emoji)
	named(emoji, spec.Emoji)
	wValign(emoji, alignEnd)
	wFocusOnClick(emoji, 0)
	boxPackStart(line, emoji, 0, 0, 0)
	c.onPlain(emoji, "clicked", func() {
		c.write()
		gSignalEmit(c.view, "insert-emoji")
	})

	c.send = class(buttonNew(spec.Send), "suggested-action")
	wValign(c.send, alignEnd)
	wFocusOnClick(c.send, 0)
	wSizeRequest(c.send, -1, 36)
	boxPackStart(line, c.send, 0, 0, 0)

	c.on(c.view, "key-press-event", func(event ptr) bool { return c.entryKey(event, conversationKeys) })
	c.on(c.view, "preedit-changed", func(text ptr) bool {
		c.preedit = *pointer(text) != 0
		c.showPlaceholder()
		return false
	})
	c.on(c.view, "focus-in-event", func(ptr) bool { setClass(c.frame, "focused", true); return false })
	c.on(c.view, "focus-out-event", func(ptr) bool { setClass(c.frame, "focused", false); return false })
	c.onPlain(c.buffer, "changed", c.edited)
	c.onPlain(c.send, "clicked", func() {
		c.handler.Send()
		c.write()
	})
	return line
}

// write puts the keyboard into the entry.
func (c *conversation) write() {
	if !c.closed {
		wGrabFocus(c.view)
	}
}

func (c *conversation) edited() {
	var start, end textIter
	bufferStart(c.buffer, &start)
	bufferEnd(c.buffer, &end)
	text := bufferGet(c.buffer, &start, &end, 0)
	c.text = goString(text)
	gFree(text)
	c.showPlaceholder()
	c.handler.Edited(c.text)
}

func (c *conversation) showPlaceholder() {
	wSetVisible(c.placeholder, flag(c.text == "" && !c.preedit))
}

// SetHeader implements ui.Conversation.
func (c *conversation) SetHeader(header ui.Header) {
	if c.closed {
		return
	}
	labelText(c.name, header.Name)
	wTooltip(c.name, header.Name) // all of it
	labelText(c.presence, header.Presence)
	dot := ""
	switch {
	case header.Online:
		dot = "●"
	case header.Presence != "":
		dot = "○"
	}
	labelText(c.dot, dot)
	setClass(c.dot, "online", header.Online)
}

// SetEmpty implements ui.Conversation.
func (c *conversation) SetEmpty(text string) {
	if !c.closed {
		labelText(c.empty, text)
	}
}

// SetNotice implements ui.Conversation.
func (c *conversation) SetNotice(notice ui.Notice) {
	if c.closed {
		return
	}
	labelText(c.noticeText, notice.Text)
	named(c.notice, notice.Text)
	for i, text := range notice.Buttons {
		buttonLabel(c.buttons[i], text)
		wSetVisible(c.buttons[i], flag(text != ""))
	}
	wSetVisible(c.notice, flag(notice.Text != ""))
}

// SetEntry implements ui.Conversation.
func (c *conversation) SetEntry(text string) {
	if !c.closed {
		bufferText(c.buffer, text, int32(len(text)))
		var end textIter
		bufferEnd(c.buffer, &end)
		bufferPlace(c.buffer, &end)
	}
}

// SetSendable implements ui.Conversation.
func (c *conversation) SetSendable(sendable bool) {
	if !c.closed {
		wSensitive(c.send, flag(sendable))
	}
}

var _ ui.Conversation = (*conversation)(nil)
