package storm

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/p2p/control"
	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
)

// tally counts what arrives at a host: of datagrams, and of bytes.
type tally struct {
	mu               sync.Mutex
	datagrams, bytes int
}

func (c *tally) take() (datagrams, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	datagrams, bytes = c.datagrams, c.bytes
	c.datagrams, c.bytes = 0, 0
	return datagrams, bytes
}

// aim counts what a network carries to an address.
func aim(n *hostnet.Network, victim netip.Addr) *tally {
	c := new(tally)
	n.Loss(func(_, to netip.AddrPort, b []byte) bool {
		if to.Addr() == victim {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.datagrams++
			c.bytes += len(b)
		}
		return false
	})
	return c
}

// mallory is somebody with an account whose program says what it wants.
type mallory struct {
	*world
	key    identity.Key
	client *control.Client
	spent  int // bytes of frames

	mu       sync.Mutex
	answers  int // introductions that others answered
	online   chan struct{}
	loggedIn sync.Once
}

func (w *world) mallory(at netip.Addr, candidates []*wire.Candidate) (m *mallory, stop func()) {
	m = &mallory{world: w, key: identity.NewKey(), online: make(chan struct{})}
	w.accounts.change("Mal", func(a *engine.Account) {
		a.Devices = []engine.Device{{Key: m.key.Public(), Label: "desk"}}
	})
	client, err := control.New(control.Config{
		Net: w.sim.Host(at), Host: "coordinator", Port: w.at.Port(), Key: m.key,
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{w.at.Addr()}, nil },
		Verify:  func(tls.ConnectionState) error { return nil },
		Hello: func(netip.Addr) *wire.Hello {
			return &wire.Hello{VersionMin: 1, VersionMax: 1, Name: "Mal", Program: "storm", DeviceLabel: "desk", Candidates: candidates}
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	m.client = client
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx, m.take) }()
	<-m.online
	return m, func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	}
}

func (m *mallory) take(ev control.Event) {
	switch ev := ev.(type) {
	case control.Connected:
		m.loggedIn.Do(func() { close(m.online) })
	case control.Introduction:
		if ev.Introduction.GetAnswer() {
			m.mu.Lock()
			m.answers++
			m.mu.Unlock()
		}
	}
}

func (m *mallory) say(frame *wire.ToCoordinator) {
	m.spent += len(wire.Append(nil, frame))
	if err := m.client.Send(frame); err != nil {
		m.Fatal(err)
	}
}

// introduce asks for an introduction to somebody, with candidates and a key that
// is new each time.
func (m *mallory) introduce(to *person, number byte, candidates []*wire.Candidate) {
	key, device := make([]byte, 32), to.key.Public()
	key[0] = number
	m.say(&wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{
		Device: device[:], ProbeKey: key, Candidates: candidates, Nat: wire.Nat_NAT_HARD,
	}}})
}

// named are eight candidates of one address, of all kinds.
func named(at netip.Addr) (list []*wire.Candidate) {
	kinds := []wire.Candidate_Kind{wire.Candidate_KIND_HOST, wire.Candidate_KIND_REFLEXIVE, wire.Candidate_KIND_MAPPED, wire.Candidate_KIND_UNSPECIFIED}
	for i := range uint16(8) {
		list = append(list, &wire.Candidate{Kind: kinds[i%4], Address: wire.Address(netip.AddrPortFrom(at, 53+i))})
	}
	return list
}

// Nobody can have others send anything to a third party, by naming its address:
// neither to the roster nor in an introduction, be it a neighbour's or one that
// the device was not seen at.
func TestNobodyIsAimedAt(t *testing.T) {
	for _, kind := range []string{"none", "easy", "hard", "full-cone"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			inWorldAt(t, publicServer, func(w *world) {
				w.sim.Latency(20 * time.Millisecond)
				victim := netip.MustParseAddr("203.0.113.200")
				w.sim.Host(victim)
				i := slices.IndexFunc(places, func(p place) bool { return p.name == kind })
				bo := w.person("Bo", w.put(places[i], 2).host, keys()[0])
				defer bo.stop()
				mal, stop := w.mallory(netip.MustParseAddr("203.0.113.201"), named(victim))
				defer stop()
				if !bo.await(time.Minute, func() bool { return bo.online && bo.people["Mal"].Name != "" }) {
					t.Fatal("nobody is there")
				}
				reached := aim(&w.sim.Network, victim)
				mal.say(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetCandidates{SetCandidates: &wire.SetCandidates{Candidates: named(victim)}}})
				settle(time.Second)
				bo.writes("Mal", mal.key.Public()) // who looks for Mal where the roster says
				settle(20 * time.Second)
				for n := range byte(30) {
					mal.introduce(bo, n, named(victim))
					settle(2 * time.Second)
				}
				bo.writes("Mal", mal.key.Public())
				settle(30 * time.Second)
				mal.mu.Lock()
				if mal.answers < 10 {
					t.Errorf("only %d introductions came to anything", mal.answers)
				}
				mal.mu.Unlock()
				if datagrams, bytes := reached.take(); datagrams > 0 {
					t.Errorf("%d bytes had %d datagrams sent to a third party, %d bytes", mal.spent, datagrams, bytes)
				}
			})
		})
	}
}

// Of a private address nobody outside can say whose it is. Who names one has
// those who know it look there, on their own network; but what goes there is
// bounded, and no guesses at ports are among it.
func TestNeighbourIsSparedGuesses(t *testing.T) {
	inWorldAt(t, publicServer, func(w *world) {
		w.sim.Latency(20 * time.Millisecond)
		router := w.sim.NAT(netip.MustParseAddr("203.0.113.20"), hostnet.EasyNAT())
		victim := netip.MustParseAddr("192.168.2.99")
		router.Host(victim)
		bo := w.person("Bo", router.Host(netip.MustParseAddr("192.168.2.2")), keys()[0])
		defer bo.stop()
		mal, stop := w.mallory(netip.MustParseAddr("203.0.113.201"), nil)
		defer stop()
		if !bo.await(time.Minute, func() bool { return bo.online && bo.people["Mal"].Name != "" }) {
			t.Fatal("nobody is there")
		}
		reached := aim(&router.Network, victim)
		const introductions, addresses = 30, 8
		for n := range byte(introductions) {
			mal.introduce(bo, n, named(victim))
			settle(2 * time.Second)
		}
		settle(30 * time.Second)
		datagrams, bytes := reached.take()
		t.Logf("%d bytes had %d datagrams sent to a neighbour, %d bytes", mal.spent, datagrams, bytes)
		// In two seconds seven probes for each address, and no handshake: the
		// largest datagram that goes there is a probe.
		if mal.answers < 10 || datagrams == 0 || datagrams > introductions*addresses*7 || bytes > datagrams*punch.Size {
			t.Errorf("%d introductions had %d datagrams sent to a neighbour, %d bytes", mal.answers, datagrams, bytes)
		}
	})
}

// writes sends somebody a text that doesn't have to arrive.
func (p *person) writes(name string, device identity.PublicKey) {
	p.mu.Lock()
	target := p2p.Target{Person: p.people[name], Device: device}
	p.mu.Unlock()
	p.t.Send(target, p2p.Item{At: time.Now(), Body: p2p.Text{Text: "hello?"}}, func(error) {})
}
