//go:build linux

package popup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/profile"
)

// childVariable makes the test binary a popup process: it holds a childSetup.
const childVariable = "EARSHOT_TEST_POPUP"

// childSetup is what a popup process under test begins with.
type childSetup struct {
	First    string
	Language string
	Status   chat.Status
	Roster   []chat.Person
	History  []chat.Message
	// Profile is the profile in which windows' sizes are remembered; they
	// aren't if it is empty.
	Profile string
	// Drafts is the file in which the engine keeps drafts; none if it is empty.
	Drafts string
}

// order is what the test tells the popup process's engine, a line each.
type order struct {
	Event *chat.Event `json:"event,omitempty"`
	// Refuse makes the engine refuse all further messages with this sentence.
	Refuse string `json:"refuse,omitempty"`
}

// report is what the engine tells the test, a line each.
type report struct {
	Call string `json:"call"`
	Peer string `json:"peer,omitempty"`
	Text string `json:"text,omitempty"`
	ID   int64  `json:"id,omitempty"`
	// What a draft asks for besides its text.
	Urgent  bool  `json:"urgent,omitempty"`
	ReplyTo int64 `json:"reply_to,omitempty"`
}

func TestMain(m *testing.M) {
	if what := os.Getenv(sourceVariable); what != "" {
		runSource(what)
		os.Exit(0)
	}
	if os.Getenv(floorVariable) != "" {
		runFloor()
		os.Exit(0)
	}
	setup := os.Getenv(childVariable)
	if setup == "" {
		os.Exit(m.Run())
	}
	var s childSetup
	if err := json.Unmarshal([]byte(setup), &s); err != nil {
		panic(err)
	}
	engine := newChildEngine(s)
	go engine.obey(os.Stdin)
	if err := Run(context.Background(), engine, i18n.New(s.Language), sizes(s), s.First); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func sizes(s childSetup) Sizes {
	if s.Profile == "" {
		return nil
	}
	p, err := profile.Open(s.Profile)
	if err != nil {
		panic(err)
	}
	return p
}

// childEngine is an engine without a network: what is sent is sent.
type childEngine struct {
	events chan chat.Event

	mu      sync.Mutex
	drafts  string
	history []chat.Message // guarded by mu
	refuse  string         // guarded by mu
}

func newChildEngine(s childSetup) *childEngine {
	e := &childEngine{events: make(chan chat.Event, 100), history: s.History, drafts: s.Drafts}
	e.events <- chat.Event{Type: chat.EventSnapshot, Status: &s.Status, Roster: s.Roster}
	return e
}

// obey follows the orders on r until it ends, which ends the engine.
func (e *childEngine) obey(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		e.mu.Lock()
		e.refuse = o.Refuse
		e.mu.Unlock()
		if o.Event != nil {
			e.events <- *o.Event
		}
	}
	close(e.events)
}

func (e *childEngine) report(r report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		panic(err)
	}
}

func (e *childEngine) History(_ context.Context, peer string, _ int64, _ int) ([]chat.Message, error) {
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

func (e *childEngine) Send(_ context.Context, d chat.Draft, _ bool) (chat.Message, error) {
	e.mu.Lock()
	refuse := e.refuse
	m := chat.Message{ID: int64(1000 + len(e.history)), Peer: d.To, Sender: "me", Text: d.Text, At: time.Now(), State: chat.Sending}
	if refuse == "" {
		e.history = append(e.history, m)
	}
	e.mu.Unlock()
	e.report(report{Call: "send", Peer: d.To, Text: d.Text, Urgent: d.Urgent, ReplyTo: d.ReplyTo})
	if refuse != "" {
		return chat.Message{}, errors.New(refuse)
	}
	sent := m
	sent.State = chat.Sent
	e.events <- chat.Event{Type: chat.EventMessage, Message: &m}
	e.events <- chat.Event{Type: chat.EventState, Message: &sent}
	return m, nil
}

func (e *childEngine) Draft(_ context.Context, peer string) (chat.Draft, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return readDrafts(e.drafts)[peer], nil
}

func (e *childEngine) KeepDraft(_ context.Context, d chat.Draft) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drafts == "" {
		return nil
	}
	all := readDrafts(e.drafts)
	if all[d.To] = d; d.Text == "" {
		delete(all, d.To)
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(e.drafts+".new", b, 0o600); err != nil {
		panic(err)
	}
	return os.Rename(e.drafts+".new", e.drafts)
}

// readDrafts reads what an engine has kept.
func readDrafts(file string) map[string]chat.Draft {
	all := make(map[string]chat.Draft)
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &all); err != nil {
			panic(err)
		}
	}
	return all
}

func (e *childEngine) Edit(_ context.Context, id int64, text string) error {
	e.report(report{Call: "edit", ID: id, Text: text})
	return nil
}

func (e *childEngine) Delete(_ context.Context, id int64) error {
	e.report(report{Call: "delete", ID: id})
	return nil
}

func (e *childEngine) Acknowledge(_ context.Context, id int64) error {
	e.report(report{Call: "acknowledge", ID: id})
	return nil
}

func (e *childEngine) Typing(string, bool) {}

func (e *childEngine) Safety(_ context.Context, peer string) (chat.Safety, error) {
	e.report(report{Call: "safety", Peer: peer})
	return chat.Safety{Peer: peer, Number: "63142 89245 32560 09860 20761 71439 83133 43094 84700 26066 15326 50584"}, nil
}

func (e *childEngine) Trust(_ context.Context, peer string, action chat.TrustAction) error {
	e.report(report{Call: string(action), Peer: peer})
	return nil
}

func (e *childEngine) Retry(_ context.Context, id int64) error {
	e.report(report{Call: "retry", ID: id})
	return nil
}

func (e *childEngine) MarkRead(_ context.Context, peer string) error {
	e.report(report{Call: "read", Peer: peer})
	return nil
}

func (e *childEngine) SetSetting(_ context.Context, name string, value any) error {
	e.report(report{Call: fmt.Sprint("set ", name, " ", value)})
	return nil
}

func (e *childEngine) Subscribe(localapi.Role) localapi.Subscription { return childSubscription{e} }

type childSubscription struct{ *childEngine }

func (s childSubscription) Next(ctx context.Context) (chat.Event, error) {
	select {
	case event, ok := <-s.events:
		if !ok {
			return chat.Event{}, io.EOF
		}
		return event, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}

func (childSubscription) Close() {}
