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
	}
	sendable := strings.TrimSpace(c.draft) != "" && !c.world.Ended
	if sendable != c.shown.sendable {
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
	if c.peer == chat.Everyone {
		n := c.world.online()
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
	case person.Verified:
		return t("PopupOnlineVerified"), true
	default:
		return t("PopupOnlineUnverified"), true
	}
}

// waits says that a message written now would not leave at once.
func (c *Conversation) waits() bool {
	if !c.world.Known {
		return false
	}
	if c.world.Status.Connection != chat.Online {
		return true
	}
	if c.peer == chat.Everyone {
		return false
	}
	person, _ := c.world.Person(c.peer)
	return !person.Online
}

// notice is the most important sentence at the moment, or none.
func (c *Conversation) notice() string {
	switch {
	case c.world.Ended:
		return c.p.T("PopupNoticeEnded")
	case c.trouble != "":
		return c.trouble
	case !c.world.Known:
		return ""
	case c.world.Status.Connection == chat.Connecting:
		// It takes a moment, and a notice that flashes by helps nobody.
		return c.world.Status.Problem
	case c.world.Status.Connection == chat.Offline:
		return c.p.T("PopupNoticeDisconnected")
	case c.peer == chat.Everyone && c.world.online() == 0:
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
	row := ui.Row{ID: m.ID, Kind: ui.RowOwn, Text: m.Text, Time: at.Format("15:04")}
	author := c.p.T("PopupYou")
	switch m.State {
	case chat.Received:
		row.Kind = ui.RowOther
		author = m.Sender
		if c.peer == chat.Everyone {
			row.Author = m.Sender
		}
		if m.Doubtful {
			row.State = c.p.T("PopupDoubtful")
		}
	case chat.Sending:
		row.State = c.p.T("PopupStateSending")
		if waits {
			row.State = c.p.T("PopupStateWaiting")
		}
	case chat.Sent:
		row.State = c.p.T("PopupStateSent")
	case chat.Failed:
		row.State = c.p.T("PopupStateFailed")
		row.Retry = c.p.T("PopupRetry")
		row.Problem = m.Problem
		if row.Problem == "" {
			row.Problem = c.p.T("PopupFailedUnknown")
		}
	}
	if row.State == "" {
		row.Name = c.p.T("PopupRowName", "Author", author, "Time", row.Time, "Text", m.Text)
	} else {
		row.Name = c.p.T("PopupRowNameState", "Author", author, "Time", row.Time, "Text", m.Text, "State", row.State)
	}
	if row.Problem != "" {
		row.Name += " " + row.Problem
	}
	return row
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
