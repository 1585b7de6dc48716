package punch

import (
	"net/netip"
	"time"

	"earshot/protocol/wire"
)

// With a NAT that takes another port for every destination on one side only,
// the other side's address is known and its own is a guess among 64,512 ports.
// 256 sockets behind the hard NAT make as many ports good, and then 1,024
// guesses find one with a probability of 98 %, 2,048 with 99.97 % (Ford,
// Srisuresh, Kegel: Peer-to-Peer Communication Across NATs, 2005, leaves that
// open; the birthday paradox closes it).
const (
	crowdSockets = 256
	crowdGuesses = 2048
	// crowdAfter is how long plain probing has, which does where the other
	// NAT admits everyone.
	crowdAfter = 250 * time.Millisecond
	// crowdTick and crowdBatch bound the rate: 1,600 datagrams a second.
	crowdTick  = 10 * time.Millisecond
	crowdBatch = 16
	// placeAfter is how much longer the openers wait for the distance that they
	// have to go, which is known one round trip after the kind of NAT at most.
	placeAfter = 300 * time.Millisecond
	// openBatch is how many sockets open the NAT in one tick.
	openBatch = 64
	// guessAfter is how much later the guesses begin than the openers, which
	// have to be there first; introductions take about as long.
	guessAfter = 150 * time.Millisecond
)

// crowd is the state of it.
type crowd struct {
	sockets int // open ones
	asked   bool
	opened  int // sockets that have sent their opener
	ports   []uint16
	guessed int
	last    time.Time
}

// hardHere and hardThere say on which side the hard NAT is, if on one only.
func (m *Machine) hardHere() bool {
	return m.told && m.cfg.Local == wire.Nat_NAT_HARD && m.remote == wire.Nat_NAT_EASY
}

func (m *Machine) hardThere() bool {
	return m.told && m.cfg.Local == wire.Nat_NAT_EASY && m.remote == wire.Nat_NAT_HARD
}

// shared is the carrier's part of a NAT (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// reflexive is the other device's public IPv4 address, as the coordinator has
// seen it. Where its router has opened that very port, it is told as such; but
// of what routers have opened on a private network the coordinator has seen
// nothing, and it may be a neighbour whom all the guesses would go to.
func (m *Machine) reflexive() (at netip.AddrPort, ok bool) {
	for _, t := range m.targets {
		switch {
		case !t.at.Addr().Is4():
		case t.kind == wire.Candidate_KIND_REFLEXIVE:
			return t.at, true
		case t.kind == wire.Candidate_KIND_MAPPED && !t.at.Addr().IsPrivate() && !shared.Contains(t.at.Addr()):
			at, ok = t.at, true
		}
	}
	return at, ok
}

// nextCrowd is when the crowd has something to do; zero is never.
func (m *Machine) nextCrowd() time.Time {
	at, ok := m.reflexive()
	begin := m.start.Add(crowdAfter)
	if !ok || !at.IsValid() {
		return time.Time{}
	}
	c := &m.crowd
	switch {
	case m.hardHere() && !c.asked:
		return begin
	case m.hardHere() && c.opened < c.sockets:
		at := c.last.Add(crowdTick)
		// An opener that reaches the other NAT may spoil every guess: a Linux
		// router that takes it for itself gives the flow of the guess that would
		// have met it another port, and by that all later ones.
		if latest := begin.Add(placeAfter); m.cfg.TTL == 0 && at.Before(latest) {
			return latest
		}
		return at
	case m.hardThere() && c.ports == nil:
		return begin.Add(guessAfter)
	case m.hardThere() && c.guessed < len(c.ports):
		return c.last.Add(crowdTick)
	}
	return time.Time{}
}

// celebrate does what the crowd has to do.
func (m *Machine) celebrate(now time.Time) {
	if next := m.nextCrowd(); next.IsZero() || now.Before(next) {
		return
	}
	c := &m.crowd
	c.last = now
	at, _ := m.reflexive()
	switch {
	case m.hardHere() && !c.asked:
		c.asked = true
		m.act(Open{crowdSockets})
	case m.hardHere():
		for range min(openBatch, c.sockets-c.opened) {
			c.opened++
			m.act(Send{To: at, TTL: m.opener(), Socket: c.opened})
		}
	case m.hardThere():
		if c.ports == nil {
			c.ports = m.cfg.Pick(crowdGuesses)
		}
		for range min(crowdBatch, len(c.ports)-c.guessed) {
			m.act(Send{To: netip.AddrPortFrom(at.Addr(), c.ports[c.guessed])})
			c.guessed++
		}
	}
}
