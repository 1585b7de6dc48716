package client_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/store"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a p2p.Transport in the test's hand.
type network struct {
	events chan p2p.Event
	gate   chan struct{} // if set, Send waits until it can receive

	mu   sync.Mutex
	sent []string // "name: text"
	fail map[string]error
	out  bool // logged out
	over chan struct{}
	uids map[string]p2p.ItemID
	told []p2p.Presence

	underway, most int
}

func newNetwork() *network {
	return &network{events: make(chan p2p.Event), fail: make(map[string]error), over: make(chan struct{}), uids: make(map[string]p2p.ItemID)}
}

func (n *network) Run(ctx context.Context, on func(p2p.Event)) error {
	for {
		select {
		case e := <-n.events:
			on(e)
		case <-ctx.Done():
			n.mu.Lock()
			n.out = true
			close(n.over)
			n.mu.Unlock()
			return nil
		}
	}
}

func (n *network) Send(to p2p.Target, item p2p.Item, done func(error)) {
	n.mu.Lock()
	n.underway++
	n.most = max(n.most, n.underway)
	n.mu.Unlock()
	go func() {
		text := ""
		if body, ok := item.Body.(p2p.Text); ok {
			text = body.Text
		}
		n.mu.Lock()
		n.uids[text] = item.ID
		n.mu.Unlock()
		name := to.Person.Name
		if item.CopyOf != "" {
			name += " of " + item.CopyOf
		}
		err := n.carry(context.Background(), name, text)
		n.mu.Lock()
		n.underway--
		n.mu.Unlock()
		done(err)
	}()
}

// ids are those of the texts that were sent.
func (n *network) ids() map[string]p2p.ItemID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.uids)
}

func (n *network) peak() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.most
}

func (n *network) presences() []p2p.Presence {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.told)
}

func (n *network) carry(ctx context.Context, name, text string) error {
	if n.gate != nil {
		select {
		case <-n.gate:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.over:
			return p2p.ErrNotConnected
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.fail[name]; err != nil {
		return err
	}
	n.sent = append(n.sent, name+": "+text)
	return nil
}

func (n *network) SendToAll(ctx context.Context, text string) error {
	return n.carry(ctx, "all", text)
}

func (n *network) Typing(p2p.Target, bool) {}

func (n *network) SetStatus(s p2p.Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, s.Presence)
}

func (n *network) OfferJoin() (identity.JoinCode, time.Time, error) {
	return identity.JoinCode{}, time.Time{}, p2p.ErrNotSupported
}
func (n *network) RemoveDevice(context.Context, identity.PublicKey) error { return p2p.ErrNotSupported }

func (n *network) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.sent...)
}

func (n *network) setFail(name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail[name] = err
}

// rig is an engine with a fake network and a real store.
type rig struct {
	*client.Engine
	t     *testing.T
	net   *network
	store *store.Store
	sub   localapi.Subscription
	ended chan struct{}
	stop  func()
}

func newRig(t *testing.T, path string, change func(*client.Config)) *rig {
	t.Helper()
	messages, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, net: newNetwork(), store: messages, ended: make(chan struct{})}
	config := client.Config{
		Transport: r.net, Store: messages, Printer: i18n.New("en"), Name: "Me", Server: "coordinator", Version: "test",
	}
	if change != nil {
		change(&config)
	}
	if r.Engine, err = client.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r.sub = r.Subscribe(localapi.Watcher)
	if e := r.next(); e.Type != chat.EventSnapshot {
		t.Fatalf("the first event is %+v", e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.Run(ctx); close(r.ended) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-r.ended
		r.sub.Close()
		if err := messages.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func fresh(t *testing.T) *rig {
	return newRig(t, filepath.Join(t.TempDir(), "h.db"), nil)
}

// next is the next event.
func (r *rig) next() chat.Event {
	r.t.Helper()
	e, err := r.sub.Next(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// await skips events until one is accepted, and returns the types of those
// before it.
func (r *rig) await(ok func(chat.Event) bool) (chat.Event, []chat.EventType) {
	r.t.Helper()
	var skipped []chat.EventType
	for {
		e := r.next()
		if ok(e) {
			return e, skipped
		}
		skipped = append(skipped, e.Type)
	}
}

func (r *rig) awaitType(t chat.EventType) chat.Event {
	r.t.Helper()
	e, _ := r.await(func(e chat.Event) bool { return e.Type == t })
	return e
}

// state waits for a message with this text to reach a state.
func (r *rig) state(text string, s chat.State) chat.Message {
	r.t.Helper()
	e, _ := r.await(func(e chat.Event) bool {
		return (e.Type == chat.EventState || e.Type == chat.EventMessage) && e.Message.Text == text && e.Message.State == s
	})
	return *e.Message
}

func who(name string) p2p.Person {
	return p2p.Person{Name: name, Addr: netip.MustParseAddrPort("192.0.2.1:1000")}
}

// online logs in with these people on the roster, and waits for it to show.
func (r *rig) online(names ...string) {
	r.t.Helper()
	c := p2p.Connected{Server: "coordinator", Self: who("Me")}
	for _, n := range names {
		c.Roster = append(c.Roster, who(n))
	}
	r.net.events <- c
	r.awaitType(chat.EventRoster)
}

func (r *rig) send(to, text string, wait bool) chat.Message {
	r.t.Helper()
	m, err := r.Send(r.t.Context(), chat.Draft{To: to, Text: text}, wait)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rig) person(name string) (chat.Person, bool) {
	for _, p := range r.Roster() {
		if p.Name == name {
			return p, true
		}
	}
	return chat.Person{}, false
}

// drain reads a subscription to its end.
func drain(t *testing.T, sub localapi.Subscription) []chat.Event {
	t.Helper()
	var all []chat.Event
	for {
		e, err := sub.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

// classicItem is what somebody said by the classic protocol.
func classicItem(from, text string, all, known bool) p2p.Received {
	r := p2p.Received{From: from, Known: known, Item: p2p.Item{At: time.Now(), Body: p2p.Text{Text: text}}}
	if all {
		r.Item.Audience.Kind = p2p.Everyone
	}
	return r
}
