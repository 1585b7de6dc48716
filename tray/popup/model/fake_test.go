package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"earshot/tray/chat"
	"earshot/tray/popup/ui"
)

// fakeWork records what a model asks for; the test answers.
type fakeWork struct {
	history []func([]chat.Message, error)
	sent    []string
	sends   []func(chat.Message, error)
	retried []int64
	retries []func(error)
	marked  []string
	marks   []func(error)
	opened  []string
	drafts  []chat.Draft
	calls   []string
	answers []func(error)
	safety  func(chat.Safety, error)
	now     time.Time
	load    func(chat.Draft, error)
	kept    []chat.Draft
	keeps   []func(error)
	later   map[int]later
	timers  int
	sizes   map[string]ui.Size
}

func (w *fakeWork) Size(kind string) ui.Size { return w.sizes[kind] }
func (w *fakeWork) Resized(kind string, size ui.Size) {
	if w.sizes == nil {
		w.sizes = make(map[string]ui.Size)
	}
	w.sizes[kind] = size
}

// later is something that is to be called after a while.
type later struct {
	at time.Time
	f  func()
}

func (w *fakeWork) Draft(_ string, then func(chat.Draft, error)) { w.load = then }
func (w *fakeWork) KeepDraft(d chat.Draft, then func(error)) {
	w.kept = append(w.kept, d)
	w.keeps = append(w.keeps, then)
}

func (w *fakeWork) Later(d time.Duration, f func()) (stop func()) {
	if w.later == nil {
		w.later = make(map[int]later)
	}
	w.timers++
	id := w.timers
	w.later[id] = later{w.now.Add(d), f}
	return func() { delete(w.later, id) }
}

// pass lets time go by, and calls what was to be called.
func (w *fakeWork) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for id, l := range w.later {
		if !l.at.After(w.now) {
			delete(w.later, id)
			l.f()
		}
	}
}

func (w *fakeWork) History(_ string, _ int, then func([]chat.Message, error)) {
	w.history = append(w.history, then)
}

func (w *fakeWork) Send(d chat.Draft, then func(chat.Message, error)) {
	w.sent = append(w.sent, d.To+": "+d.Text)
	w.drafts = append(w.drafts, d)
	w.sends = append(w.sends, then)
}

// asked notes what has no answer but an error.
func (w *fakeWork) asked(then func(error), format string, args ...any) {
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
	w.answers = append(w.answers, then)
}

func (w *fakeWork) Edit(id int64, text string, then func(error)) {
	w.asked(then, "edit %d %s", id, text)
}
func (w *fakeWork) Delete(id int64, then func(error))      { w.asked(then, "delete %d", id) }
func (w *fakeWork) Acknowledge(id int64, then func(error)) { w.asked(then, "acknowledge %d", id) }
func (w *fakeWork) Trust(peer string, action chat.TrustAction, then func(error)) {
	w.asked(then, "%s %s", action, peer)
}
func (w *fakeWork) Typing(peer string, active bool) {
	w.calls = append(w.calls, fmt.Sprint("typing ", peer, " ", active))
}
func (w *fakeWork) Safety(peer string, then func(chat.Safety, error)) {
	w.calls = append(w.calls, "safety "+peer)
	w.safety = then
}

func (w *fakeWork) Retry(id int64, then func(error)) {
	w.retried = append(w.retried, id)
	w.retries = append(w.retries, then)
}

func (w *fakeWork) Favourite(peer string, on bool, then func(error)) {
	w.asked(then, "favourite %s %t", peer, on)
}

func (w *fakeWork) MarkRead(peer string, then func(error)) {
	w.marked = append(w.marked, peer)
	w.marks = append(w.marks, then)
}
func (w *fakeWork) Open(peer string) { w.opened = append(w.opened, peer) }
func (w *fakeWork) Now() time.Time   { return w.now }
func (w *fakeWork) Trace(string)     {}

// fakeView is a conversation's window in memory. Like a real one it tells the
// handler of SetEntry.
type fakeView struct {
	model                *Conversation
	header               ui.Header
	rows                 []ui.Row
	empty, notice, entry string
	buttons              [2]string
	sendable, closed     bool
	commands             []ui.Command
	said                 []string
	calls                []string
}

func (v *fakeView) Present()                          { v.calls = append(v.calls, "present") }
func (v *fakeView) Close()                            { v.closed = true }
func (v *fakeView) SetHeader(h ui.Header)             { v.header = h }
func (v *fakeView) SetEmpty(text string)              { v.empty = text }
func (v *fakeView) SetNotice(n ui.Notice)             { v.notice, v.buttons = n.Text, n.Buttons }
func (v *fakeView) SetSendable(s bool)                { v.sendable = s }
func (v *fakeView) SetCommands(commands []ui.Command) { v.commands = commands }
func (v *fakeView) Announce(text string)              { v.said = append(v.said, text) }
func (v *fakeView) SetRows(rows []ui.Row) {
	v.rows = slices.Clone(rows)
	v.calls = append(v.calls, "set")
}

func (v *fakeView) AppendRow(row ui.Row) {
	v.rows = append(v.rows, row)
	v.calls = append(v.calls, "append")
}

func (v *fakeView) UpdateRow(row ui.Row) {
	i := slices.IndexFunc(v.rows, func(r ui.Row) bool { return r.ID == row.ID })
	v.rows[i] = row
	v.calls = append(v.calls, "update")
}

func (v *fakeView) SetEntry(text string) {
	v.entry = text
	v.model.Edited(text)
}

func (v *fakeView) typeText(text string) {
	v.entry = text
	v.model.Edited(text)
}

// text is the list as somebody sees it.
func (v *fakeView) text() string {
	var lines []string
	for _, r := range v.rows {
		switch r.Kind {
		case ui.RowDay:
			lines = append(lines, "-- "+r.Text)
		case ui.RowOwn:
			lines = append(lines, fmt.Sprintf("> %s [%s %s]", r.Text, r.Time, r.State))
		default:
			lines = append(lines, fmt.Sprintf("< %s%s [%s%s]", r.Author, r.Text, r.Time, r.State))
		}
	}
	return strings.Join(lines, "\n")
}
