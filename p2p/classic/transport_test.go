package classic

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

// peer is a Transport on a host of its own, and everything that it reports.
type peer struct {
	t *testing.T
	*Transport
	stop func() error

	mu     sync.Mutex
	events []p2p.Event
	more   chan struct{}
}

func startPeer(t *testing.T, sim *hostnet.Sim, host, name string, e classic.Encoding) *peer {
	t.Helper()
	tr, err := New(Config{Net: sim.Host(netip.MustParseAddr(host)), Server: "10.0.0.1", Name: name, Encoding: e,
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{testServer.Addr()}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, Transport: tr, more: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx, p.on) }()
	p.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("%s: Run: %v", name, err)
		}
	})
	return p
}

func (p *peer) on(e p2p.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	close(p.more)
	p.more = make(chan struct{})
}

// await returns the next event that ok accepts, and forgets it and all before.
func (p *peer) await(what string, ok func(p2p.Event) bool) p2p.Event {
	p.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		p.mu.Lock()
		more := p.more
		for i, e := range p.events {
			if ok(e) {
				p.events = p.events[i+1:]
				p.mu.Unlock()
				return e
			}
		}
		p.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			p.t.Fatalf("%s: no %s among %v", p.cfg.Name, what, p.events)
		}
	}
}

// Send sends a text and waits for what becomes of it.
func (p *peer) Send(ctx context.Context, to p2p.Person, text string) error {
	return sendText(ctx, p.Transport, to, text)
}

func sendText(ctx context.Context, t p2p.Transport, to p2p.Person, text string) error {
	done := make(chan error, 1)
	t.Send(p2p.Target{Person: to}, p2p.Item{Body: p2p.Text{Text: text}}, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func textOf(r p2p.Received) string { return r.Item.Body.(p2p.Text).Text }

func (p *peer) online() p2p.Connected {
	p.t.Helper()
	return p.await("login", func(e p2p.Event) bool { _, ok := e.(p2p.Connected); return ok }).(p2p.Connected)
}

func (p *peer) offline() p2p.Disconnected {
	p.t.Helper()
	return p.await("loss", func(e p2p.Event) bool { _, ok := e.(p2p.Disconnected); return ok }).(p2p.Disconnected)
}

func (p *peer) came(name string) p2p.Person {
	p.t.Helper()
	return p.await(name+"'s login", func(e p2p.Event) bool {
		c, ok := e.(p2p.Came)
		return ok && c.Person.Name == name
	}).(p2p.Came).Person
}

func (p *peer) received(text string) p2p.Received {
	p.t.Helper()
	return p.await("the message "+text, func(e p2p.Event) bool {
		r, ok := e.(p2p.Received)
		return ok && textOf(r) == text
	}).(p2p.Received)
}

func startServer(t *testing.T, sim *hostnet.Sim) *classictest.Server {
	t.Helper()
	s := classictest.NewServer(sim.Host(testServer.Addr()), testServer)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A coordinator that knows only the textbook, and dies of anything else, is
// served correctly, for an hour.
func TestForeignCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		server := startServer(t, sim)
		ann := startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE)
		ann.online()
		bo := startPeer(t, sim, "10.0.0.3", "Bo", classic.UTF16LE)
		if c := bo.online(); len(c.Roster) != 1 || c.Roster[0].Name != "Ann" {
			t.Errorf("Bo's roster is %v", c.Roster)
		}
		person := ann.came("Bo")
		if err := ann.Send(t.Context(), person, "hello, Bo"); err != nil {
			t.Fatal(err)
		}
		if r := bo.received("hello， Bo"); !r.Known || r.From != "Ann" {
			t.Errorf("%+v", r)
		}
		if err := bo.SendToAll(t.Context(), "all"); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*peer{ann, bo} {
			if r := p.received("all"); r.Item.Audience.Kind != p2p.Everyone || r.From != "Bo" {
				t.Errorf("%+v", r)
			}
		}
		time.Sleep(time.Hour)
		if err := bo.stop(); err != nil {
			t.Fatal(err)
		}
		ann.await("Bo's logout", func(e p2p.Event) bool { return e == p2p.Left{Name: "Bo"} })
		if err := server.Died(); err != nil {
			t.Errorf("the coordinator died: %v", err)
		}
		sim.Crash(testServer.Addr())
		if d := ann.offline(); !errors.Is(d.Cause, p2p.ErrUnreachable) {
			t.Errorf("%v", d.Cause)
		}
		startServer(t, sim)
		ann.online()
	})
}

// No single lost datagram keeps anybody from logging in.
func TestLostDatagrams(t *testing.T) {
	for lost := range 4 {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				startServer(t, sim)
				n := 0
				sim.Loss(func(_, _ netip.AddrPort, _ []byte) bool { n++; return n <= lost })
				began := time.Now()
				startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE).online()
				t.Logf("with %d datagrams lost, the login took %v", lost, time.Since(began))
			})
		})
	}
}

// Nobody but the coordinator says who comes and goes, and a message from
// somebody else's computer is marked.
func TestForgedDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		startServer(t, sim)
		ann := startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE)
		self := ann.online().Self.Addr
		startPeer(t, sim, "10.0.0.3", "Bo", classic.UTF16LE).online()
		bo := ann.came("Bo")
		mallory := classictest.NewClient(sim.Host(netip.MustParseAddr("10.0.0.66")), "m", classictest.DotNet, testServer)
		t.Cleanup(mallory.Crash)
		if err := mallory.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			"logout,Bo," + bo.Addr.String(), "login,Eve,10.0.0.66:1", "login,Bo,10.0.0.66:1",
			"logout,Ann," + self.String(), "Refused,go away", "Accept,80", "qunliao,1,Bo,forged",
			"alive,Ann," + self.String(), "talk,1,a;b,x", "talk,1,,x", "talk,1,Bo,it is me",
		} {
			if err := mallory.Send(t.Context(), self, text); err != nil {
				t.Fatal(err)
			}
		}
		if r := ann.received("it is me"); r.Known {
			t.Errorf("a message from another computer is %+v", r)
		}
		time.Sleep(time.Minute)
		ann.mu.Lock()
		defer ann.mu.Unlock()
		if len(ann.events) != 0 {
			t.Errorf("forgeries were believed: %v", ann.events)
		}
	})
}

const rowLength = 1000

// A thousand messages in a row and a long text arrive whole, in order, and soon.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		startServer(t, sim)
		bo := startPeer(t, sim, "10.0.0.3", "Bo", classic.UTF16LE)
		bo.online()
		person := p2p.Person{Name: "Bo", Addr: bo.machine.self}
		sender := startPeer(t, sim, "10.0.0.4", "Cho", classic.UTF16LE)
		sender.online()
		began := time.Now()
		for i := range rowLength {
			if err := sender.Send(t.Context(), person, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%d messages took %v", rowLength, took)
		}
		synctest.Wait()
		bo.mu.Lock()
		i := 0
		for _, e := range bo.events {
			if r, ok := e.(p2p.Received); ok {
				if textOf(r) != fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, textOf(r))
				}
				i++
			}
		}
		bo.events = nil
		bo.mu.Unlock()
		if i != rowLength {
			t.Errorf("%d of %d messages came", i, rowLength)
		}
		time.Sleep(20 * time.Second) // the rate limit's burst is there again
		long := strings.Repeat("长文字 with words 👩‍👩‍👧, ", 1000)
		if err := sender.Send(t.Context(), person, long); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got strings.Builder
		bo.mu.Lock()
		defer bo.mu.Unlock()
		for _, e := range bo.events {
			if r, ok := e.(p2p.Received); ok {
				got.WriteString(textOf(r))
			}
		}
		if got.String() != strings.ReplaceAll(long, ",", "，") {
			t.Errorf("of %d bytes came %d", len(long), got.Len())
		}
	})
}

func TestNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(time.Millisecond) // so that nobody is logged in before this goroutine waits
		startServer(t, sim)
		sim.Host(netip.MustParseAddr("10.0.0.9"))
		ann := startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE)
		synctest.Wait() // its login is under way, which takes time
		if err := ann.SendToAll(t.Context(), "x"); !errors.Is(err, p2p.ErrNotConnected) {
			t.Errorf("before the login: %v", err)
		}
		ann.online()
		gone := p2p.Person{Name: "gone", Addr: netip.MustParseAddrPort("10.0.0.9:9")}
		for range 2 {
			if err := ann.Send(t.Context(), gone, "hello?"); !errors.Is(err, p2p.ErrUnreachable) {
				t.Errorf("to a closed port: %v", err)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		server, name string
		want         error
	}{
		{"host", "Ann", nil}, {"host:1", "Ann", nil}, {"::1", "Ann", nil}, {"[::1]:5", "Ann", nil}, {"10.0.0.1", "Ann", nil},
		{"", "Ann", ErrServer}, {"host:", "Ann", ErrServer}, {"host:0", "Ann", ErrServer}, {"host:99999", "Ann", ErrServer},
		{"host:x", "Ann", ErrServer}, {"a:b:c:d", "Ann", ErrServer}, {"my host", "Ann", ErrServer}, {"host", "a,b", classic.ErrName}, {"host", "", classic.ErrName},
	} {
		_, err := New(Config{Net: hostnet.OS, Server: test.server, Name: test.name})
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%q as %q: %v, not %v", test.server, test.name, err, test.want)
		}
	}
}
