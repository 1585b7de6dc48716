package session

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/wire"
)

// stand is a machine with connections whose vitals the test sets.
type stand struct {
	*testing.T
	machine machine
	vitals  map[linkID]*vital
	now     time.Time
	nudges  map[linkID]int
}

func newStand(t *testing.T, lower bool) *stand {
	s := &stand{T: t, vitals: make(map[linkID]*vital), nudges: make(map[linkID]int), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.machine = machine{lower: lower, relayed: true, look: func(id linkID) vital { return *s.vitals[id] }}
	return s
}

func (s *stand) step(ev any) {
	for _, a := range s.machine.step(ev, s.now) {
		if n, ok := a.(actNudge); ok {
			s.nudges[n.id]++
		}
	}
}

// ready is a new connection.
func (s *stand) ready(id linkID, relayed bool) {
	s.vitals[id] = &vital{rtt: 300 * time.Millisecond}
	s.step(evReady{id, s.machine.lower, relayed})
}

// pass lets time pass, as run does.
func (s *stand) pass(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		wake := s.machine.wake(s.now)
		if wake.IsZero() || wake.After(end) {
			wake = end
		}
		s.now = wake
		s.step(evTick{})
	}
}

func (s *stand) uses(id linkID, what string) {
	s.Helper()
	if s.machine.current == nil || s.machine.current.id != id {
		s.Errorf("%s: the current connection is %+v, not %d", what, s.machine.current, id)
	}
}

// A direct connection that is silent long enough for the relay to be taken is
// used again when it answers after all, and given up if it doesn't.
func TestLateAnswer(t *testing.T) {
	for _, lower := range []bool{false, true} {
		for _, answers := range []bool{false, true} {
			s := newStand(t, lower)
			s.ready(1, false)
			s.step(evSend{&outgoing{id: [idSize]byte{1}, frame: make([]byte, 100), done: func(error) {}}})
			s.pass(2500 * time.Millisecond)
			if !s.machine.relayOpen {
				t.Fatal("nobody looks for another way")
			}
			s.ready(2, true)
			s.uses(2, "nothing is heard directly")
			s.pass(500 * time.Millisecond)
			if answers {
				s.vitals[1].packets++
				s.pass(urgeEvery)
				s.uses(1, "the direct connection has answered")
				continue
			}
			s.pass(mostPatience)
			s.uses(2, "the direct connection never answered")
			for _, c := range s.machine.links {
				if c.id == 1 {
					t.Error("it is kept for ever")
				}
			}
		}
	}
}

// A connection that must show that it lives is asked more than once, and has
// several round trips for it.
func TestUrged(t *testing.T) {
	s := newStand(t, true)
	s.ready(1, false)
	s.step(evWake{})
	s.pass(patience + 4*s.vitals[1].rtt - time.Millisecond)
	if len(s.machine.links) != 1 || s.nudges[1] < 5 {
		t.Errorf("%d connections after %d nudges", len(s.machine.links), s.nudges[1])
	}
	s.pass(tickEvery)
	if len(s.machine.links) != 0 {
		t.Error("it never ends")
	}
}

// Two devices may have come to have several connections in different order. What
// is left when one of them is closed is the newest direct one.
func TestDifferentOrder(t *testing.T) {
	s := newStand(t, false)
	s.ready(1, true)
	s.ready(2, false)
	s.ready(3, false)
	s.ready(4, true) // had been under way
	s.uses(3, "the newest direct connection")
	s.step(evDown{3, codeReplaced})
	s.uses(2, "the other one is closed")
	s.step(evDown{2, codeLost})
	s.uses(4, "only the relay is left")
}

// A NAT that lets everybody in, and has a port of its own for each destination,
// answers a ping from another port than that it was sent to: there the other
// device is, and there alone.
func TestPongFromElsewhere(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		at := netip.MustParseAddr("203.0.113.99")
		named, other := b.socket(at), b.socket(at)
		high.mu.Lock()
		high.at = nil
		high.mu.Unlock()
		key := [punch.KeySize]byte{7}
		low.e.Introduced(high.key.Public(), Introduction{Nat: wire.Nat_NAT_EASY, Key: key[:],
			Candidates: []punch.Candidate{{Kind: wire.Candidate_KIND_REFLEXIVE, At: hostnet.AddrPort(named.LocalAddr())}}})
		var last punch.Probe // the first are openers, which wait for no answer
		x := punch.NewExchange(key, false)
		b.hears(named, 2*time.Second, func(datagram []byte) {
			if p, err := x.Open(datagram); err == nil {
				last = p
			}
		})
		if n := b.hears(other, time.Second, func([]byte) {}); n != 0 {
			b.Errorf("%d datagrams went where nobody has been heard", n)
		}
		pong := x.Append(nil, punch.Probe{Type: punch.Pong, Tx: last.Tx, Seen: low.at[0]})
		if err := hostnet.WriteTTL(other, pong, low.at[0], 0); err != nil {
			b.Fatal(err)
		}
		if n := b.hears(other, time.Second, func([]byte) {}); n == 0 {
			b.Error("nothing goes to where the answer came from")
		}
	})
}

// socket opens one that closes with the test.
func (b *bed) socket(at netip.Addr) net.PacketConn {
	conn, err := b.sim.Host(at).ListenPacket(b.Context(), netip.AddrPortFrom(at, 0))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// hears takes the datagrams that come to a socket for a while, and counts them.
func (b *bed) hears(conn net.PacketConn, d time.Duration, take func([]byte)) (n int) {
	_ = conn.SetReadDeadline(time.Now().Add(d))
	for buf := make([]byte, 2000); ; n++ {
		size, _, err := conn.ReadFrom(buf)
		if err != nil {
			return n
		}
		take(buf[:size])
	}
}
