package dual_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/p2p"
	"earshot/p2p/dual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a coordinator that speaks one protocol, the other or none, and the
// transports that find it.
type network struct {
	mu      sync.Mutex
	speaks  string // "secure", "classic" or ""
	changed chan struct{}
	log     []string
}

func (n *network) say(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, what)
}

func (n *network) set(speaks string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.speaks = speaks
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) state() (string, chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.speaks, n.changed
}

// transport tries once a second to reach a coordinator that speaks its
// protocol.
type transport struct {
	p2p.Transport // whatever else is called fails
	n             *network
	protocol      string
}

func (t transport) Run(ctx context.Context, on func(p2p.Event)) error {
	for ctx.Err() == nil {
		on(p2p.Connecting{Server: t.protocol})
		speaks, changed := t.n.state()
		switch speaks {
		case t.protocol:
			on(p2p.Connected{Server: t.protocol, Secure: t.protocol == "secure"})
			for still := true; still && ctx.Err() == nil; {
				select {
				case <-changed:
					speaks, changed = t.n.state()
					still = speaks == t.protocol
				case <-ctx.Done():
				}
			}
			on(p2p.Disconnected{Cause: p2p.ErrNoAnswer, Retry: time.Now().Add(time.Second)})
		default:
			cause := p2p.ErrNoAnswer
			if t.protocol == "secure" {
				cause = p2p.ErrNotSecure
			}
			on(p2p.Disconnected{Cause: fmt.Errorf("%w: here", cause), Retry: time.Now().Add(time.Second)})
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func (t transport) Send(_ p2p.Target, _ p2p.Item, done func(error)) {
	t.n.say("sent by " + t.protocol)
	done(nil)
}

func (t transport) SetStatus(s p2p.Status) { t.n.say(t.protocol + " status " + s.Text) }

func start(t *testing.T, n *network, secured bool) (*dual.Transport, chan p2p.Event) {
	d := dual.New(dual.Config{
		Secure:  func() (p2p.Transport, error) { return transport{n: n, protocol: "secure"}, nil },
		Classic: func() (p2p.Transport, error) { return transport{n: n, protocol: "classic"}, nil },
		Secured: func() bool { return secured },
	})
	events := make(chan p2p.Event, 1024)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, func(e p2p.Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d, events
}

func await[E p2p.Event](t *testing.T, events chan p2p.Event) E {
	t.Helper()
	for {
		select {
		case e := <-events:
			if e, ok := e.(E); ok {
				return e
			}
		case <-time.After(5 * time.Minute):
			t.Fatalf("no %T", *new(E))
		}
	}
}

// A coordinator is spoken to as it can, and better as soon as it can.
func TestTheBetterProtocolIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{speaks: "classic", changed: make(chan struct{})}
		d, events := start(t, n, false)
		d.SetStatus(p2p.Status{Text: "here"})
		if c := await[p2p.Connected](t, events); c.Secure {
			t.Fatalf("%+v", c)
		}
		d.Send(p2p.Target{}, p2p.Item{}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		n.set("secure") // the coordinator is restarted as a newer one
		if lost := await[p2p.Disconnected](t, events); !errors.Is(lost.Cause, p2p.ErrNoAnswer) || lost.Retry.IsZero() {
			t.Errorf("%+v", lost)
		}
		if c := await[p2p.Connected](t, events); !c.Secure {
			t.Fatalf("%+v", c)
		}
		d.Send(p2p.Target{}, p2p.Item{}, func(error) {})
		n.mu.Lock()
		defer n.mu.Unlock()
		if i, j := slices.Index(n.log, "sent by classic"), slices.Index(n.log, "sent by secure"); i < 0 || j < i {
			t.Errorf("%q", n.log)
		}
		if !slices.Contains(n.log, "secure status here") {
			t.Errorf("the later transport was not told the status: %q", n.log)
		}
	})
}

// Nobody between can take the proofs away from who once had them.
func TestNoDowngrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{speaks: "classic", changed: make(chan struct{})}
		_, events := start(t, n, true)
		for range 20 {
			if lost := await[p2p.Disconnected](t, events); !errors.Is(lost.Cause, p2p.ErrNotSecure) {
				t.Fatalf("%+v", lost)
			}
		}
		n.set("secure")
		if c := await[p2p.Connected](t, events); !c.Secure {
			t.Fatalf("%+v", c)
		}
	})
}

// Without any coordinator both are tried again and again, ever more slowly, and
// what is sent meanwhile is answered.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{changed: make(chan struct{})}
		d, events := start(t, n, false)
		var waits []time.Duration
		for range 12 {
			lost := await[p2p.Disconnected](t, events)
			waits = append(waits, time.Until(lost.Retry))
			synctest.Wait()
			answered := false
			d.Send(p2p.Target{}, p2p.Item{}, func(err error) { answered = errors.Is(err, p2p.ErrNotConnected) })
			if !answered {
				t.Error("between two attempts something was sent")
			}
		}
		if waits[0] > time.Second || waits[11] < 10*time.Second || waits[11] > 30*time.Second {
			t.Errorf("waited %v", waits)
		}
		n.set("classic")
		await[p2p.Connected](t, events)
	})
}

// Whoever has changed something logs in anew, also where nothing worked before.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{speaks: "secure", changed: make(chan struct{})}
		broken := errors.New("the address is wrong")
		var failure error
		var made int
		d := dual.New(dual.Config{
			Secure: func() (p2p.Transport, error) {
				made++
				return transport{n: n, protocol: "secure"}, failure
			},
			Classic: func() (p2p.Transport, error) { return transport{n: n, protocol: "classic"}, nil },
			Secured: func() bool { return true },
		})
		d.Renew() // before Run there is nothing to renew
		ctx, cancel := context.WithCancel(t.Context())
		events, ended := make(chan p2p.Event, 1024), make(chan error, 1)
		go func() { ended <- d.Run(ctx, func(e p2p.Event) { events <- e }) }()
		await[p2p.Connected](t, events)
		d.SetStatus(p2p.Status{Text: "here"})

		d.Renew()
		if lost := await[p2p.Disconnected](t, events); lost.Retry.IsZero() {
			t.Errorf("%+v", lost)
		}
		await[p2p.Connected](t, events)
		synctest.Wait()
		n.mu.Lock()
		if made != 2 || !slices.Contains(n.log, "secure status here") {
			t.Errorf("made %d times, %q", made, n.log)
		}
		failure = broken
		n.mu.Unlock()

		d.Renew()
		await[p2p.Disconnected](t, events) // it is broken off
		if lost := await[p2p.Disconnected](t, events); !errors.Is(lost.Cause, broken) || !errors.Is(lost.Cause, p2p.ErrTransport) || !lost.Retry.IsZero() {
			t.Errorf("%+v", lost)
		}
		synctest.Wait()
		failure = nil
		d.Renew()
		await[p2p.Connected](t, events)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
