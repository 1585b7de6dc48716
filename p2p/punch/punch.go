// Package punch finds a path through NATs for two devices that have been
// introduced to each other (RFC 5128, 3.3; RFC 8445 for the words).
//
//	probe.go     the datagrams
//	punch.go     what happens and what is done about it
//	schedule.go  when each candidate is probed
//	birthday.go  probing for exactly one side behind a hard NAT
//
// Machine is pure: (event, now) in, (actions, next wake) out. Sockets and
// sessions are p2p/session's.
package punch

import (
	"net/netip"
	"slices"
	"time"

	"earshot/protocol/wire"
)

// Candidate is an address at which the other device may be reached.
type Candidate struct {
	Kind wire.Candidate_Kind
	At   netip.AddrPort
}

// Config is what a Machine knows when it begins.
type Config struct {
	// Lower says that this device has the lower ID, and so is the one that
	// makes the connection.
	Lower bool
	// Answers says that the other device has asked for the introduction. It
	// answers, and then opens its NAT without anything reaching the other
	// one's before that has opened, too.
	Answers bool
	// Local is how the NATs on this device's way out behave, TTL how far a
	// datagram must go to have passed them, and no further; 0 is unknown. Both
	// may become known later: Placed.
	Local wire.Nat
	TTL   int
	// Pick returns n distinct ports to try, none below 1024, at random.
	Pick func(n int) []uint16
}

const (
	// MaxCandidates bounds those that a Machine probes: eight that it is told,
	// and some that it learns.
	MaxCandidates = 12
	// giveUp is how long a Machine works.
	giveUp = 10 * time.Second
	// defaultTTL is that of an opener where nothing is known: one NAT. One that
	// doesn't get far enough is useless until the next, one that gets too far
	// does harm (see Machine.ttl).
	defaultTTL = 2
	// maxFound bounds the connections that a Machine asks for, and foundAgain
	// is how long each of them has.
	maxFound   = 6
	foundAgain = time.Second
)

// What happens to a Machine. A nil event is that time has passed.
type (
	// Told is the other device's word on itself. It may come again, as its
	// addresses become known.
	Told struct {
		Nat        wire.Nat
		Candidates []Candidate
	}
	// Placed is what has become known of this device's own way out: Config's
	// Local and TTL.
	Placed struct {
		Local wire.Nat
		TTL   int
	}
	// Heard is an authentic probe, never the same one twice; who reads it
	// answers a ping by itself. A pong comes from where its ping was sent to;
	// from anywhere else it counts as a ping.
	Heard struct {
		Type   Type
		From   netip.AddrPort
		Socket int // 0 is the main one
	}
	// Opened says how many sockets there are now besides the main one: they
	// have the numbers from 1 on.
	Opened struct{ Sockets int }
)

// What a Machine wants done.
type (
	// Send is a ping from a socket. TTL 0 is the system's default.
	Send struct {
		To     netip.AddrPort
		TTL    int
		Socket int
	}
	// Open asks for that many sockets besides the main one.
	Open struct{ Sockets int }
	// Found is a path that a probe has proven: the connection is to be made
	// on it. Only the device with the lower ID gets it.
	Found struct {
		At     netip.AddrPort
		Socket int
	}
	// Try is a path that ought to work, though no probe has come through it
	// yet. It saves a round trip. Only the device with the lower ID gets it.
	Try struct{ At netip.AddrPort }
	// Keep says that the other device will make its connection through this
	// socket, so that it must be served.
	Keep struct{ Socket int }
)

// Machine is the search for one path. It is one goroutine's.
type Machine struct {
	cfg     Config
	start   time.Time
	told    bool
	remote  wire.Nat
	targets []*target
	crowd   crowd
	tried   bool
	found   int
	// verified counts pings that only ask whether an address is the other
	// device's.
	verified int
	pause    time.Time // until when the last path found is left to prove itself
	kept     map[int]bool
	actions  []any
}

// New begins a search.
func New(cfg Config, now time.Time) *Machine {
	return &Machine{cfg: cfg, start: now, kept: make(map[int]bool)}
}

// Over says that the search has come to its end.
func (m *Machine) Over(now time.Time) bool { return !now.Before(m.start.Add(giveUp)) }

// Step takes an event and returns what to do, in order, and when to call again;
// a zero time is never. The actions are good until the next call.
func (m *Machine) Step(event any, now time.Time) (actions []any, wake time.Time) {
	m.actions = m.actions[:0]
	if m.Over(now) {
		return nil, time.Time{}
	}
	switch e := event.(type) {
	case Told:
		m.tell(e, now)
	case Placed:
		m.place(e, now)
	case Heard:
		m.hear(e, now)
	case Opened:
		m.crowd.sockets = e.Sockets
	}
	if !now.Before(m.pause) {
		m.probe(now)
		m.celebrate(now)
	}
	return m.actions, m.wake(now)
}

func (m *Machine) act(a any) { m.actions = append(m.actions, a) }

// tell takes the other device's candidates.
func (m *Machine) tell(e Told, now time.Time) {
	m.told, m.remote = true, e.Nat
	for _, c := range e.Candidates {
		if t := m.aim(c, now); t != nil {
			t.named = true
		}
	}
	// The answering device has opened its NAT before it answered, and the
	// coordinator has seen it at that address, so that it is nobody else's.
	if at, ok := m.reflexive(); ok && m.cfg.Lower && !m.cfg.Answers && !m.tried && !m.mightBeHard() {
		m.tried = true
		m.act(Try{at})
	}
}

func (m *Machine) mightBeHard() bool {
	return m.cfg.Local == wire.Nat_NAT_HARD || m.remote == wire.Nat_NAT_HARD ||
		m.cfg.Local == wire.Nat_NAT_BLOCKED || m.remote == wire.Nat_NAT_BLOCKED
}

// place takes what is known of this device's own network now. Openers that
// didn't get far enough leave again at once.
func (m *Machine) place(e Placed, now time.Time) {
	before := m.opener()
	m.cfg.Local, m.cfg.TTL = e.Local, e.TTL
	for _, t := range m.targets {
		if m.opener() > before && m.ttl(t, now) > 0 {
			t.sent = 0
		}
	}
}

// aim adds a candidate, unless there is one of that address.
func (m *Machine) aim(c Candidate, now time.Time) *target {
	at := netip.AddrPortFrom(c.At.Addr().Unmap(), c.At.Port())
	for _, t := range m.targets {
		if t.at == at {
			return t
		}
	}
	if len(m.targets) >= MaxCandidates || !at.IsValid() || at.Port() == 0 {
		return nil
	}
	t := &target{at: at, kind: c.Kind, since: now}
	m.targets = append(m.targets, t)
	return t
}

// hear takes a probe. Either kind mostly proves the path in both directions: a
// ping has opened the other side's NAT for whatever comes back.
func (m *Machine) hear(e Heard, now time.Time) {
	kind := wire.Candidate_KIND_UNSPECIFIED // peer-reflexive (RFC 8445, 5.1)
	for _, t := range m.targets {
		if t.at == e.From {
			kind = t.kind
		}
	}
	if e.Socket == 0 {
		if t := m.aim(Candidate{kind, e.From}, now); t != nil {
			t.heard(now)
			if e.Type == Pong {
				t.proven = true
			} else {
				t.pings++
			}
		}
	}
	if e.Type == Ping && m.cfg.Lower && !m.known(e.From.Addr()) {
		m.verify(e)
		return
	}
	if e.Type == Ping && e.Socket == 0 && m.hardHere() {
		// A hard NAT that lets everybody in. What goes back leaves by another
		// port, so whether it arrives is up to the other side's NAT.
		if m.cfg.Lower && !m.tried {
			m.tried = true
			m.act(Try{e.From})
		}
		return
	}
	switch {
	case m.cfg.Lower && m.found < maxFound && !now.Before(m.pause):
		m.found++
		m.pause = now.Add(foundAgain)
		m.act(Found{At: e.From, Socket: e.Socket})
	case !m.cfg.Lower && e.Socket != 0 && !m.kept[e.Socket]:
		m.kept[e.Socket] = true
		m.act(Keep{e.Socket})
	}
	if !m.cfg.Lower {
		// The other one makes its connection now.
		m.pause = now.Add(foundAgain)
	}
}

// known says that an address is one of those that the other device named, which
// it gave the coordinator to see, or that it has answered from. Any other may be
// a third party's, in whose name somebody has sent a probe: making a connection
// there would send it many times as much.
func (m *Machine) known(addr netip.Addr) bool {
	return slices.ContainsFunc(m.targets, func(t *target) bool { return t.named && t.at.Addr() == addr.Unmap() })
}

// verify pings back where a ping came from; a pong is not to be had by whoever
// doesn't get what is sent there. The main socket does so by itself.
func (m *Machine) verify(e Heard) {
	if e.Socket != 0 && m.verified < maxFound {
		m.verified++
		m.act(Send{To: e.From, Socket: e.Socket})
	}
}

// wake is when something is due.
func (m *Machine) wake(now time.Time) time.Time {
	at := m.start.Add(giveUp)
	for _, t := range m.targets {
		if next := m.next(t); !next.IsZero() && next.Before(at) {
			at = next
		}
	}
	if next := m.nextCrowd(); !next.IsZero() && next.Before(at) {
		at = next
	}
	if at.Before(m.pause) {
		at = m.pause
	}
	if at.Before(now) {
		return now
	}
	return at
}
