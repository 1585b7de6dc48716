package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"earshot/tray/chat"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

func (c *command) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// clean makes other people's text harmless for a terminal: control characters,
// which could move the cursor, and those that change the direction of writing,
// which could make a line look like another one, become visible.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < 0x20:
			return 0x2400 + r // its picture
		case unicode.IsControl(r), r == 0x2028, r == 0x2029,
			unicode.Is(unicode.Bidi_Control, r), r == 0xfeff:
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// fit cuts or pads text to a width in cells; wide characters take two.
func fit(s string, width int) string {
	if w := uniseg.StringWidth(s); w <= width {
		return s + strings.Repeat(" ", width-w)
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if used+g.Width() > width-1 {
			break
		}
		b.WriteString(g.Str())
		used += g.Width()
	}
	b.WriteString("…")
	return b.String() + strings.Repeat(" ", max(0, width-1-used))
}

// width is how many cells a line of the terminal has.
func (c *command) width() int {
	if f, ok := c.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 100
}

// narrowest is the narrowest name column.
const narrowest = 8

func (c *command) printRoster(people []chat.Person) error {
	if len(people) == 0 {
		_, err := fmt.Fprintln(c.out, c.p.T("CliNobody"))
		return err
	}
	names, room := 0, max(narrowest, c.width()/2)
	for _, p := range people {
		names = max(names, min(room, uniseg.StringWidth(clean(p.Name))))
	}
	for _, p := range people {
		mark, state := c.standing(p)
		if p.Unread > 0 {
			state += " · " + c.p.T("CliUnread", "Count", p.Unread)
		}
		line := mark + " " + fit(clean(p.Name), names) + "  "
		state = fit(state, max(narrowest, c.width()-uniseg.StringWidth(line)))
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(line+state, " ")); err != nil {
			return err
		}
	}
	return nil
}

// standing is a person's mark, and its presence and trust in words.
func (c *command) standing(p chat.Person) (mark, state string) {
	mark, state = "○", c.p.T("CliOffline")
	switch {
	case p.Stale:
		mark, state = "◌", c.p.T("CliStale")
	case p.Online && p.Presence == chat.Away:
		mark, state = "◐", c.p.T("CliAway")
	case p.Online && p.Presence == chat.Busy:
		mark, state = "⊘", c.p.T("CliBusy")
	case p.Online:
		mark, state = "●", c.p.T("CliOnline")
	}
	switch {
	case p.Trust.Blocked():
		mark, state = "!", c.trustLine(p.Name, p.Trust)
	case p.Verified:
		state += ", " + c.p.T("CliVerified")
	case p.Secure:
		state += ", " + c.p.T("CliEncrypted")
	case p.Online && !p.Stale:
		state += ", " + c.p.T("CliUnverified")
	}
	for _, part := range []string{c.way(p), p.StatusText, p.Display, p.Department} {
		if part != "" {
			state += " · " + clean(part)
		}
	}
	return mark, state
}

// printHistory shows messages under their days. With all conversations at once
// each says whose it is.
func (c *command) printHistory(messages []chat.Message, all bool) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(c.out, c.p.T("CliNoMessages"))
		return err
	}
	day := ""
	for _, m := range messages {
		if d := m.At.Local().Format(time.DateOnly); d != day {
			day = d
			if _, err := fmt.Fprintf(c.out, "── %s\n", d); err != nil {
				return err
			}
		}
		if err := c.printMessage(m, all); err != nil {
			return err
		}
	}
	return nil
}

// printMessage shows a message; its further lines stand under the first one.
func (c *command) printMessage(m chat.Message, all bool) error {
	who := clean(m.Sender)
	if m.State != chat.Received {
		who = c.p.T("CliYou")
	}
	switch {
	case m.Peer == chat.Everyone:
		who += " → " + c.p.T("CliEveryone")
	case all && m.State != chat.Received:
		who += " → " + clean(peerName(m.Peer))
	}
	notes := c.notes(m)
	head := m.At.Local().Format("15:04:05") + "  " + who + ": "
	indent := strings.Repeat(" ", 10)
	if m.Quote != "" {
		if _, err := fmt.Fprintf(c.out, "%s> %s\n", indent, clean(m.Quote)); err != nil {
			return err
		}
	}
	for i, line := range strings.Split(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n") {
		if i > 0 {
			head = indent
		}
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(head+clean(line), " ")); err != nil {
			return err
		}
	}
	if len(notes) > 0 {
		_, err := fmt.Fprintf(c.out, "%s(%s)\n", indent, strings.Join(notes, "; "))
		return err
	}
	return nil
}

// peerName is an addressee as people write it.
func peerName(peer string) string {
	if department, ok := chat.DepartmentOf(peer); ok {
		return department
	}
	if names, ok := chat.SeveralOf(peer); ok {
		return strings.Join(names, ", ")
	}
	return peer
}

// notes are what is to be said of a message besides its text.
func (c *command) notes(m chat.Message) (notes []string) {
	say := func(holds bool, id string) {
		if holds {
			notes = append(notes, c.p.T(id))
		}
	}
	say(m.Urgent && !m.Acknowledged, "CliUrgent")
	say(m.Acknowledged, "CliAcknowledged")
	say(m.Deleted, "CliDeleted")
	say(m.Edited && !m.Deleted, "CliEdited")
	say(m.Doubtful, "CliDoubtful")
	if m.Audience != "" {
		notes = append(notes, clean(m.Audience))
	}
	switch {
	case m.State == chat.Failed:
		notes = append(notes, clean(m.Problem))
	case m.Progress != nil:
		notes = append(notes, c.p.T("CliProgress", "Read", m.Progress.Read, "Delivered", m.Progress.Delivered, "Total", m.Progress.Total))
	case m.State != chat.Received && m.State != chat.Sent:
		notes = append(notes, c.stateWord(m.State, m.Waiting))
	}
	return notes
}

func (c *command) statusLine(s chat.Status) string {
	name, server := clean(s.Name), clean(s.Server)
	line := c.p.T("CliStatusOffline", "Server", server)
	switch s.Connection {
	case chat.Online:
		line = c.p.T("CliStatusOnline", "Name", name, "Server", server)
	case chat.Connecting:
		line = c.p.T("CliStatusConnecting", "Server", server)
	}
	if s.Problem != "" {
		line += " " + clean(s.Problem)
	}
	return line
}

// printEvent shows an event of watch, if a person has any use for it.
func (c *command) printEvent(e chat.Event) error {
	line := ""
	switch e.Type {
	case chat.EventMessage:
		return c.printMessage(*e.Message, true)
	case chat.EventState:
		if e.Message.State == chat.Failed {
			line = clean(e.Message.Problem)
		}
	case chat.EventSnapshot:
		if err := c.printLine(e.At, c.statusLine(*e.Status)); err != nil {
			return err
		}
		return c.printRoster(e.Roster)
	case chat.EventStatus:
		line = c.statusLine(*e.Status)
	case chat.EventNotice:
		line = clean(e.Notice)
	case chat.EventLogin:
		line = c.p.T("CliCame", "Name", clean(e.Person.Name))
	case chat.EventLogout:
		line = c.p.T("CliLeft", "Name", clean(e.Person.Name))
	}
	if line == "" {
		return nil
	}
	return c.printLine(e.At, line)
}

func (c *command) printLine(at time.Time, line string) error {
	_, err := fmt.Fprintln(c.out, at.Local().Format("15:04:05")+"  "+line)
	return err
}
