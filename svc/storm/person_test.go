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
	lanes   map[string]*lane // by name
	log     strings.Builder
}

// person makes one who has an account, on a host, and starts its program.
func (w *world) person(name string, host hostnet.Net, key identity.Key) *person {
	p := &person{world: w, name: name, key: key, net: host,
		changed: make(chan struct{}), people: make(map[string]p2p.Person), ids: make(map[p2p.ItemID]bool),
		lanes: make(map[string]*lane)}
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
			switch body := e.Item.Body.(type) {
			case p2p.Text:
				p.got = append(p.got, body.Text)
			case p2p.Edit:
				p.got = append(p.got, "edited: "+body.Text)
			default:
				p.world.Errorf("%s received %T", p.name, body)
			}
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

// lane is what one person sends another one: as in the engine, all at once, and
// after a failure nothing until it is known what became of the others, so that
// all that failed go again in order.
type lane struct {
	waiting  []*letter // oldest first
	underway int
	failing  bool
}

// letter is a text that has not arrived yet.
type letter struct {
	target    p2p.Target
	item      p2p.Item
	sent      bool
	delivered chan struct{}
}

// send sends a text, again and again until it is known to have arrived.
func (p *person) send(to *person, text string) <-chan struct{} {
	var id p2p.ItemID
	copy(id[:], p.name[:1]+text)
	return p.post(to, p2p.Item{ID: id, At: time.Now(), Body: p2p.Text{Text: text}})
}

// post is send for anything.
func (p *person) post(to *person, item p2p.Item) <-chan struct{} {
	m := &letter{item: item, delivered: make(chan struct{})}
	p.mu.Lock()
	m.target = p2p.Target{Person: p.people[to.name], Device: to.key.Public()}
	l := p.lanes[to.name]
	if l == nil {
		l = new(lane)
		p.lanes[to.name] = l
	}
	l.waiting = append(l.waiting, m)
	p.mu.Unlock()
	p.pump(l)
	return m.delivered
}

func (p *person) pump(l *lane) {
	p.mu.Lock()
	var now []*letter
	for _, m := range l.waiting {
		if !m.sent && !l.failing {
			m.sent = true
			l.underway++
			now = append(now, m)
		}
	}
	p.mu.Unlock()
	for _, m := range now {
		p.t.Send(m.target, m.item, func(err error) { p.became(l, m, err) })
	}
}

// became takes note of what became of a letter.
func (p *person) became(l *lane, m *letter, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.sent = false
	l.underway--
	if err == nil {
		l.waiting = slices.DeleteFunc(l.waiting, func(other *letter) bool { return other == m })
		close(m.delivered)
	} else {
		l.failing = true
	}
	if l.failing && l.underway == 0 {
		time.AfterFunc(time.Second, func() {
			p.mu.Lock()
			l.failing = false
			p.mu.Unlock()
			p.pump(l)
		})
	}
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
