//go:build windows

package win32

import (
	"strings"

	"earshot/tray/popup/ui"
)

// conversation implements ui.Conversation.
type conversation struct {
	window
	handler ui.ConversationHandler

	name, presence, messages, empty, notice, action, send, hint hwnd
	more                                                        hwnd // opens the menu of commands
	commands                                                    []ui.Command
	copyLabel                                                   string
	answers                                                     [2]hwnd // the notice's buttons

	rows     []ui.Row
	starts   []int32 // where each row begins in the text
	shown    ui.Notice
	named    string // the header's name
	actionID int64  // the first row with a button, which is shown if not 0
	link     bool   // what is written now is a link
	links    []charRange
}

// NewConversation implements ui.Toolkit.
func (t *Toolkit) NewConversation(spec ui.ConversationSpec, handler ui.ConversationHandler) (ui.Conversation, error) {
	c := &conversation{handler: handler, copyLabel: spec.Copy}
	if err := c.init(t, c, spec.Title, spec.Size, handler); err != nil {
		return nil, &problem{t.p.T("PopupNoToolkit"), err}
	}
	with := controls{w: &c.window}
	c.name = with.label("", 0, c.fonts.name)
	c.presence = with.label("", ssEndEllipsis, c.fonts.small)
	with.named(spec.More)
	c.more = with.add("BUTTON", "⋯", wsTab, 0, c.fonts.name)
	with.named(spec.MessagesName)
	c.messages = with.add(t.rich, "", esMultiline|esReadOnly|esAutoV|wsScroll|wsTab, 0, c.fonts.body)
	c.empty = with.label("", ssCenter, c.fonts.body)
	c.notice = with.label("", 0, c.fonts.small)
	for i := range c.answers {
		c.answers[i] = with.add("BUTTON", "", wsTab, 0, c.fonts.body)
	}
	c.action = with.add("BUTTON", "", wsTab, 0, c.fonts.body)
	with.field(spec.EntryName, spec.Placeholder, esMultiline|esWantReturn|esAutoV)
	c.send = with.add("BUTTON", mnemonicFree(spec.Send), wsTab, 0, c.fonts.body)
	c.hint = with.label(spec.Hint, ssEndEllipsis, c.fonts.small)
	if with.err != nil {
		c.Close()
		return nil, &problem{t.p.T("PopupNoToolkit"), with.err}
	}
	for _, button := range []hwnd{c.action, c.send, c.more, c.answers[0], c.answers[1]} {
		c.buttons[button] = true
	}
	c.colors[c.presence], c.colors[c.hint], c.colors[c.empty] = c.t.theme.dim, c.t.theme.dim, c.t.theme.dim
	c.colors[c.notice] = c.t.theme.notice
	enableWindow.Call(c.send, 0)
	dragAccept.Call(c.top, 1)
	c.initMessages()
	c.layout()
	return c, nil
}

func (c *conversation) keys() map[uintptr]ui.Key { return conversationKeys }

func (c *conversation) draw(*drawItem) {}

func (c *conversation) attached(what ui.Attachment) { c.handler.Attached(what) }

func (c *conversation) command(control, _ uintptr) {
	// Buttons are the only others that tell of anything, and only of clicks.
	switch control {
	case c.send:
		c.handler.Send()
	case c.more:
		c.openMenu()
	case c.action:
		if c.actionID != 0 {
			c.handler.Act(c.actionID)
		}
	case c.answers[0]:
		c.handler.Answer(0)
	case c.answers[1]:
		c.handler.Answer(1)
	default:
		return
	}
	if !c.closed {
		setFocus.Call(c.entry)
	}
}

// layout puts every control in its place.
func (c *conversation) layout() {
	if c.hint == 0 {
		return
	}
	width, height := c.client()
	side, space := c.scale(margin), c.scale(gap)
	inner := width - 2*side
	_, line := c.measure(c.fonts.small, "Ag", 0)
	_, tall := c.measure(c.fonts.name, "Ag", 0)

	y := c.scale(10)
	beside := inner
	show(c.more, len(c.commands) > 0)
	if len(c.commands) > 0 {
		square := c.scale(32)
		move(c.more, width-side-square, y, square, square)
		beside -= square + space
	}
	// Several people take as many lines as a window can spare.
	const lines = 3
	_, names := c.measure(c.fonts.name, textOf(c.name), beside)
	names = min(max(names, tall), lines*tall)
	move(c.name, side, y, beside, names)
	y += names + c.scale(2)
	move(c.presence, side, y, beside, line)
	top := y + line + space

	bottom := height - line - c.scale(6)
	move(c.hint, side, bottom, inner, line)
	_, body := c.measure(c.fonts.body, "Ag", 0)
	entry := 3*body + c.scale(8)
	label, _ := c.measure(c.fonts.body, textOf(c.send), 0)
	button := max(label+c.scale(28), c.scale(76))
	bottom -= entry + c.scale(6)
	move(c.entry, side, bottom, inner-button-space, entry)
	push := body + c.scale(14)
	move(c.send, width-side-button, bottom+entry-push, button, push)

	show(c.action, c.actionID != 0)
	if c.actionID != 0 {
		wide, _ := c.measure(c.fonts.body, textOf(c.action), 0)
		bottom -= push + c.scale(6)
		move(c.action, width-side-wide-c.scale(28), bottom, wide+c.scale(28), push)
	}
	if c.shown.Buttons != [2]string{} {
		bottom -= push + c.scale(6)
	}
	right := width - side
	for i := len(c.answers) - 1; i >= 0; i-- {
		show(c.answers[i], c.shown.Buttons[i] != "")
		if c.shown.Buttons[i] != "" {
			wide, _ := c.measure(c.fonts.body, c.shown.Buttons[i], 0)
			right -= wide + c.scale(28)
			move(c.answers[i], right, bottom, wide+c.scale(28), push)
			right -= space
		}
	}
	show(c.notice, c.shown.Text != "")
	if c.shown.Text != "" {
		_, need := c.measure(c.fonts.small, c.shown.Text, inner)
		bottom -= need + c.scale(6)
		move(c.notice, side, bottom, inner, need)
	}
	bottom -= space
	end := c.atEnd()
	move(c.messages, 0, top, width, bottom-top)
	_, need := c.measure(c.fonts.body, textOf(c.empty), inner)
	move(c.empty, side, top+(bottom-top-need)/2, inner, need)
	show(c.messages, len(c.rows) > 0)
	show(c.empty, len(c.rows) == 0)
	if end {
		c.scrollToEnd()
	}
	invalidateRect.Call(c.top, 0, 1)
}

// SetHeader implements ui.Conversation.
func (c *conversation) SetHeader(header ui.Header) {
	if c.closed {
		return
	}
	if setText(c.name, header.Name); header.Name != c.named {
		c.named = header.Name
		defer c.layout()
	}
	text := header.Presence
	c.colors[c.presence] = c.t.theme.dim
	switch {
	case header.Online:
		text = "● " + text
		c.colors[c.presence] = c.t.theme.green
	case text != "":
		text = "○ " + text
	}
	setText(c.presence, text)
}

// SetEmpty implements ui.Conversation.
func (c *conversation) SetEmpty(text string) {
	if !c.closed {
		setText(c.empty, text)
		c.layout()
	}
}

// SetNotice implements ui.Conversation.
func (c *conversation) SetNotice(notice ui.Notice) {
	if c.closed {
		return
	}
	c.shown = notice
	setText(c.notice, toWindows(notice.Text))
	for i, text := range notice.Buttons {
		setText(c.answers[i], mnemonicFree(text))
	}
	c.layout()
}

// SetEntry implements ui.Conversation.
func (c *conversation) SetEntry(text string) {
	if !c.closed {
		c.setEntry(text)
	}
}

// setEntry replaces the entry's text as if it were typed: other than setting
// a window's text, that tells of the change in a field of several lines.
func (w *window) setEntry(text string) {
	send(w.entry, emSetSel, 0, ^uintptr(0))
	sendText(w.entry, emReplaceSel, 0, toWindows(text))
}

// SetSendable implements ui.Conversation.
func (c *conversation) SetSendable(sendable bool) {
	if c.closed {
		return
	}
	var enable uintptr
	if sendable {
		enable = 1
	}
	if focus, _, _ := getFocus.Call(); focus == c.send && !sendable {
		setFocus.Call(c.entry)
	}
	enableWindow.Call(c.send, enable)
}

// mnemonicFree returns a button's label whose ampersands are shown.
func mnemonicFree(label string) string { return strings.ReplaceAll(label, "&", "&&") }

func toWindows(text string) string {
	return strings.ReplaceAll(fromWindows(text), "\n", "\r\n")
}

func fromWindows(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

var _ ui.Conversation = (*conversation)(nil)
