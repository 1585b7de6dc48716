//go:build windows

// Command winedemo shows the popup on Windows or wine with an engine that has
// no network. It is a test's other half: what is sent is written to the file
// named by the first argument, a line of JSON each, beside which windows' sizes
// are remembered; the second argument is whose conversation opens, none for the
// Find window.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/popup"
	"earshot/tray/profile"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: winedemo FILE [NAME]")
		os.Exit(2)
	}
	file, err := os.OpenFile(os.Args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	peer := ""
	if len(os.Args) > 2 {
		peer = os.Args[2]
	}
	remembered, err := profile.Open(filepath.Dir(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	engine := newEngine(file)
	if err := popup.Run(context.Background(), engine, i18n.New("en"), remembered, peer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	engine.note(line{Call: "ended"})
}

// line is what the file gets for each call.
type line struct {
	Call string `json:"call"`
	Peer string `json:"peer,omitempty"`
	Text string `json:"text,omitempty"`
	ID   int64  `json:"id,omitempty"`

	Urgent bool `json:"urgent,omitempty"`
}

// engine sends nothing: a message is Sent as soon as it is stored.
type engine struct {
	events chan chat.Event

	mu      sync.Mutex
	file    io.Writer             // guarded by mu
	history []chat.Message        // guarded by mu
	drafts  map[string]chat.Draft // guarded by mu
}

func newEngine(file io.Writer) *engine {
	e := &engine{events: make(chan chat.Event, 100), file: file, drafts: make(map[string]chat.Draft)}
	status := chat.Status{Connection: chat.Online, Name: "me", Server: "demo", Language: "en"}
	e.events <- chat.Event{Type: chat.EventSnapshot, Status: &status, Roster: []chat.Person{
		{Name: "王小明", Online: true, Unread: 2},
		{Name: "Tom & Jerry", Online: true},
		{Name: "Zoë", Online: true, Secure: true, Trust: chat.TrustChanged},
	}}
	at := time.Now().Add(-26 * time.Hour)
	say := func(sender, text string, state chat.State, problem string) {
		at = at.Add(5 * time.Minute)
		e.history = append(e.history, chat.Message{
			ID: int64(len(e.history) + 1), Peer: "王小明", Sender: sender, Text: text, At: at, State: state, Problem: problem,
		})
	}
	say("王小明", "你好!明天下午三点开会,可以吗?地址 https://rooms.example/4?floor=2。", chat.Received, "")
	say("me", "Yes, at three. I bring the plans & the <sketch>.", chat.Sent, "")
	at = time.Now().Add(-20 * time.Minute)
	say("王小明", "好的。会议室在二楼,\n靠近电梯。", chat.Received, "")
	e.history[2].Unread = true
	say("me", "{\\rtf1 \\b this is text, not a document}", chat.Sent, "")
	say("me", "收到,谢谢", chat.Failed, "王小明's computer did not take the message.")
	e.history = append(e.history, chat.Message{
		ID: 6, Peer: "Zoë", Sender: "me", Text: "Lunch", At: at, State: chat.Read, Secure: true,
	})
	return e
}

func (e *engine) note(l line) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := json.NewEncoder(e.file).Encode(l); err != nil {
		panic(err)
	}
}

func (e *engine) History(_ context.Context, peer string, _ int64, _ int) ([]chat.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var messages []chat.Message
	for _, m := range e.history {
		if m.Peer == peer {
			messages = append(messages, m)
		}
	}
	return messages, nil
}

func (e *engine) Send(_ context.Context, d chat.Draft, _ bool) (chat.Message, error) {
	e.mu.Lock()
	m := chat.Message{ID: int64(len(e.history) + 1), Peer: d.To, Sender: "me", Text: d.Text, At: time.Now(), State: chat.Sending}
	e.history = append(e.history, m)
	e.mu.Unlock()
	sent := m
	sent.State = chat.Sent
	e.events <- chat.Event{Type: chat.EventMessage, Message: &m}
	e.events <- chat.Event{Type: chat.EventState, Message: &sent}
	e.note(line{Call: "send", Peer: d.To, Text: d.Text, Urgent: d.Urgent})
	return m, nil
}

func (e *engine) Retry(_ context.Context, id int64) error {
	e.mu.Lock()
	var sent chat.Message
	for i := range e.history {
		if m := &e.history[i]; m.ID == id {
			m.State, m.Problem = chat.Sent, ""
			sent = *m
		}
	}
	e.mu.Unlock()
	if sent.ID == 0 {
		return errors.New("there is no such message")
	}
	e.events <- chat.Event{Type: chat.EventState, Message: &sent}
	e.note(line{Call: "retry", ID: id})
	return nil
}

func (e *engine) Draft(_ context.Context, peer string) (chat.Draft, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drafts[peer], nil
}

func (e *engine) KeepDraft(_ context.Context, d chat.Draft) error {
	e.mu.Lock()
	e.drafts[d.To] = d
	e.mu.Unlock()
	e.note(line{Call: "draft", Peer: d.To, Text: d.Text})
	return nil
}

func (e *engine) Edit(_ context.Context, id int64, text string) error {
	e.note(line{Call: "edit", ID: id, Text: text})
	return nil
}

func (e *engine) Delete(_ context.Context, id int64) error {
	e.note(line{Call: "delete", ID: id})
	return nil
}

func (e *engine) Acknowledge(_ context.Context, id int64) error {
	e.note(line{Call: "acknowledge", ID: id})
	return nil
}

func (e *engine) Typing(string, bool) {}

func (e *engine) Safety(_ context.Context, peer string) (chat.Safety, error) {
	e.note(line{Call: "safety", Peer: peer})
	return chat.Safety{Peer: peer, Number: strings.Repeat("12345 ", 12)}, nil
}

func (e *engine) Trust(_ context.Context, peer string, action chat.TrustAction) error {
	e.note(line{Call: string(action), Peer: peer})
	trust := chat.TrustPinned
	if action == chat.TrustVerify {
		trust = chat.TrustVerified
	}
	e.events <- chat.Event{Type: chat.EventPerson, Person: &chat.Person{
		Name: peer, Online: true, Secure: true, Trust: trust, Verified: trust == chat.TrustVerified,
	}}
	return nil
}

func (e *engine) SetSetting(_ context.Context, name string, value any) error {
	e.note(line{Call: fmt.Sprint("set ", name, " ", value)})
	return nil
}

func (e *engine) MarkRead(_ context.Context, peer string) error {
	e.note(line{Call: "read", Peer: peer})
	return nil
}

func (e *engine) Subscribe(localapi.Role) localapi.Subscription { return subscription{e} }

type subscription struct{ *engine }

func (s subscription) Next(ctx context.Context) (chat.Event, error) {
	select {
	case event := <-s.events:
		return event, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}

func (subscription) Close() {}
