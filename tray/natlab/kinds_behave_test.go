//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"earshot/tray/natlab/delay"
)

// Each kind of network does what its name says: seen by datagrams from within
// and from outside.
func TestKindsBehave(t *testing.T) {
	Need(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			if k.upnp {
				Need(t, "miniupnpd")
			}
			l := newLab(t, k, none, options{})
			if k.ipv4() {
				l.behaves4(l.a)
			}
			if k.ipv6 {
				l.behaves6(l.a)
			}
		})
	}
}

// behaves4 looks at mapping and filtering by RFC 4787's words.
func (l *lab) behaves4(s *side) {
	l.t.Helper()
	first := l.listenUDP(l.pub, server4+":5001")
	port2 := l.listenUDP(l.pub, server4+":5002")
	address2 := l.listenUDP(l.pub, other4+":5001")
	host := l.listenUDP(s.host, s.address+":5000")

	host.send(first.addr(), "out")
	at, out := first.receive("out")
	if out == s.kind.noUDP {
		l.t.Fatalf("UDP gets out: %v", out)
	}
	tcp := l.listenTCP(l.pub, server4+":443", server4+":13277")
	if got := l.dials(s.host, tcp[0]); !got {
		l.t.Error("TCP port 443 can't be reached")
	}
	if got := l.dials(s.host, tcp[1]); got == s.kind.onlyHTTPS {
		l.t.Errorf("another TCP port can be reached: %v", got)
	}
	if s.kind.noUDP {
		return
	}
	wanted := netip.AddrPortFrom(netip.MustParseAddr(s.public4(10)), 5000)
	if at.Addr() != wanted.Addr() {
		l.t.Errorf("it comes from %v", at)
	}
	for _, to := range []*udp{port2, address2} {
		host.send(to.addr(), "again")
		again, ok := to.receive("again")
		if !ok {
			l.t.Fatalf("nothing comes to %v", to.addr())
		}
		if s.kind.nat == addressAndPortDependent && again.Port() == at.Port() {
			l.t.Errorf("the mapping for %v is the same: %v", to.addr(), at)
		}
		if s.kind.nat != addressAndPortDependent && again != wanted {
			l.t.Errorf("the mapping is %v for one and %v for %v", at, again, to.addr())
		}
	}
	l.filters(s, first, port2)
}

// filters looks at who can reach a host.
func (l *lab) filters(s *side, asked, other *udp) {
	l.t.Helper()
	host := l.listenUDP(s.host, s.address+":5100")
	host.send(asked.addr(), "out")
	at, ok := asked.receive("out")
	if !ok {
		l.t.Fatal("nothing gets out")
	}
	asked.send(at, "answer")
	if _, ok := host.receive("answer"); !ok {
		l.t.Error("an answer doesn't come in")
	}
	admits := s.kind.nat == noNAT || s.kind.fullCone
	other.send(at, "from another port")
	if _, ok := host.receive("from another port"); ok != admits {
		l.t.Errorf("what nobody asked for comes in: %v", ok)
	}
	l.beforehand(s, other)
}

// beforehand is a datagram from outside that comes before the host's own, from
// where that one goes to: punching without an opener. A router that takes it
// for itself then gives the host's flow another port.
func (l *lab) beforehand(s *side, outside *udp) {
	l.t.Helper()
	if s.kind.nat != endpointIndependent || s.kind.fullCone {
		return
	}
	host := l.listenUDP(s.host, s.address+":5200")
	outside.send(netip.AddrPortFrom(netip.MustParseAddr(s.public4(10)), 5200), "too early")
	if _, ok := host.receive("too early"); ok {
		l.t.Error("what nobody asked for comes in")
	}
	host.send(outside.addr(), "out")
	at, ok := outside.receive("out")
	if !ok {
		l.t.Fatal("nothing gets out")
	}
	if moved := at.Port() != 5200; moved != s.kind.openInput {
		l.t.Errorf("the flow's port is %d", at.Port())
	}
}

// behaves6 looks at a firewall.
func (l *lab) behaves6(s *side) {
	l.t.Helper()
	server := l.listenUDP(l.pub, "["+server6+"]:5001")
	other := l.listenUDP(l.pub, "["+other6+"]:5002")
	host := l.listenUDP(s.host, "["+s.address6+"]:5000")
	host.send(server.addr(), "out")
	at, ok := server.receive("out")
	if !ok || at != host.addr() {
		l.t.Fatalf("it comes from %v: %v", at, ok)
	}
	server.send(at, "answer")
	if _, ok := host.receive("answer"); !ok {
		l.t.Error("an answer doesn't come in")
	}
	other.send(at, "from elsewhere")
	if _, ok := host.receive("from elsewhere"); ok {
		l.t.Error("what nobody asked for comes in")
	}
}

// What tests let happen to a router happens.
func TestEventsHappen(t *testing.T) {
	Need(t)
	t.Parallel()
	l := newLab(t, easy, dual, options{})
	server := l.listenUDP(l.pub, server4+":5001")
	for _, s := range []*side{l.a, l.b} {
		host := l.listenUDP(s.host, s.address+":5000")
		seen := func(text string) netip.AddrPort {
			t.Helper()
			host.send(server.addr(), text)
			from, _ := server.receive(text)
			return from
		}
		before := seen("before")
		if again := seen("again"); again != before || before.Port() != 5000 {
			t.Errorf("the mapping is %v, then %v", before, again)
		}
		s.rebind()
		rebound := seen("rebound")
		if rebound.Port() == before.Port() || rebound.Addr() != before.Addr() {
			t.Errorf("a router that was restarted gives %v", rebound)
		}
		s.rebind()
		if at := seen("rebound again"); at.Port() == rebound.Port() || at.Port() == before.Port() || at.Addr() != before.Addr() {
			t.Errorf("a router that was restarted again gives %v, and gave %v", at, rebound)
		}
		for _, last := range []int{11, 10} {
			s.readdress()
			if at := seen(fmt.Sprintf("as %d", last)); at.Addr() != netip.MustParseAddr(s.public4(last)) {
				t.Errorf("a router with a new address gives %v", at)
			}
		}
		s.udp(false)
		if at := seen("dropped"); at.IsValid() {
			t.Errorf("UDP gets out, from %v", at)
		}
		s.udp(true)
		if at := seen("back"); !at.IsValid() {
			t.Error("UDP doesn't get out any more")
		}
	}
}

// Hosts behind one router reach each other there, and only there; and a wire
// with a latency has it.
func TestLabStands(t *testing.T) {
	Need(t)
	t.Run("one network", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, easy, easy, options{together: true})
		a, b := l.listenUDP(l.a.host, l.a.address+":5000"), l.listenUDP(l.b.host, l.b.address+":5000")
		a.send(b.addr(), "neighbour")
		if from, ok := b.receive("neighbour"); !ok || from != a.addr() {
			t.Errorf("from %v: %v", from, ok)
		}
	})
	t.Run("latency", func(t *testing.T) {
		t.Parallel()
		const latency = 20 * time.Millisecond
		l := newLab(t, easy, six, options{quality: delay.Quality{Latency: latency}})
		server := l.listenUDP(l.pub, server4+":5001")
		host := l.listenUDP(l.a.host, l.a.address+":5000")
		began := time.Now()
		host.send(server.addr(), "ping")
		from, ok := server.receive("ping")
		server.send(from, "pong")
		_, back := host.receive("pong")
		if took := time.Since(began); !ok || !back || took < 2*latency || took > 10*latency {
			t.Errorf("there and back in %v: %v, %v", took, ok, back)
		}
		l.behaves6(l.b)
	})
}
