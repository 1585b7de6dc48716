package secure

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	wirec "earshot/protocol/classic"
	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// memory is a Pins without a disk.
type memory struct {
	mu  sync.Mutex
	pin *Pin
}

func (m *memory) Load() (Pin, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pin == nil {
		return Pin{}, false
	}
	return *m.pin, true
}

func (m *memory) Save(p Pin) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pin = &p
	return nil
}

// client is a Transport on a host of its own, and what it reported. It stores
// every item at once.
type client struct {
	*Transport
	t    *testing.T
	stop func()

	mu     sync.Mutex
	events []p2p.Event
	more   chan struct{}
	stored map[p2p.ItemID]bool
}

func newClient(t *testing.T, sim *hostnet.Sim, host, name string, change ...func(*Config)) *client {
	t.Helper()
	cfg := Config{
		Net: sim.Host(netip.MustParseAddr(host)), Host: "coordinator", Port: coordinatorAt.Port(), Pins: new(memory),
		Key: identity.NewKey(), Name: name, Label: "desk", Program: "test",
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{coordinatorAt.Addr()}, nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{Transport: tr, t: t, more: make(chan struct{}), stored: make(map[p2p.ItemID]bool)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx, c.on) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: Run: %v", name, err)
		}
	})
	t.Cleanup(c.stop)
	return c
}

func (c *client) on(e p2p.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := e.(p2p.Received); ok && r.Done != nil {
		known := c.stored[r.Item.ID]
		c.stored[r.Item.ID] = true
		r.Done(nil)
		if known {
			return
		}
	}
	c.events = append(c.events, e)
	close(c.more)
	c.more = make(chan struct{})
}

// await returns the next event of a kind that ok accepts, and forgets it and
// all before.
func await[E p2p.Event](c *client, what string, ok func(E) bool) E {
	c.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		c.mu.Lock()
		more := c.more
		for i, e := range c.events {
			if e, is := e.(E); is && ok(e) {
				c.events = c.events[i+1:]
				c.mu.Unlock()
				return e
			}
		}
		c.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			c.t.Fatalf("%s: no %s among %+v", c.cfg.Name, what, c.events)
		}
	}
}

func (c *client) online() p2p.Connected {
	c.t.Helper()
	return await(c, "login", func(p2p.Connected) bool { return true })
}

func (c *client) came(name string) p2p.Person {
	c.t.Helper()
	return await(c, name+"'s login", func(e p2p.Came) bool { return e.Person.Name == name }).Person
}

func (c *client) heard(text string) p2p.Received {
	c.t.Helper()
	return await(c, text, func(e p2p.Received) bool {
		got, ok := e.Item.Body.(p2p.Text)
		return ok && got.Text == text
	})
}

var items struct {
	sync.Mutex
	last byte
}

// say sends a text to a person's only device, or by the classic protocol, and
// returns what became of it.
func (c *client) say(to p2p.Person, text string) error {
	items.Lock()
	items.last++
	item := p2p.Item{ID: p2p.ItemID{items.last}, At: time.Now(), Body: p2p.Text{Text: text}}
	items.Unlock()
	target := p2p.Target{Person: to}
	if to.Secure() {
		target.Device = to.Devices[0].Key
	}
	done := make(chan error, 1)
	c.Send(target, item, func(err error) { done <- err })
	return <-done
}

// Two clients find each other through the coordinator and talk without it;
// whichever of them begins.
func TestTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(2 * time.Millisecond)
		c := startCoordinator(t, sim)
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		first := ann.online()
		if !first.Secure || first.FirstUse != c.key.Public().ID() || first.Self.Name != "Ann" || !first.Self.Secure() {
			t.Fatalf("%+v", first)
		}
		bo := newClient(t, sim, "10.0.0.3", "Bo", func(cfg *Config) { cfg.Fingerprint = c.key.Public().ID() })
		connected := bo.online()
		if len(connected.Roster) != 1 || connected.FirstUse != (identity.ID{}) {
			t.Fatalf("%+v", connected)
		}
		bosAnn, annsBo := connected.Roster[0], ann.came("Bo")
		for i := range 3 {
			if err := ann.say(annsBo, fmt.Sprint("to Bo ", i)); err != nil {
				t.Fatal(err)
			}
			if r := bo.heard(fmt.Sprint("to Bo ", i)); r.From != "Ann" || r.Device != bosAnn.Devices[0].Key {
				t.Fatalf("%+v", r)
			}
			if err := bo.say(bosAnn, fmt.Sprint("to Ann ", i)); err != nil {
				t.Fatal(err)
			}
			ann.heard(fmt.Sprint("to Ann ", i))
		}
		bo.SetStatus(p2p.Status{Presence: p2p.Busy, Text: "会议"})
		if p := ann.came("Bo"); p.Status.Presence != p2p.Busy || p.Status.Text != "会议" {
			t.Errorf("%+v", p.Status)
		}
		c.tell(&wire.ToClient{Body: &wire.ToClient_GroupTalk{GroupTalk: &wire.GroupTalk{Sender: "Old", Text: "all"}}})
		if r := ann.heard("all"); r.Item.Audience.Kind != p2p.Everyone || r.From != "Old" {
			t.Errorf("%+v", r)
		}
	})
}

// Conversations go on while the coordinator is away, and also begin: where
// people are is known.
func TestCoordinatorAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(time.Millisecond)
		c := startCoordinator(t, sim)
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		ann.online()
		bo := newClient(t, sim, "10.0.0.3", "Bo")
		bosAnn := bo.online().Roster[0]
		cho := newClient(t, sim, "10.0.0.4", "Cho")
		cho.online()
		annsBo, annsCho := ann.came("Bo"), ann.came("Cho")
		if err := ann.say(annsBo, "before"); err != nil {
			t.Fatal(err)
		}
		c.end()
		await(ann, "loss", func(e p2p.Disconnected) bool { return errors.Is(e.Cause, p2p.ErrTransport) && !e.Retry.IsZero() })
		for who, err := range map[string]error{
			"Ann to Bo": ann.say(annsBo, "during"), "Bo to Ann": bo.say(bosAnn, "during too"), "Ann to Cho": ann.say(annsCho, "hello, Cho"),
		} {
			if err != nil {
				t.Errorf("%s: %v", who, err)
			}
		}
		time.Sleep(5 * time.Minute) // every session has been closed
		if err := ann.say(annsBo, "much later"); err != nil {
			t.Error(err)
		}
		bo.heard("much later")
		c.start(sim)
		ann.online()
		bo.online()
	})
}

// A coordinator with another key is not believed, and the right one is when it
// is back.
func TestForgedCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		c := startCoordinator(t, sim)
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		ann.online()
		c.end()
		right := c.key
		c.key = identity.NewKey()
		c.start(sim)
		lost := await(ann, "the forgery", func(e p2p.Disconnected) bool { return errors.Is(e.Cause, p2p.ErrIdentity) })
		if errors.Is(lost.Cause, p2p.ErrNotSecure) {
			t.Error("a forged coordinator counts as a classic one")
		}
		c.end()
		c.key = right
		c.start(sim)
		if again := ann.online(); again.FirstUse != (identity.ID{}) {
			t.Errorf("%+v", again)
		}
	})
}

// What speaks the classic protocol, or nothing, is found to be no secure
// coordinator.
func TestNotSecure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Host(coordinatorAt.Addr())
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		await(ann, "that nobody listens", func(e p2p.Disconnected) bool { return errors.Is(e.Cause, p2p.ErrNotSecure) })
		listener, err := sim.Host(coordinatorAt.Addr()).Listen(t.Context(), coordinatorAt)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write([]byte("This is a coordinator of another kind.\r\n"))
				conn.Close()
			}
		}()
		defer listener.Close()
		await(ann, "that it is another one", func(e p2p.Disconnected) bool { return errors.Is(e.Cause, p2p.ErrNotSecure) })
		await(ann, "that it is another one", func(e p2p.Disconnected) bool { return errors.Is(e.Cause, p2p.ErrNotSecure) })
	})
}

// Classic people on the same roster are talked to by datagrams, in their own
// encoding, and what they say comes as theirs only from where they are.
func TestClassicPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		startCoordinator(t, sim)
		at := netip.MustParseAddrPort("10.0.0.9:5000")
		book := classictest.NewClient(sim.Host(at.Addr()), "老王", classictest.GBPort, coordinatorAt, classictest.ListenAt(at))
		if err := book.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer book.Crash()
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		ann.online()
		ann.directory.put(&wire.User{Id: 9, Name: "老王", Classic: &wire.Classic{
			Endpoint: wire.Address(at), Encoding: wire.Encoding_ENCODING_GB18030,
		}})
		if err := ann.say(p2p.Person{Name: "老王", Addr: at}, "你好"); err != nil {
			t.Fatal(err)
		}
		if _, err := book.WaitFor(t.Context(), classictest.Says("Ann", "你好")); err != nil {
			t.Fatal(err)
		}
		self := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), ann.talkPort)
		for _, from := range []struct {
			host  string
			known bool
		}{{"10.0.0.9", true}, {"10.0.0.66", false}} {
			socket, err := sim.Host(netip.MustParseAddr(from.host)).DialPacket(t.Context(), self)
			if err != nil {
				t.Fatal(err)
			}
			talk := wirec.Talk{Time: "12:00:00", Sender: "老王", Text: "收到"}
			if _, err := socket.Write(wirec.GB18030.Append(nil, talk.String())); err != nil {
				t.Fatal(err)
			}
			if r := ann.heard("收到"); r.From != "老王" || r.Known != from.known || r.Done != nil {
				t.Errorf("from %s: %+v", from.host, r)
			}
			socket.Close()
		}
		done := make(chan error, 1)
		ann.Send(p2p.Target{Person: p2p.Person{Name: "老王"}}, p2p.Item{Body: p2p.Delete{}}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, p2p.ErrNotSupported) {
			t.Errorf("a deletion went by the classic protocol: %v", err)
		}
	})
}

// A computer that was asleep, or moved to another network, is back within
// seconds.
func TestMovedOrAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(time.Millisecond)
		startCoordinator(t, sim)
		ann := newClient(t, sim, "10.0.0.2", "Ann")
		ann.online()
		bo := newClient(t, sim, "10.0.0.3", "Bo")
		bosAnn := bo.online().Roster[0]
		annsBo := ann.came("Bo")
		if err := ann.say(annsBo, "before"); err != nil {
			t.Fatal(err)
		}
		sim.Down(netip.MustParseAddr("10.0.0.3"), true)
		time.Sleep(3 * time.Minute)
		sim.Down(netip.MustParseAddr("10.0.0.3"), false)
		began := time.Now()
		bo.online()
		if back := time.Since(began); back > 6*time.Second {
			t.Errorf("back only after %v", back)
		}
		if err := bo.say(bosAnn, "I am back"); err != nil {
			t.Error(err)
		}
		ann.heard("I am back")
	})
}
