package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"earshot/tray/autostart"
	"earshot/tray/chat"
	"earshot/tray/localapi"
)

func (c *command) roster() error {
	people, err := c.client.People(c.ctx)
	if err != nil {
		return err
	}
	if c.opts.json {
		return c.printJSON(people)
	}
	return c.printRoster(people)
}

func (c *command) send() error {
	draft, words := chat.Draft{To: chat.Everyone, ReplyTo: c.opts.reply, Urgent: c.opts.urgent}, c.opts.words
	switch {
	case c.opts.everyone:
	case c.opts.has("department"):
		draft.To = chat.DepartmentPeer(c.opts.department)
	default:
		draft.To, words = addressee(words[0]), words[1:]
	}
	draft.Text = strings.Join(words, " ")
	if draft.Text == "-" {
		b, err := io.ReadAll(io.LimitReader(c.in, 1<<20))
		if err != nil {
			return err
		}
		draft.Text = strings.TrimRight(string(b), "\r\n")
	}
	m, err := c.client.Send(c.ctx, draft, true)
	if err != nil {
		return err
	}
	return c.sent(m)
}

// addressee is a name, or several with commas between them.
func addressee(word string) string {
	names := strings.FieldsFunc(word, func(r rune) bool { return r == ',' })
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
	}
	if len(names) < 2 {
		return word
	}
	return chat.SeveralPeer(names)
}

func (c *command) watch() error {
	sub := c.client.Subscribe(localapi.Watcher)
	defer sub.Close()
	for {
		event, err := sub.Next(c.ctx)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
		if c.opts.json {
			err = json.NewEncoder(c.out).Encode(event)
		} else {
			err = c.printEvent(event)
		}
		if err != nil {
			return err
		}
	}
}

func (c *command) compose() error {
	peer := ""
	if len(c.opts.words) > 0 {
		peer = c.opts.words[0]
	}
	allowForeground()
	return c.client.Compose(c.ctx, peer)
}

func (c *command) status() error {
	status, err := c.client.Ask(c.ctx)
	if err != nil {
		return err
	}
	if c.opts.json {
		return c.printJSON(status)
	}
	_, err = fmt.Fprintln(c.out, c.statusLine(status))
	if err == nil && status.Connection == chat.Online && status.Secure {
		_, err = fmt.Fprintln(c.out, c.ownLine(status.Own))
	}
	if err == nil && status.Fingerprint != "" {
		_, err = fmt.Fprintln(c.out, c.p.T("CliFirstUse", "Fingerprint", status.Fingerprint))
	}
	if err == nil && status.Unread > 0 {
		_, err = fmt.Fprintln(c.out, c.p.T("CliUnread", "Count", status.Unread))
	}
	return err
}

// quit ends the client and waits until it has ended.
func (c *command) quit() error {
	sub := c.client.Subscribe(localapi.Watcher)
	defer sub.Close()
	if _, err := sub.Next(c.ctx); err != nil {
		return err
	}
	if err := c.client.End(c.ctx); err != nil {
		return err
	}
	for {
		if _, err := sub.Next(c.ctx); errors.Is(err, io.EOF) || errors.Is(err, localapi.ErrLost) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// loginEntry is what starts this profile's client at login.
func (c *command) loginEntry() (autostart.Entry, error) {
	program, err := autostart.Program()
	if err != nil {
		return autostart.Entry{}, err
	}
	entry := autostart.Entry{Program: program, Args: []string{"run"}, ID: "earshot"}
	if c.opts.profile != "" {
		entry.Args = append(entry.Args, "--profile", c.profile.Dir())
		entry.ID = "earshot-" + c.profile.ID()
	}
	return entry, nil
}

func (c *command) autostart() error {
	entry, err := c.loginEntry()
	if err != nil {
		return err
	}
	switch word := c.opts.words[0]; word {
	case "on", "off":
		if err := c.live.Set(c.ctx, "start_at_login", word); err != nil {
			return err
		}
	case "status":
	default:
		return usageError(c.p.T("CliAutostartUsage"))
	}
	on, err := entry.Status()
	if err != nil {
		return err
	}
	id := "CliAutostartOff"
	if on {
		id = "CliAutostartOn"
	}
	_, err = fmt.Fprintln(c.out, c.p.T(id))
	return err
}
