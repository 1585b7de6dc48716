package hostnet_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"
)

// pairs is a host behind each of two routers, whose sockets have port 5000.
type pairs struct {
	natBed
	ra, rb *hostnet.Router
	a, b   net.PacketConn
	toA    netip.AddrPort // as they are seen by who speaks to the other one, if ports are preserved
	toB    netip.AddrPort
}

func inPair(t *testing.T, left, right hostnet.NATConfig, test func(p pairs)) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		p := pairs{natBed: natBed{T: t, sim: sim, s1: sim.Host(natServer1)}}
		p.ra, p.rb = sim.NAT(natPublic, left), sim.NAT(netip.MustParseAddr("198.51.100.20"), right)
		p.a, p.b = sock(t, p.ra.Host(natInsideA), 5000), sock(t, p.rb.Host(natInsideA), 5000)
		p.toA, p.toB = netip.AddrPortFrom(p.ra.Public(), 5000), netip.AddrPortFrom(p.rb.Public(), 5000)
		test(p)
	})
}

// TestNATPunching: two easy NATs are opened by a packet from each side,
// whichever comes first.
func TestNATPunching(t *testing.T) {
	inPair(t, hostnet.EasyNAT(), hostnet.EasyNAT(), func(p pairs) {
		p.say(p.a, p.toB, "opens A")
		p.heard(p.b, "", false, "the first packet")
		p.say(p.b, p.toA, "opens B")
		p.heard(p.a, "opens B", true, "the second packet")
		p.say(p.a, p.toB, "direct")
		p.heard(p.b, "direct", true, "the third packet")
	})
}

// TestNATOpenInput: a router that admits unsolicited packets must hear nothing
// before its own host has spoken, or that host gets another port; a packet that
// ends on the way is enough.
func TestNATOpenInput(t *testing.T) {
	for _, mapping := range []hostnet.Mapping{hostnet.EndpointIndependent, hostnet.AddressPortDependent} {
		cfg := hostnet.OpenInputNAT()
		cfg.Mapping = mapping
		inPair(t, cfg, hostnet.EasyNAT(), func(p pairs) {
			at := p.sock(p.s1, 7000)
			p.seen(p.a, at, natServer1) // an EIM mapping is there already, and the port is still lost
			p.say(p.b, p.toA, "unsolicited")
			p.heard(p.a, "", false, "an unsolicited packet")
			for range 3 {
				p.say(p.a, p.toB, "plain punching")
				p.heard(p.b, "", false, "a packet from another port")
				p.say(p.b, p.toA, "keeps it so")
				p.heard(p.a, "", false, "a packet to the router itself")
			}
			if from := p.seen(p.a, at, natServer1); from != p.toA {
				p.Errorf("to others it is seen as %v", from)
			}
			time.Sleep(31 * time.Second) // the router's conversation is over
			p.sayTTL(p.a, p.toB, "opener", 2)
			p.say(p.b, p.toA, "solicited")
			p.heard(p.a, "solicited", true, "a packet after the opener")
			p.say(p.a, p.toB, "direct")
			p.heard(p.b, "direct", true, "the answer")
		})
	}
}

// TestNATHops counts the routers that a packet passes.
func TestNATHops(t *testing.T) {
	inPair(t, hostnet.EasyNAT(), hostnet.EasyNAT(), func(p pairs) {
		at := p.sock(p.s1, 7000)
		p.sayTTL(p.a, netip.AddrPortFrom(natServer1, 7000), "x", 1)
		p.heard(at, "", false, "TTL 1 to the core")
		if n := p.ra.Mappings(); n != 0 {
			p.Errorf("a packet that ended at the router made %d mappings", n)
		}
		p.sayTTL(p.a, netip.AddrPortFrom(natServer1, 7000), "x", 2)
		p.heard(at, "x", true, "TTL 2 to the core")
		p.say(p.b, p.toA, "opens B")
		for ttl := range 5 {
			p.sayTTL(p.a, p.toB, "far", ttl)
			p.heard(p.b, "far", ttl == 0 || ttl >= 4, "from one NAT to behind the other")
		}
		p.say(p.b, netip.AddrPortFrom(natServer1, 7000), "opens for the server")
		p.hear(at)
		for ttl := 1; ttl < 3; ttl++ {
			p.sayTTL(at, p.toB, "down", ttl)
			p.heard(p.b, "down", ttl >= 2, "from the core to behind a NAT")
		}
		c, err := p.ra.Host(natInsideA).DialPacket(p.Context(), p.toB)
		if err != nil {
			p.Fatal(err)
		}
		defer c.Close()
		if err := hostnet.WriteTTL(c.(net.PacketConn), []byte("x"), p.toB, 3); !errors.Is(err, net.ErrWriteToConnected) {
			p.Errorf("a connected socket: %v", err)
		}
	})
}

// TestNATRebind: another port after a power cycle, and another address from the
// provider.
func TestNATRebind(t *testing.T) {
	inNAT(t, hostnet.EasyNAT(), func(n natBed) {
		at, c := n.sock(n.s1, 7000), n.sock(n.a, 5000)
		mapped := n.sock(n.a, 6000)
		n.router.Forward(9000, netip.AddrPortFrom(natInsideA, 6000))
		before := n.seen(c, at, natServer1)
		n.router.Rebind()
		if n.router.Mappings() != 0 {
			n.Errorf("%d mappings are left", n.router.Mappings())
		}
		n.say(at, before, "old")
		n.heard(c, "", false, "a packet to an old port")
		after := n.seen(c, at, natServer1)
		if other := n.sock(n.s2, 7000); after.Port() == before.Port() || n.seen(c, other, natServer2) != after {
			n.Errorf("seen as %v, then as %v", before, after)
		}
		moved := netip.MustParseAddr("198.51.100.99")
		n.router.SetPublic(moved)
		n.say(at, after, "old")
		n.heard(c, "", false, "a packet to an old address")
		if again := n.seen(c, at, natServer1); again.Addr() != moved || n.router.Public() != moved {
			n.Errorf("seen as %v", again)
		}
		n.say(at, netip.AddrPortFrom(moved, 9000), "forwarded")
		n.heard(mapped, "forwarded", true, "a packet to a forwarded port")
		if from := n.seen(mapped, at, natServer1); from.Port() != 9000 {
			n.Errorf("the forwarded socket is seen as %v", from)
		}
		n.router.Unforward(9000)
		n.say(at, netip.AddrPortFrom(moved, 9000), "no longer")
		n.heard(mapped, "", false, "a packet to a port that is no longer forwarded")
		if from := n.seen(mapped, at, natServer1); from.Port() == 9000 {
			n.Errorf("the socket is still seen as %v", from)
		}
	})
}

// TestNATTCP: connections go outwards from the router's address, none comes in,
// and a router that forgets them resets them when they are next used.
func TestNATTCP(t *testing.T) {
	for name, c := range map[string]struct {
		fault  func(n natBed)
		want   error
		silent bool
	}{
		"power cycle":       {func(n natBed) { n.router.Rebind() }, syscall.ECONNRESET, false},
		"another address":   {func(n natBed) { n.router.SetPublic(netip.MustParseAddr("198.51.100.99")) }, os.ErrDeadlineExceeded, true},
		"carried elsewhere": {func(n natBed) { n.sim.Move(n.a, netip.MustParseAddr("203.0.113.77")) }, os.ErrDeadlineExceeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			inNAT(t, hostnet.BlockedNAT(), func(n natBed) {
				n.sim.Latency(10 * time.Millisecond)
				n.router.Latency(5 * time.Millisecond)
				b := bed{T: n.T}
				l := b.listen(n.s1, netip.AddrPortFrom(natServer1, 443))
				var ends [4]net.Conn
				for i := 0; i < len(ends); i += 2 {
					start := time.Now()
					near, err := n.a.Dial(n.Context(), hostnet.AddrPort(l.Addr()))
					b.ok(err)
					if took := time.Since(start); took != 30*time.Millisecond {
						n.Errorf("a dial took %v", took)
					}
					far, err := l.Accept()
					b.ok(err)
					if from := hostnet.AddrPort(far.RemoteAddr()); from.Addr() != natPublic {
						n.Errorf("it comes from %v", from)
					}
					if to := hostnet.AddrPort(near.LocalAddr()); to.Addr() != natInsideA {
						n.Errorf("it is %v inside", to)
					}
					ends[i], ends[i+1] = near, far
				}
				if a, b := hostnet.AddrPort(ends[1].RemoteAddr()), hostnet.AddrPort(ends[3].RemoteAddr()); a == b {
					n.Errorf("two connections from %v", a)
				}
				for i, c := range ends {
					_, err := io.WriteString(c, "hello")
					b.ok(err)
					_, err = io.ReadFull(ends[i^1], make([]byte, 5))
					b.ok(err)
				}
				_, err := n.s1.Dial(n.Context(), netip.AddrPortFrom(natPublic, 80))
				b.is(err, syscall.ECONNREFUSED)
				_, err = n.a.Dial(n.Context(), netip.AddrPortFrom(natPublic, 80))
				b.is(err, syscall.ECONNREFUSED)
				ctx, cancel := context.WithTimeout(n.Context(), time.Second)
				defer cancel()
				_, err = n.s1.Dial(ctx, netip.AddrPortFrom(natInsideA, 80)) // nobody's address out there
				b.is(err, context.DeadlineExceeded)

				c.fault(n)
				for i, user := range []net.Conn{ends[0], ends[3]} { // one inside, one outside
					other := []net.Conn{ends[1], ends[2]}[i]
					b.ok(user.SetReadDeadline(time.Now().Add(time.Minute)))
					b.ok(other.SetReadDeadline(time.Now().Add(time.Minute)))
					_, err = io.WriteString(user, "still there?")
					b.ok(err)
					_, err = user.Read(make([]byte, 10))
					b.is(err, c.want)
					_, err = other.Read(make([]byte, 10)) // who doesn't speak doesn't learn of it
					b.is(err, os.ErrDeadlineExceeded)
				}
				for _, c := range ends {
					b.ok(c.Close())
				}
			})
		})
	}
}

// TestNATDown: what is on a connection waits while the router's cable is out.
func TestNATDown(t *testing.T) {
	inNAT(t, hostnet.EasyNAT(), func(n natBed) {
		b := bed{n.T, n.a, n.s1, natInsideA, natServer1}
		near, far := b.pair()
		c, at, neighbour := n.sock(n.a, 5000), n.sock(n.s1, 7000), n.sock(n.b, 5000)
		to := n.seen(c, at, natServer1)
		n.sim.Down(natPublic, true)
		n.say(c, netip.AddrPortFrom(natServer1, 7000), "lost")
		n.heard(at, "", false, "a packet without a cable")
		n.say(at, to, "lost")
		n.heard(c, "", false, "a packet without a cable")
		n.say(c, netip.AddrPortFrom(natInsideB, 5000), "neighbour")
		n.heard(neighbour, "neighbour", true, "a packet on the inside")
		_, err := io.WriteString(near, "kept")
		b.ok(err)
		b.ok(far.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = far.Read(make([]byte, 4))
		b.is(err, os.ErrDeadlineExceeded)
		n.sim.Down(natPublic, false)
		b.ok(far.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = io.ReadFull(far, make([]byte, 4))
		b.ok(err)
	})
}

// TestNATBehindNAT: both translate, inner networks are found from inside, and
// neighbours behind one provider's NAT meet by its hairpin.
func TestNATBehindNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		cfg := hostnet.NATConfig{Hairpin: true, Filtering: hostnet.FilterAddressPort}
		provider := sim.NAT(natPublic, cfg)
		home1 := provider.NAT(netip.MustParseAddr("100.64.0.1"), hostnet.EasyNAT())
		home2 := provider.NAT(netip.MustParseAddr("100.64.0.2"), hostnet.EasyNAT())
		n := natBed{T: t, sim: sim, s1: sim.Host(natServer1), a: home1.Host(natInsideA), b: home2.Host(natInsideA)}
		local := provider.Host(netip.MustParseAddr("100.64.0.9"))
		if n.a == n.b {
			t.Fatal("one address behind two routers is one host")
		}
		at, a, b, near := n.sock(n.s1, 7000), n.sock(n.a, 5000), n.sock(n.b, 5000), n.sock(local, 7000)
		for ttl := 2; ttl <= 3; ttl++ {
			n.sayTTL(a, netip.AddrPortFrom(natServer1, 7000), "up", ttl)
			n.heard(at, "up", ttl == 3, "through two routers")
		}
		toA, toB := n.seen(a, at, natServer1), n.seen(b, at, natServer1)
		if toA.Addr() != natPublic || toB.Addr() != natPublic || toA == toB {
			t.Errorf("seen as %v and %v", toA, toB)
		}
		n.say(a, toB, "opens A")
		n.hear(b)
		n.say(b, toA, "round the corner")
		n.heard(a, "round the corner", true, "a packet to a neighbour")
		for ttl := 1; ttl <= 4; ttl++ { // the home, the provider, the neighbour's home
			n.sayTTL(b, toA, "hops", ttl)
			n.heard(a, "hops", ttl == 4, "a packet of few hops to a neighbour")
		}
		if from := n.seen(a, near, netip.MustParseAddr("100.64.0.9")); from != netip.MustParseAddrPort("100.64.0.1:5000") {
			t.Errorf("the provider's host sees %v", from)
		}
		if addrs, err := n.a.Addrs(); err != nil || !slices.Equal(addrs, []netip.Addr{natInsideA}) {
			t.Errorf("the host's addresses are %v, %v", addrs, err)
		}
		tcp := bed{T: t}
		l := tcp.listen(n.s1, netip.AddrPortFrom(natServer1, 443))
		_, err := n.a.Dial(t.Context(), hostnet.AddrPort(l.Addr()))
		tcp.ok(err)
		far, err := l.Accept()
		tcp.ok(err)
		if from := hostnet.AddrPort(far.RemoteAddr()); from.Addr() != natPublic {
			t.Errorf("TCP comes from %v", from)
		}
	})
}

// TestV6Firewall: hosts behind a router have IPv6 addresses that are everybody's,
// and only answers come in.
func TestV6Firewall(t *testing.T) {
	for _, firewall := range []bool{false, true} {
		inNAT(t, hostnet.NATConfig{V6Firewall: firewall}, func(n natBed) {
			global, private := netip.MustParseAddr("2001:db8:1::2"), netip.MustParseAddr("fd00::2")
			outside := netip.MustParseAddr("2001:db8:9::1")
			inner := n.router.NAT(netip.MustParseAddr("192.168.1.9"), hostnet.NATConfig{V6Firewall: firewall})
			h := inner.Host(netip.MustParseAddr("10.1.1.2"), private, global)
			far := n.sim.Host(outside)
			c, at, other := n.sock(h, 5000), n.sock(far, 7000), n.sock(far, 7001)
			n.say(at, netip.AddrPortFrom(global, 5000), "unsolicited")
			n.heard(c, "unsolicited", !firewall, "an unsolicited packet")
			if from := n.seen(c, at, outside); from != netip.AddrPortFrom(global, 5000) {
				n.Errorf("seen as %v", from)
			}
			n.say(at, netip.AddrPortFrom(global, 5000), "answer")
			n.heard(c, "answer", true, "an answer")
			n.say(other, netip.AddrPortFrom(global, 5000), "another")
			n.heard(c, "another", !firewall, "another port's packet")
			n.say(at, netip.AddrPortFrom(private, 5000), "unreachable")
			n.heard(c, "", false, "a packet to a private address")
			for ttl := 1; ttl <= 3; ttl++ {
				n.sayTTL(c, netip.AddrPortFrom(outside, 7000), "hops", ttl)
				n.heard(at, "hops", ttl == 3, "two routers")
			}
			time.Sleep(121 * time.Second)
			n.say(at, netip.AddrPortFrom(global, 5000), "late")
			n.heard(c, "late", !firewall, "an answer after the timeout")

			b := bed{T: n.T}
			out := b.listen(far, netip.AddrPortFrom(outside, 80))
			_, err := h.Dial(n.Context(), hostnet.AddrPort(out.Addr()))
			b.ok(err)
			in := b.listen(h, netip.AddrPortFrom(global, 80))
			ctx, cancel := context.WithTimeout(n.Context(), time.Second)
			defer cancel()
			_, err = far.Dial(ctx, hostnet.AddrPort(in.Addr()))
			if firewall {
				b.is(err, context.DeadlineExceeded)
			} else {
				b.ok(err)
			}
			inner.Kill(global)
			if inner.Host(global) == h {
				n.Error("the host that was killed is there")
			}
		})
	}
}

// TestBlockedNAT passes no datagram.
func TestBlockedNAT(t *testing.T) {
	inNAT(t, hostnet.BlockedNAT(), func(n natBed) {
		c, at := n.sock(n.a, 5000), n.sock(n.s1, 7000)
		n.say(c, netip.AddrPortFrom(natServer1, 7000), "x")
		n.heard(at, "", false, "a packet")
	})
}

// TestLines: latency adds up along the way, losses are per direction.
func TestLines(t *testing.T) {
	cfg := hostnet.EasyNAT()
	cfg.Timeout = time.Hour // of which this test takes minutes
	inPair(t, cfg, cfg, func(p pairs) {
		p.sim.Latency(20 * time.Millisecond)
		p.ra.Latency(7 * time.Millisecond)
		p.rb.Line(natInsideA, hostnet.Line{Latency: 2 * time.Millisecond})
		p.rb.Network.Latency(time.Millisecond)
		p.say(p.a, p.toB, "opens A")
		p.say(p.b, p.toA, "opens B")
		p.heard(p.a, "opens B", true, "a packet")
		p.heard(p.b, "opens A", true, "a packet that was on its way for longer")
		start := time.Now()
		p.say(p.a, p.toB, "timed")
		p.heard(p.b, "timed", true, "a packet")
		if took := time.Since(start); took != 30*time.Millisecond {
			p.Errorf("it took %v", took)
		}
		p.sim.Loss(func(from, to netip.AddrPort, _ []byte) bool {
			if !(from == p.toA && to == p.toB || from == p.toB && to == p.toA) {
				p.Errorf("the core was asked about %v to %v", from, to)
			}
			return false
		})
		p.ra.Lossy(0.05, 0.2)
		const sent = 2000
		arrive := func(from, at net.PacketConn, to netip.AddrPort) (share float64) {
			got := 0
			for range sent {
				p.say(from, to, "x")
				if from, _ := p.hear(at); from.IsValid() {
					got++
				}
			}
			return float64(got) / sent
		}
		up, down := arrive(p.a, p.b, p.toB), arrive(p.b, p.a, p.toA)
		if math.Abs(up-0.95) > 0.02 || math.Abs(down-0.8) > 0.04 {
			p.Errorf("%v arrived of what was sent, %v of what was sent back", up, down)
		}
	})
}

// TestMove: a host is carried from behind a NAT to another network; its sockets
// go on with other addresses.
func TestMove(t *testing.T) {
	inPair(t, hostnet.EasyNAT(), hostnet.EasyNAT(), func(p pairs) {
		at := p.sock(p.s1, 7000)
		old := p.seen(p.a, at, natServer1)
		h := p.ra.Host(natInsideA)
		p.rb.Move(h, natInsideB, netip.MustParseAddr("2001:db8::5"))
		from := p.seen(p.a, at, natServer1)
		if from.Addr() != p.rb.Public() {
			p.Errorf("seen as %v", from)
		}
		p.say(at, old, "old place")
		p.heard(p.a, "", false, "a packet to the old place")
		p.say(p.b, netip.AddrPortFrom(natInsideB, 5000), "neighbour")
		p.heard(p.a, "neighbour", true, "a packet from the new neighbour")
		if addrs, err := h.Addrs(); err != nil || len(addrs) != 2 || addrs[0] != natInsideB {
			p.Errorf("its addresses are %v, %v", addrs, err)
		}
		if p.ra.Host(natInsideA) == h {
			p.Error("it is in two places")
		}
	})
}

// TestSimWatch: a host is told when it is moved, when its own cable is pulled,
// and when it wakes; not when another one's is.
func TestSimWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		h := sim.Host(one)
		sim.Host(two)
		ctx, cancel := context.WithCancel(t.Context())
		var told []hostnet.Change
		ended := make(chan error)
		go func() { ended <- h.Watch(ctx, func(c hostnet.Change) { told = append(told, c) }) }()
		synctest.Wait()
		for i, change := range []func(){
			func() { sim.Down(one, true) }, func() { sim.Down(two, true) }, func() { sim.Down(one, false) },
			func() { sim.Wake(one) }, func() { sim.NAT(two.Next(), hostnet.EasyNAT()).Move(h, natInsideA) },
		} {
			change()
			synctest.Wait()
			if want := []int{1, 1, 2, 3, 4}[i]; len(told) != want {
				t.Errorf("after change %d it was told %v", i, told)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !slices.Equal(told, []hostnet.Change{hostnet.Moved, hostnet.Moved, hostnet.Woke, hostnet.Moved}) {
			t.Errorf("it was told %v", told)
		}
	})
}
