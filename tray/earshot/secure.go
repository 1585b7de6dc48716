package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"earshot/tray/chat"
)

// messageID reads the ID of a message, as history --json and the local API
// name it.
func (c *command) messageID(word string) (int64, error) {
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError(c.p.T("CliMessageID", "Word", clean(word)))
	}
	return id, nil
}

func (c *command) edit() error {
	id, err := c.messageID(c.opts.words[0])
	if err != nil {
		return err
	}
	return c.client.Edit(c.ctx, id, strings.Join(c.opts.words[1:], " "))
}

func (c *command) delete() error {
	id, err := c.messageID(c.opts.words[0])
	if err != nil {
		return err
	}
	return c.client.Delete(c.ctx, id)
}

func (c *command) acknowledge() error {
	id, err := c.messageID(c.opts.words[0])
	if err != nil {
		return err
	}
	return c.client.Acknowledge(c.ctx, id)
}

// recipients shows how far a message has come with each of its receivers.
func (c *command) recipients() error {
	id, err := c.messageID(c.opts.words[0])
	if err != nil {
		return err
	}
	list, err := c.client.Recipients(c.ctx, id)
	if err != nil {
		return err
	}
	if c.opts.json {
		return c.printJSON(list)
	}
	var read, delivered int
	var missing []string
	for _, r := range list {
		switch {
		case r.State == chat.Read || r.Acknowledged:
			read++
			delivered++
			continue
		case r.State == chat.Delivered:
			delivered++
		}
		missing = append(missing, clean(r.Name)+" ("+c.recipientState(r)+")")
	}
	line := c.p.T("CliProgress", "Read", read, "Delivered", delivered, "Total", len(list))
	if len(missing) > 0 {
		line += " " + c.p.T("CliNotRead", "Names", strings.Join(missing, ", "))
	}
	_, err = fmt.Fprintln(c.out, line)
	return err
}

func (c *command) recipientState(r chat.Recipient) string {
	if r.Problem != "" {
		return clean(r.Problem)
	}
	return c.stateWord(r.State, r.Waiting)
}

// stateWord is a state of one's own message in a word or two.
func (c *command) stateWord(state chat.State, waiting bool) string {
	switch state {
	case chat.Sending:
		if waiting {
			return c.p.T("CliStateWaiting")
		}
		return c.p.T("CliStateSending")
	case chat.Sent:
		return c.p.T("CliStateSent")
	case chat.Delivered:
		return c.p.T("CliStateDelivered")
	case chat.Read:
		return c.p.T("CliStateRead")
	case chat.Failed:
		return c.p.T("CliStateFailed")
	}
	return ""
}

// presence shows what the person says of itself, or changes it.
func (c *command) presence() error {
	status, err := c.client.Ask(c.ctx)
	if err != nil {
		return err
	}
	own := status.Own
	if len(c.opts.words) == 0 && !c.opts.has("display") && !c.opts.has("department") {
		if c.opts.json {
			return c.printJSON(own)
		}
		_, err := fmt.Fprintln(c.out, c.ownLine(own))
		return err
	}
	if len(c.opts.words) > 0 {
		own.Presence = chat.Presence(c.opts.words[0])
		switch own.Presence {
		case chat.Available, chat.Away, chat.Busy, chat.Invisible:
		default:
			return usageError(c.p.T("CliPresenceUsage"))
		}
		own.Text = strings.Join(c.opts.words[1:], " ")
	}
	if c.opts.has("display") {
		own.Display = c.opts.display
	}
	if c.opts.has("department") {
		own.Department = c.opts.department
	}
	if err := c.client.SetStatus(c.ctx, own); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, c.ownLine(own))
	return err
}

func (c *command) ownLine(own chat.OwnStatus) string {
	var line strings.Builder
	line.WriteString(c.presenceWord(own.Presence))
	for _, part := range []string{own.Text, own.Display, own.Department} {
		if part != "" {
			line.WriteString(" · " + clean(part))
		}
	}
	return line.String()
}

func (c *command) presenceWord(p chat.Presence) string {
	switch p {
	case chat.Away:
		return c.p.T("CliAway")
	case chat.Busy:
		return c.p.T("CliBusy")
	case chat.Invisible:
		return c.p.T("CliInvisible")
	}
	return c.p.T("CliOnline")
}

// safety shows what two people compare.
func (c *command) safety() error {
	s, err := c.client.Safety(c.ctx, c.opts.words[0])
	if err != nil {
		return err
	}
	if c.opts.json {
		return c.printJSON(s)
	}
	code, err := qrCode(safetyCode(s.Number), c.terminal())
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, c.p.T("CliSafety", "Name", clean(s.Peer)))
	fmt.Fprintln(c.out)
	for row := range rows(strings.Fields(s.Number), 4) {
		fmt.Fprintln(c.out, "    "+strings.Join(row, " "))
	}
	fmt.Fprintln(c.out)
	fmt.Fprintln(c.out, code)
	fmt.Fprintln(c.out, c.trustLine(s.Peer, s.Trust))
	for _, d := range s.Devices {
		fmt.Fprintln(c.out, c.deviceLine(d))
	}
	return nil
}

func rows(words []string, n int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for i := 0; i < len(words); i += n {
			if !yield(words[i:min(i+n, len(words))]) {
				return
			}
		}
	}
}

func (c *command) trustLine(name string, t chat.Trust) string {
	id := "CliTrustNone"
	switch t {
	case chat.TrustPinned:
		id = "CliTrustPinned"
	case chat.TrustVerified:
		id = "CliTrustVerified"
	case chat.TrustChanged:
		id = "CliTrustChanged"
	case chat.TrustLost:
		id = "CliTrustLost"
	}
	return c.p.T(id, "Name", clean(name))
}

func (c *command) deviceLine(d chat.Device) string {
	mark := "○"
	if d.Online {
		mark = "●"
	}
	line := mark + " " + fit(clean(d.Label), 16) + "  " + d.ID
	switch {
	case d.This:
		line += "  (" + c.p.T("CliThisDevice") + ")"
	case d.New:
		line += "  (" + c.p.T("CliNewDevice") + ")"
	}
	return line
}

// trust decides about somebody.
func (c *command) trust() error {
	name, action := c.opts.words[0], chat.TrustAction(c.opts.words[1])
	switch action {
	case chat.TrustAccept, chat.TrustVerify, chat.TrustUnverify:
	default:
		return usageError(c.p.T("CliTrustUsage"))
	}
	if err := c.client.Trust(c.ctx, name, action); err != nil {
		return err
	}
	people, err := c.client.People(c.ctx)
	if err != nil {
		return err
	}
	for _, p := range people {
		if strings.EqualFold(p.Name, name) {
			_, err = fmt.Fprintln(c.out, c.trustLine(p.Name, p.Trust))
		}
	}
	return err
}

// devices shows the account's devices, or changes them.
func (c *command) devices() error {
	verb := "list"
	if len(c.opts.words) > 0 {
		verb = c.opts.words[0]
	}
	switch {
	case verb == "list" && len(c.opts.words) < 2:
		list, err := c.client.Devices(c.ctx)
		if err != nil {
			return err
		}
		if c.opts.json {
			return c.printJSON(list)
		}
		for _, d := range list {
			fmt.Fprintln(c.out, c.deviceLine(d))
		}
		return nil
	case verb == "join" && len(c.opts.words) == 1:
		offer, err := c.client.OfferJoin(c.ctx)
		if err != nil {
			return err
		}
		if c.opts.json {
			return c.printJSON(offer)
		}
		status, err := c.client.Ask(c.ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.out, c.p.T("CliJoinOffer", "Code", offer.Code, "Name", clean(status.Name),
			"Server", clean(status.Server), "Until", offer.Expires.Local().Format(time.TimeOnly)))
		return err
	case verb == "remove" && len(c.opts.words) == 2:
		if err := c.client.RemoveDevice(c.ctx, c.opts.words[1]); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.out, c.p.T("CliDeviceRemoved"))
		return err
	}
	return usageError(c.p.T("CliDevicesUsage"))
}

// sent says what has become of a message that was sent just now.
func (c *command) sent(m chat.Message) error {
	if m.Progress != nil && m.State != chat.Failed {
		_, err := fmt.Fprintln(c.out, c.p.T("CliSentToSeveral", "Total", m.Progress.Total, "Delivered", m.Progress.Delivered))
		return err
	}
	var line string
	switch {
	case m.State == chat.Failed:
		return errors.New(m.Problem)
	case m.State == chat.Delivered || m.State == chat.Read:
		line = c.p.T("CliDelivered")
	case m.State == chat.Sent:
		line = c.p.T("CliSent")
	case m.Problem != "":
		line = clean(m.Problem)
	case m.Peer == chat.Everyone:
		line = c.p.T("CliWaitsForServer")
	default:
		line = c.p.T("CliWaitsForPerson", "Name", clean(m.Peer))
	}
	_, err := fmt.Fprintln(c.out, line)
	return err
}
