package storm

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/p2p/secure"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/svc/engine"
)

// person is somebody with the whole of the network's side of a client: what the
// engine in tray/client would store is kept in memory.
type person struct {
	world *world
	name  string
	key   identity.Key
	net   hostnet.Net
	t     *secure.Transport
	stop  func()

	mu      sync.Mutex
	changed chan struct{} // closed when something has happened
	online  bool
	people  map[string]p2p.Person
	got     []string // texts, in the order in which they were stored
	ids     map[p2p.ItemID]bool
	doubles int
	reached []p2p.Reached
	log     strings.Builder
}

// person makes one who has an account, on a host, and starts its program.
func (w *world) person(name string, host hostnet.Net, key identity.Key) *person {
	p := &person{world: w, name: name, key: key, net: host,
		changed: make(chan struct{}), people: make(map[string]p2p.Person), ids: make(map[p2p.ItemID]bool)}
	w.accounts.change(name, func(a *engine.Account) {
		a.Devices = append(slices.Clone(a.Devices), engine.Device{Key: key.Public(), Label: "desk"})
	})
	p.start()
	return p
}

// pin is a coordinator that nobody has met.
type pin struct {
	mu  sync.Mutex
	pin secure.Pin
	met bool
}

func (p *pin) Load() (secure.Pin, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pin, p.met
}

func (p *pin) Save(now secure.Pin) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pin, p.met = now, true
	return nil
}

// Write implements io.Writer, for the log.
func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *person) start() {
	w := p.world
	t, err := secure.New(secure.Config{
		Net: p.net, Host: "coordinator", Port: w.at.Port(), Pins: new(pin), Fingerprint: w.key.Public().ID(),
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{w.at.Addr()}, nil },
		Key:     p.key, Name: p.name, Label: "desk", Program: "storm",
		Log: slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.Fatal(err)
	}
	p.t = t
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- t.Run(ctx, p.on) }()
	p.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("%s: %v", p.name, err)
		}
	}
}

func (p *person) on(e p2p.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case p2p.Connected:
		p.online = true
		clear(p.people)
		for _, other := range e.Roster {
			p.people[other.Name] = other
		}
	case p2p.Disconnected:
		p.online = false
	case p2p.Came:
		p.people[e.Person.Name] = e.Person
	case p2p.Left:
		delete(p.people, e.Name)
	case p2p.Reached:
		p.reached = append(p.reached, e)
	case p2p.Received:
		if p.ids[e.Item.ID] {
			p.doubles++
		} else {
			p.ids[e.Item.ID] = true
			p.got = append(p.got, e.Item.Body.(p2p.Text).Text)
		}
		go e.Done(nil)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until something is true of the person, which is asked with mu
// held. It returns false if it takes too long.
func (p *person) await(within time.Duration, ok func() bool) bool {
	deadline := time.After(within)
	for {
		p.mu.Lock()
		done, changed := ok(), p.changed
		p.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}

// sees waits until another person is on the roster.
func (p *person) sees(other *person) {
	if !p.await(time.Minute, func() bool { return p.online && p.people[other.name].Name != "" }) {
		p.world.Fatalf("%s doesn't see %s\n%s", p.name, other.name, p.log.String())
	}
}

// send sends a text as the engine does: what is not known to have arrived is
// sent again, by the same ID.
func (p *person) send(to *person, text string) <-chan struct{} {
	item := p2p.Item{At: time.Now(), Body: p2p.Text{Text: text}}
	copy(item.ID[:], p.name[:1]+text)
	delivered := make(chan struct{})
	p.mu.Lock()
	target := p2p.Target{Person: p.people[to.name], Device: to.key.Public()}
	p.mu.Unlock()
	var try func()
	try = func() {
		p.t.Send(target, item, func(err error) {
			if err == nil {
				close(delivered)
				return
			}
			time.AfterFunc(time.Second, try)
		})
	}
	try()
	return delivered
}

// route is how the person reaches another one now.
func (p *person) route(other *person) (last p2p.Route) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.reached {
		if r.Device == other.key.Public() {
			last = r.Route
		}
	}
	return last
}

// wait waits for something, and says how long it took; it fails the test if
// that never comes.
func (w *world) wait(what string, c <-chan struct{}, within time.Duration, people ...*person) time.Duration {
	w.Helper()
	start := time.Now()
	select {
	case <-c:
	case <-time.After(within):
		for _, p := range people {
			p.mu.Lock()
			w.Logf("%s:\n%s", p.name, p.log.String())
			p.mu.Unlock()
		}
		synctest.Wait()
		w.Fatalf("%s: not within %v", what, within)
	}
	return time.Since(start)
}
