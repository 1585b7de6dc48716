package hostnet_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"
)

var (
	natPublic  = netip.MustParseAddr("198.51.100.10")
	natInsideA = netip.MustParseAddr("192.168.1.2")
	natInsideB = netip.MustParseAddr("192.168.1.3")
	natServer1 = netip.MustParseAddr("203.0.113.1")
	natServer2 = netip.MustParseAddr("203.0.113.2")
)

// natBed is two hosts behind a router, and two on the core.
type natBed struct {
	*testing.T
	sim    *hostnet.Sim
	router *hostnet.Router
	a, b   hostnet.Net // behind it
	s1, s2 hostnet.Net // outside
}

func inNAT(t *testing.T, cfg hostnet.NATConfig, test func(n natBed)) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		r := sim.NAT(natPublic, cfg)
		test(natBed{t, sim, r, r.Host(natInsideA), r.Host(natInsideB), sim.Host(natServer1), sim.Host(natServer2)})
	})
}

// sock opens a socket on all addresses of a host.
func sock(t testing.TB, n hostnet.Net, port uint16) net.PacketConn {
	t.Helper()
	c, err := n.ListenPacket(t.Context(), netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (n natBed) sock(on hostnet.Net, port uint16) net.PacketConn {
	n.Helper()
	return sock(n.T, on, port)
}

func (n natBed) say(c net.PacketConn, to netip.AddrPort, text string) {
	n.Helper()
	n.sayTTL(c, to, text, 0)
}

func (n natBed) sayTTL(c net.PacketConn, to netip.AddrPort, text string, ttl int) {
	n.Helper()
	if err := hostnet.WriteTTL(c, []byte(text), to, ttl); err != nil {
		n.Fatal(err)
	}
}

// hear returns what arrives, and the zero address if nothing does.
func (n natBed) hear(c net.PacketConn) (from netip.AddrPort, text string) {
	n.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		n.Fatal(err)
	}
	buf := make([]byte, 100)
	size, addr, err := c.ReadFrom(buf)
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		n.Fatal(err)
	}
	if err != nil {
		return netip.AddrPort{}, ""
	}
	return hostnet.AddrPort(addr), string(buf[:size])
}

// heard wants text, or nothing at all, to arrive.
func (n natBed) heard(c net.PacketConn, text string, want bool, what string) netip.AddrPort {
	n.Helper()
	from, got := n.hear(c)
	if from.IsValid() != want || want && got != text {
		n.Errorf("%s: heard %q from %v, want that it arrives: %v", what, got, from, want)
	}
	return from
}

// seen sends to a socket at the core and returns from where it came.
func (n natBed) seen(c, at net.PacketConn, addr netip.Addr) netip.AddrPort {
	n.Helper()
	n.say(c, netip.AddrPortFrom(addr, hostnet.AddrPort(at.LocalAddr()).Port()), "who am I")
	return n.heard(at, "who am I", true, "a packet outwards")
}

// TestNATBehaviour holds every combination to RFC 4787, by packets.
func TestNATBehaviour(t *testing.T) {
	for _, mapping := range []hostnet.Mapping{hostnet.EndpointIndependent, hostnet.AddressDependent, hostnet.AddressPortDependent} {
		for _, filter := range []hostnet.Filtering{hostnet.FilterEndpointIndependent, hostnet.FilterAddress, hostnet.FilterAddressPort} {
			for _, preserve := range []bool{false, true} {
				for _, hairpin := range []bool{false, true} {
					cfg := hostnet.NATConfig{Mapping: mapping, Filtering: filter, PreservePorts: preserve, Hairpin: hairpin}
					t.Run(fmt.Sprintf("mapping %d, filter %d, preserve %v, hairpin %v", mapping, filter, preserve, hairpin), func(t *testing.T) {
						inNAT(t, cfg, func(n natBed) { n.maps(cfg) })
						inNAT(t, cfg, func(n natBed) { n.filters(cfg) })
						inNAT(t, cfg, func(n natBed) { n.hairpins(cfg) })
					})
				}
			}
		}
	}
}

// maps: REQ-1 (mapping), REQ-2 (one address), REQ-3 (no port is shared).
func (n natBed) maps(cfg hostnet.NATConfig) {
	at, at2, other := n.sock(n.s1, 7000), n.sock(n.s1, 7001), n.sock(n.s2, 7000)
	first := n.sock(n.a, 5000)
	ports := func(c net.PacketConn) (p [3]uint16) {
		for i, to := range []struct {
			c    net.PacketConn
			addr netip.Addr
		}{{at, natServer1}, {at2, natServer1}, {other, natServer2}} {
			from := n.seen(c, to.c, to.addr)
			if again := n.seen(c, to.c, to.addr); from != again || from.Addr() != natPublic {
				n.Errorf("seen as %v, then as %v", from, again)
			}
			p[i] = from.Port()
		}
		return p
	}
	p := ports(first)
	if cfg.PreservePorts && p != [3]uint16{5000, 5000, 5000} {
		n.Errorf("the port 5000 is not preserved: %v", p)
	}
	if !cfg.PreservePorts && (p[0] == 5000 || p[1] == 5000 || p[2] == 5000) {
		n.Errorf("the port 5000 is preserved: %v", p)
	}
	// Another host's socket of the same port: none of its ports is the first's.
	q := ports(n.sock(n.b, 5000))
	if p[0] == q[0] || p[1] == q[1] || p[2] == q[2] {
		n.Errorf("both hosts are seen at %v and %v", p, q)
	}
	for _, p := range [][3]uint16{p, q} {
		if cfg.PreservePorts && p[0] == 5000 {
			continue // says nothing about the mapping
		}
		same := [2]bool{p[0] == p[1], p[0] == p[2]}
		want := map[hostnet.Mapping][2]bool{
			hostnet.EndpointIndependent: {true, true}, hostnet.AddressDependent: {true, false}, hostnet.AddressPortDependent: {false, false},
		}[cfg.Mapping]
		if same != want {
			n.Errorf("ports are %v", p)
		}
	}
	// Everybody's answer finds the right host.
	n.say(at, netip.AddrPortFrom(natPublic, p[0]), "for a")
	n.heard(first, "for a", true, "an answer")
}

// filters: REQ-8.
func (n natBed) filters(cfg hostnet.NATConfig) {
	at, at2, other := n.sock(n.s1, 7000), n.sock(n.s1, 7001), n.sock(n.s2, 7000)
	c, silent := n.sock(n.a, 5000), n.sock(n.b, 5001)
	for port := range uint16(100) {
		n.say(at, netip.AddrPortFrom(natPublic, 4950+port), "too early")
	}
	n.heard(c, "", false, "a packet that comes first")
	n.heard(silent, "", false, "a packet that comes first")
	to := n.seen(c, at, natServer1)
	n.say(at, to, "1")
	n.heard(c, "1", true, "an answer")
	n.say(at2, to, "2")
	n.heard(c, "2", cfg.Filtering != hostnet.FilterAddressPort, "a packet from another port")
	n.say(other, to, "3")
	n.heard(c, "3", cfg.Filtering == hostnet.FilterEndpointIndependent, "a packet from another address")
	n.seen(c, other, natServer2)
	n.say(other, to, "4")
	// With a dependent mapping the leave is for another port.
	n.heard(c, "4", cfg.Filtering == hostnet.FilterEndpointIndependent || cfg.Mapping == hostnet.EndpointIndependent || cfg.PreservePorts,
		"a packet from who was spoken to later")
}

// hairpins: REQ-9.
func (n natBed) hairpins(cfg hostnet.NATConfig) {
	at := n.sock(n.s1, 7000)
	c, d := n.sock(n.a, 5000), n.sock(n.b, 5001)
	atC, atD := n.seen(c, at, natServer1), n.seen(d, at, natServer1)
	n.say(c, netip.AddrPortFrom(natPublic, 1), "leave for the address")
	n.say(c, atD, "leave for the port")
	n.hear(d)
	before := n.router.Mappings()
	n.say(d, atC, "round the corner")
	predictable := cfg.Mapping == hostnet.EndpointIndependent || cfg.PreservePorts
	want := cfg.Hairpin && (cfg.Filtering == hostnet.FilterEndpointIndependent || predictable)
	from := n.heard(c, "round the corner", want, "a packet to the router's own address")
	if want && (from.Addr() != natPublic || predictable && from != atD) {
		n.Errorf("it came from %v, want the outer address, like %v", from, atD)
	}
	if after := n.router.Mappings(); !cfg.Hairpin && after != before {
		n.Errorf("%d mappings, then %d", before, after)
	}
}

// TestNATTimeout: REQ-5, and that packets outwards keep a mapping (REQ-6).
func TestNATTimeout(t *testing.T) {
	cases := []struct {
		name     string
		cfg      hostnet.NATConfig
		answer   bool
		lives    time.Duration
		outlives time.Duration
	}{
		{"unanswered", hostnet.EasyNAT(), false, 29 * time.Second, 31 * time.Second},
		{"answered", hostnet.EasyNAT(), true, 119 * time.Second, 121 * time.Second},
		{"configured", hostnet.NATConfig{Timeout: time.Minute}, true, 59 * time.Second, 61 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inNAT(t, c.cfg, func(n natBed) {
				at, inside := n.sock(n.s1, 7000), n.sock(n.a, 5000)
				open := func() netip.AddrPort {
					to := n.seen(inside, at, natServer1)
					if c.answer {
						n.say(at, to, "answer")
						n.heard(inside, "answer", true, "an answer")
					}
					return to
				}
				to := open()
				time.Sleep(c.lives)
				open() // which starts the time again
				time.Sleep(c.lives)
				n.say(at, to, "in time")
				n.heard(inside, "in time", true, "a packet in time")
				if n.router.Mappings() != 1 {
					n.Errorf("%d mappings", n.router.Mappings())
				}
				open()
				// Packets inwards don't keep it.
				time.Sleep(c.lives)
				n.say(at, to, "in time again")
				n.heard(inside, "in time again", true, "a packet in time")
				time.Sleep(max(c.outlives, 121*time.Second))
				n.say(at, to, "late")
				n.heard(inside, "", false, "a packet too late")
				if n.router.Mappings() != 0 {
					n.Errorf("%d mappings", n.router.Mappings())
				}
			})
		})
	}
}

// TestNATPortsRunOut fills a router's ports: more sockets are not heard of, until
// mappings time out.
func TestNATPortsRunOut(t *testing.T) {
	inNAT(t, hostnet.NATConfig{Timeout: time.Hour}, func(n natBed) {
		open := 0
		for i := range 4 { // hosts have 16,384 ports each for sockets without a number
			h := n.router.Host(netip.AddrFrom4([4]byte{192, 168, 2, byte(i + 1)}))
			for range 16384 {
				n.say(n.sock(h, 0), netip.AddrPortFrom(natServer1, 7), "x")
				open++
			}
		}
		if got := n.router.Mappings(); got >= open || got > 1<<16-1024 || got < 60000 {
			n.Fatalf("%d mappings for %d sockets", got, open)
		}
		time.Sleep(time.Hour)
		n.seen(n.sock(n.a, 5000), n.sock(n.s1, 7000), natServer1)
		if got := n.router.Mappings(); got != 1 {
			n.Errorf("%d mappings an hour later", got)
		}
	})
}

// TestNATPortForOne: a port that a socket was given for one destination only is
// not another socket's for all of them.
func TestNATPortForOne(t *testing.T) {
	inNAT(t, hostnet.NATConfig{PreservePorts: true, AdmitsUnsolicited: true, Filtering: hostnet.FilterAddressPort}, func(n natBed) {
		at, other, c := n.sock(n.s1, 7000), n.sock(n.s2, 7000), n.sock(n.a, 5000)
		usual := n.seen(c, other, natServer2)
		n.say(at, usual, "unsolicited")
		own := n.seen(c, at, natServer1)
		if own == usual || n.seen(c, at, natServer1) != own || n.seen(c, other, natServer2) != usual {
			n.Errorf("seen as %v by one, as %v by the other", own, usual)
		}
		if from := n.seen(n.sock(n.b, own.Port()), other, natServer2); from == own {
			n.Errorf("%v is given to two sockets", own)
		}
		n.say(at, own, "answer")
		n.heard(c, "answer", true, "an answer to the port for one")
	})
}

// TestNATIsDeterministic: chance gives the same ports and losses each time, and
// others for another seed.
func TestNATIsDeterministic(t *testing.T) {
	run := func(seed uint64) (trace string) {
		synctest.Test(t, func(t *testing.T) {
			sim := hostnet.NewSim()
			if seed != 0 {
				sim.Seed(seed)
			}
			r := sim.NAT(natPublic, hostnet.HardNAT())
			r.Lossy(0.5, 0)
			n := natBed{T: t, sim: sim, router: r, a: r.Host(natInsideA), s1: sim.Host(natServer1)}
			at, c := n.sock(n.s1, 7000), n.sock(n.a, 5000)
			for port := range uint16(20) {
				n.say(c, netip.AddrPortFrom(natServer1, 7000), fmt.Sprint(port))
				from, text := n.hear(at)
				trace += fmt.Sprint(from, text, " ")
			}
		})
		return trace
	}
	if a, b := run(0), run(0); a != b {
		t.Errorf("twice the same:\n%s\n%s", a, b)
	}
	if a, b := run(0), run(77); a == b {
		t.Errorf("two seeds:\n%s\n%s", a, b)
	}
}
