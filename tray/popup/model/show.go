package model

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"earshot/tray/chat"
	"earshot/tray/popup/ui"
)

// refresh tells the view what changed since it was last told.
func (c *Conversation) refresh() {
	if c.view == nil {
		return
	}
	if _, there := c.message(c.replying); c.past && !there {
		c.replying = 0 // what a draft answered has been deleted, or is long past
	}
	c.keepLater()
	first := c.shown.header.Name == ""
	if header := c.header(); header != c.shown.header {
		c.shown.header = header
		c.view.SetHeader(header)
	}
	if first {
		empty := c.p.T("PopupEmpty", "Name", c.name())
		if c.peer == chat.Everyone {
			empty = c.p.T("PopupEmptyEveryone")
		}
		c.view.SetEmpty(empty)
	}
	c.showRows(c.rows())
	if notice := c.notice(); notice != c.shown.notice {
		c.shown.notice = notice
		c.view.SetNotice(notice)
		if notice.Text != "" {
			c.view.Announce(notice.Text)
		}
	}
	var commands []ui.Command
	for _, command := range c.commands() {
		commands = append(commands, ui.Command{Label: command.label, Toggle: command.toggle, Checked: command.on})
	}
	if !slices.Equal(commands, c.shown.commands) {
		c.shown.commands = commands
		c.view.SetCommands(slices.Clone(commands))
	}
	if sendable := c.sendable(); sendable != c.shown.sendable {
		c.shown.sendable = sendable
		c.view.SetSendable(sendable)
	}
}

// showRows takes the view from the rows it shows to rows with the fewest
// changes: rows that changed in place are updated, new ones at the end
// appended, and only anything else replaces the list.
func (c *Conversation) showRows(rows []ui.Row) {
	old := c.shown.rows
	c.shown.rows = rows
	same := len(old) <= len(rows) && slices.EqualFunc(old, rows[:min(len(old), len(rows))],
		func(a, b ui.Row) bool { return a.ID == b.ID && a.Kind == b.Kind })
	if !same || len(old) == 0 {
		if len(rows) > 0 || len(old) > 0 {
			c.view.SetRows(slices.Clone(rows))
		}
		return
	}
	for i, row := range old {
		if rows[i] != row {
			c.view.UpdateRow(rows[i])
		}
	}
	for _, row := range rows[len(old):] {
		c.view.AppendRow(row)
	}
}

func (c *Conversation) header() ui.Header {
	header := ui.Header{Name: c.name()}
	if !c.world.Known {
		return header
	}
	if !isPerson(c.peer) {
		n := c.world.onlineOf(c.peer)
		header.Online = n > 0 && c.world.Status.Connection == chat.Online
		header.Presence = c.p.T("PopupPeopleOnline", "Count", n)
		return header
	}
	person, ok := c.world.Person(c.peer)
	if !ok {
		header.Presence = c.p.T("PopupUnknown")
		return header
	}
	header.Presence, header.Online = presence(c.world, person, c.p.T)
	return header
}

// presence says in a few words whether and how somebody can be reached.
func presence(w *World, person chat.Person, t func(string, ...any) string) (text string, online bool) {
	switch {
	case !person.Online:
		return t("PopupOffline"), false
	case person.Stale || w.Status.Connection != chat.Online:
		return t("PopupStale"), false
	case person.Typing:
		return t("PopupTyping"), true
	}
	words := []string{t("PopupOnline"), t("PopupUnverified")}
	switch person.Presence {
	case chat.Away:
		words[0] = t("PopupAway")
	case chat.Busy:
		words[0] = t("PopupBusy")
	}
	switch {
	case person.Trust.Blocked(): // whoever it is
	case person.Verified:
		words[1] = t("PopupVerified")
	case person.Secure:
		words[1] = t("PopupEncrypted")
	}
	for _, more := range []string{way(person, t), person.StatusText, person.Display, person.Department} {
		if more != "" {
			words = append(words, more)
		}
	}
	return strings.Join(words, " · "), true
}

// way is how somebody is reached, if that is known now.
func way(person chat.Person, t func(string, ...any) string) string {
	switch {
	case person.Unreachable != "":
		return t("PopupNotReached")
	case !person.Connected:
		return ""
	case person.Route.Straight():
		return t("PopupDirect")
	case person.Route == chat.RouteRelayed:
		return t("PopupRelayed")
	}
	return ""
}

// waits says that a message written now would not leave at once.
func (c *Conversation) waits() bool {
	if !c.world.Known {
		return false
	}
	if c.world.Status.Connection != chat.Online {
		return true
	}
	if strings.HasPrefix(c.peer, ",") {
		return false
	}
	person, _ := c.world.Person(c.peer)
	return !person.Online
}

// notice is the most important sentence at the moment, or none.
func (c *Conversation) notice() ui.Notice {
	person, _ := c.world.Person(c.peer)
	buttons := func(ids ...string) (labels [2]string) {
		for i, id := range ids {
			labels[i] = c.p.T(id)
		}
		return labels
	}
	switch {
	case c.world.Ended:
		return ui.Notice{Text: c.p.T("PopupNoticeEnded")}
	case c.comparing != nil:
		return ui.Notice{
			Text:    c.p.T("PopupCompare", "Name", c.name(), "Number", lined(c.comparing.Number)),
			Buttons: buttons("PopupSame", "PopupCloseCompare"),
		}
	case c.trouble != "":
		return ui.Notice{Text: c.trouble}
	case person.Trust == chat.TrustChanged:
		return ui.Notice{Text: c.p.T("PopupTrustChanged", "Name", c.name()), Buttons: buttons("PopupAccept", "PopupMenuCompare")}
	case person.Trust == chat.TrustLost:
		return ui.Notice{Text: c.p.T("PopupTrustLost", "Name", c.name()), Buttons: buttons("PopupAcceptClassic")}
	case c.editing != 0:
		return ui.Notice{Text: c.p.T("PopupEditing")}
	}
	var lines []string
	if m, ok := c.message(c.replying); ok {
		lines = append(lines, c.p.T("PopupReplying", "Quote", brief(m.Text)))
	}
	if c.urgent {
		lines = append(lines, c.p.T("PopupUrgentDraft"))
	}
	if lines != nil {
		return ui.Notice{Text: strings.Join(lines, "\n")}
	}
	return ui.Notice{Text: c.state()}
}

// lined is a safety number in three lines, as it is compared.
func lined(number string) string {
	groups := strings.Fields(number)
	var lines []string
	for line := range slices.Chunk(groups, 4) {
		lines = append(lines, strings.Join(line, " "))
	}
	return strings.Join(lines, "\n")
}

// brief is the beginning of a text, on one line.
func brief(text string) string {
	const most = 60
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > most {
		return string(line[:most]) + "…"
	}
	return string(line)
}

// state is what there is to know about a message that would be sent now.
func (c *Conversation) state() string {
	switch {
	case !c.world.Known:
		return ""
	case c.world.Status.Connection == chat.Connecting:
		// It takes a moment, and a notice that flashes by helps nobody.
		return c.world.Status.Problem
	case c.world.Status.Connection == chat.Offline:
		return c.p.T("PopupNoticeDisconnected")
	case c.peer == chat.Everyone && c.world.onlineOf(c.peer) == 0:
		return c.p.T("PopupNoticeNobody")
	case c.waits():
		return c.p.T("PopupNoticeOffline", "Name", c.name())
	}
	return ""
}

// rows returns the messages as rows, with a line before each day's first.
func (c *Conversation) rows() []ui.Row {
	rows := make([]ui.Row, 0, len(c.messages)+4)
	now := c.work.Now()
	var year int
	var month time.Month
	var day int
	waits := c.waits()
	for _, m := range c.messages {
		at := m.At.In(now.Location())
		if y, mon, d := at.Date(); y != year || mon != month || d != day {
			year, month, day = y, mon, d
			text := c.day(at, now)
			rows = append(rows, ui.Row{ID: -m.ID, Kind: ui.RowDay, Text: text, Name: text})
		}
		rows = append(rows, c.row(m, at, waits))
	}
	return rows
}

// row returns one message as a row.
func (c *Conversation) row(m chat.Message, at time.Time, waits bool) ui.Row {
	row := ui.Row{ID: m.ID, Kind: ui.RowOwn, Text: m.Text, Quote: m.Quote, Time: at.Format("15:04"), Menu: labels(c.menu(m))}
	author := c.p.T("PopupYou")
	if m.State == chat.Received {
		row.Kind, author = ui.RowOther, m.Sender
		if strings.HasPrefix(c.peer, ",") {
			row.Author = m.Sender
		}
	}
	if m.Deleted {
		row.Text, row.Quote, row.Faded = c.p.T("PopupTakenBack"), "", true
	}
	row.Urgent = m.Urgent && !m.Deleted
	row.State = strings.Join(c.marks(m, waits), " · ")
	switch {
	case m.State == chat.Failed:
		row.Action = c.p.T("PopupRetry")
		row.Problem = m.Problem
		if row.Problem == "" {
			row.Problem = c.p.T("PopupFailedUnknown")
		}
	case m.State == chat.Received && m.Urgent && !m.Acknowledged && !m.Deleted:
		row.Action = c.p.T("PopupAcknowledge")
	}
	if row.State == "" {
		row.Name = c.p.T("PopupRowName", "Author", author, "Time", row.Time, "Text", row.Text)
	} else {
		row.Name = c.p.T("PopupRowNameState", "Author", author, "Time", row.Time, "Text", row.Text, "State", row.State)
	}
	if row.Problem != "" {
		row.Name += " " + row.Problem
	}
	return row
}

// marks are what is said of a message beside its time.
func (c *Conversation) marks(m chat.Message, waits bool) (all []string) {
	mark := func(holds bool, id string) {
		if holds {
			all = append(all, c.p.T(id))
		}
	}
	mark(m.Urgent && !m.Deleted, "PopupUrgent")
	mark(m.Edited && !m.Deleted, "PopupEdited")
	mark(m.Doubtful, "PopupDoubtful")
	if m.Audience != "" {
		all = append(all, m.Audience)
	}
	switch waits = waits || m.Waiting; {
	case m.State == chat.Sending && waits:
		mark(true, "PopupStateWaiting")
	case m.State == chat.Sending:
		mark(true, "PopupStateSending")
	case m.State == chat.Failed:
		mark(true, "PopupStateFailed")
	case m.Progress != nil && m.Progress.Read > 0:
		all = append(all, c.p.T("PopupReadOf", "Read", m.Progress.Read, "Total", m.Progress.Total))
	case m.Progress != nil:
		all = append(all, c.p.T("PopupDeliveredOf", "Delivered", m.Progress.Delivered, "Total", m.Progress.Total))
	case m.State == chat.Sent:
		mark(true, "PopupStateSent")
	case m.State == chat.Delivered:
		mark(true, "PopupStateDelivered")
	case m.State == chat.Read:
		mark(true, "PopupStateRead")
	}
	mark(m.Acknowledged, "PopupAcknowledged")
	return all
}

// day names a day as people do.
func (c *Conversation) day(at, now time.Time) string {
	date := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	switch days := int(date(now).Sub(date(at)).Hours() / 24); {
	case days == 0:
		return c.p.T("PopupToday")
	case days == 1:
		return c.p.T("PopupYesterday")
	}
	id := "PopupDay"
	if at.Year() != now.Year() {
		id = "PopupDayYear"
	}
	return c.p.T(id, "Year", at.Year(), "Day", at.Day(),
		"Month", c.p.T("PopupMonth"+strconv.Itoa(int(at.Month()))),
		"Weekday", c.p.T("PopupWeekday"+strconv.Itoa(int(at.Weekday()))))
}
