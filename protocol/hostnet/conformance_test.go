package hostnet_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is two programs on a network: on one host for the operating system, on
// one or two for the simulation.
type bed struct {
	*testing.T
	a, b         hostnet.Net
	aAddr, bAddr netip.Addr
}

// TestConformance holds the operating system's network and the simulated one to
// the same behaviour.
func TestConformance(t *testing.T) {
	cases := []struct {
		name        string
		run         func(b bed)
		sameAddress bool // a is known to b by the address that it knows itself
	}{
		{"datagrams carry bytes and addresses", datagrams, true},
		{"an unspecified address listens everywhere", unspecified, true},
		{"a UDP port in use is an error", udpPortInUse, false},
		{"a TCP port in use is an error", tcpPortInUse, false},
		{"a foreign address can't be bound", foreignAddress, false},
		{"a connected socket speaks from the address it was given", dialFrom, true},
		{"a connected socket hears only its peer", connectedHearsPeer, true},
		{"a closed port refuses a connected reader", refusedRead, false},
		{"a closed port refuses a connected writer", refusedWrite, false},
		{"a closed port says nothing to an unconnected socket", unconnectedNotRefused, false},
		{"a short buffer ends nothing", shortBuffer, false},
		{"a full buffer drops", fullBufferDrops, false},
		{"a datagram can be too large", tooLarge, false},
		{"many datagrams are written at once", segments, false},
		{"a closed port refuses many datagrams", segmentsRefused, false},
		{"UDP deadlines", udpDeadlines, false},
		{"TCP deadlines", tcpDeadlines, false},
		{"closing wakes readers", closeWakes, false},
		{"a connection carries bytes and its end", stream, true},
		{"what was written before the close is read", closeAfterWrite, false},
		{"a connection carries more than its buffer", largeStream, false},
		{"nobody listens", nobodyListens, false},
		{"a dial can be cancelled", cancelledDial, false},
		{"writing to a closed end fails in the end", writeToClosed, false},
		{"a port is free again once closed", reuse, false},
		{"a host knows its addresses", ownAddresses, false},
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	one, two := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, c := range cases {
		t.Run("os/"+c.name, func(t *testing.T) {
			c.run(bed{t, hostnet.OS, hostnet.OS, loopback, loopback})
		})
		t.Run("sim, one host/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				c.run(bed{t, sim.Host(one), sim.Host(one), one, one})
			})
		})
		t.Run("sim, behind a router/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := hostnet.NewSim().NAT(netip.MustParseAddr("192.0.2.1"), hostnet.EasyNAT())
				c.run(bed{t, r.Host(one), r.Host(two), one, two})
			})
		})
		t.Run("sim, out through a router/"+c.name, func(t *testing.T) {
			if c.sameAddress {
				return
			}
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				r := sim.NAT(netip.MustParseAddr("192.0.2.1"), hostnet.HardNAT())
				c.run(bed{t, r.Host(one), sim.Host(two), one, two})
			})
		})
		t.Run("sim, two hosts, latency/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				sim.Latency(3 * time.Millisecond)
				c.run(bed{t, sim.Host(one), sim.Host(two), one, two})
			})
		})
	}
}

func (b bed) packets(n hostnet.Net, local netip.AddrPort) net.PacketConn {
	b.Helper()
	c, err := n.ListenPacket(b.Context(), local)
	b.ok(err)
	b.Cleanup(func() { c.Close() })
	b.ok(c.SetDeadline(time.Now().Add(5 * time.Second)))
	return c
}

func (b bed) connected(n hostnet.Net, remote netip.AddrPort) net.Conn {
	b.Helper()
	c, err := n.DialPacket(b.Context(), remote)
	b.ok(err)
	b.Cleanup(func() { c.Close() })
	b.ok(c.SetDeadline(time.Now().Add(5 * time.Second)))
	return c
}

func (b bed) listen(n hostnet.Net, local netip.AddrPort) net.Listener {
	b.Helper()
	l, err := n.Listen(b.Context(), local)
	b.ok(err)
	b.Cleanup(func() { l.Close() })
	return l
}

// pair returns both ends of a connection, the dialled one first.
func (b bed) pair() (near, far net.Conn) {
	b.Helper()
	l := b.listen(b.b, netip.AddrPortFrom(b.bAddr, 0))
	near, err := b.a.Dial(b.Context(), hostnet.AddrPort(l.Addr()))
	b.ok(err)
	far, err = l.Accept()
	b.ok(err)
	b.Cleanup(func() { near.Close(); far.Close() })
	b.ok(near.SetDeadline(time.Now().Add(5 * time.Second)))
	b.ok(far.SetDeadline(time.Now().Add(5 * time.Second)))
	return near, far
}

func (b bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// is wants an error of package net's shape that wraps target.
func (b bed) is(err, target error) {
	b.Helper()
	if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, target) {
		b.Fatalf("got error %v, want a *net.OpError with %v", err, target)
	}
}

func (b bed) read(c net.PacketConn, want string) netip.AddrPort {
	b.Helper()
	buf := make([]byte, 100)
	n, from, err := c.ReadFrom(buf)
	b.ok(err)
	if string(buf[:n]) != want {
		b.Fatalf("read %q, want %q", buf[:n], want)
	}
	if _, ok := from.(*net.UDPAddr); !ok {
		b.Fatalf("the sender's address is a %T", from)
	}
	return hostnet.AddrPort(from)
}

func datagrams(b bed) {
	at, bt := b.packets(b.a, netip.AddrPortFrom(b.aAddr, 0)), b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	aAt, bAt := hostnet.AddrPort(at.LocalAddr()), hostnet.AddrPort(bt.LocalAddr())
	if aAt.Port() == 0 || aAt == bAt {
		b.Fatalf("bound to %v and %v", aAt, bAt)
	}
	for _, text := range []string{"one", "two", ""} {
		n, err := at.WriteTo([]byte(text), net.UDPAddrFromAddrPort(bAt))
		b.ok(err)
		if n != len(text) {
			b.Fatalf("wrote %d bytes of %q", n, text)
		}
	}
	for _, text := range []string{"one", "two", ""} {
		if from := b.read(bt, text); from != aAt {
			b.Fatalf("came from %v, want %v", from, aAt)
		}
	}
	_, err := bt.WriteTo([]byte("back"), net.UDPAddrFromAddrPort(aAt))
	b.ok(err)
	b.read(at, "back")
}

func unspecified(b bed) {
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		everywhere := b.packets(b.b, netip.AddrPortFrom(any, 0))
		port := hostnet.AddrPort(everywhere.LocalAddr()).Port()
		c := b.connected(b.a, netip.AddrPortFrom(b.bAddr, port))
		_, err := c.Write([]byte("hello"))
		b.ok(err)
		from := b.read(everywhere, "hello")
		if from != hostnet.AddrPort(c.LocalAddr()) || from.Addr() != b.aAddr {
			b.Fatalf("came from %v, want %v", from, c.LocalAddr())
		}
		_, err = everywhere.WriteTo([]byte("answer"), net.UDPAddrFromAddrPort(from))
		b.ok(err)
		buf := make([]byte, 10)
		n, err := c.Read(buf)
		b.ok(err)
		if string(buf[:n]) != "answer" {
			b.Fatalf("read %q", buf[:n])
		}
	}
}

func udpPortInUse(b bed) {
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	_, err := b.b.ListenPacket(b.Context(), hostnet.AddrPort(c.LocalAddr()))
	b.is(err, syscall.EADDRINUSE)
	b.listen(b.b, hostnet.AddrPort(c.LocalAddr())) // TCP's ports are others
}

func tcpPortInUse(b bed) {
	l := b.listen(b.b, netip.AddrPortFrom(b.bAddr, 0))
	_, err := b.b.Listen(b.Context(), hostnet.AddrPort(l.Addr()))
	b.is(err, syscall.EADDRINUSE)
}

func foreignAddress(b bed) {
	foreign := netip.MustParseAddrPort("192.0.2.7:0")
	_, err := b.a.ListenPacket(b.Context(), foreign)
	b.is(err, syscall.EADDRNOTAVAIL)
	_, err = b.a.Listen(b.Context(), foreign)
	b.is(err, syscall.EADDRNOTAVAIL)
}

func connectedHearsPeer(b bed) {
	peer, stranger := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0)), b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	c := b.connected(b.a, hostnet.AddrPort(peer.LocalAddr()))
	if hostnet.AddrPort(c.RemoteAddr()) != hostnet.AddrPort(peer.LocalAddr()) {
		b.Fatalf("connected to %v", c.RemoteAddr())
	}
	_, err := stranger.WriteTo([]byte("forged"), c.LocalAddr())
	b.ok(err)
	_, err = peer.WriteTo([]byte("true"), c.LocalAddr())
	b.ok(err)
	buf := make([]byte, 10)
	n, err := c.Read(buf)
	b.ok(err)
	if string(buf[:n]) != "true" {
		b.Fatalf("read %q", buf[:n])
	}
}

// closedPort returns the address of a socket that was closed.
func (b bed) closedPort() netip.AddrPort {
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	b.ok(c.Close())
	return hostnet.AddrPort(c.LocalAddr())
}

func refusedRead(b bed) {
	c := b.connected(b.a, b.closedPort())
	_, err := c.Write([]byte("x"))
	b.ok(err)
	_, err = c.Read(make([]byte, 10))
	b.is(err, syscall.ECONNREFUSED)
	b.ok(c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)))
	_, err = c.Read(make([]byte, 10)) // it is reported once
	b.is(err, os.ErrDeadlineExceeded)
}

func refusedWrite(b bed) {
	c := b.connected(b.a, b.closedPort())
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := c.Write([]byte("x"))
		if err != nil {
			b.is(err, syscall.ECONNREFUSED)
			return
		}
		if time.Now().After(deadline) {
			b.Fatal("the closed port was never reported")
		}
		turn := time.NewTimer(time.Millisecond) // ICMP is on its way
		<-turn.C
	}
}

func unconnectedNotRefused(b bed) {
	c := b.packets(b.a, netip.AddrPortFrom(b.aAddr, 0))
	closed := net.UDPAddrFromAddrPort(b.closedPort())
	for range 3 {
		_, err := c.WriteTo([]byte("x"), closed)
		b.ok(err)
	}
	b.ok(c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)))
	_, _, err := c.ReadFrom(make([]byte, 10))
	b.is(err, os.ErrDeadlineExceeded)
}

func shortBuffer(b bed) {
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	from := b.connected(b.a, hostnet.AddrPort(c.LocalAddr()))
	for _, text := range []string{"12345", "next"} {
		_, err := from.Write([]byte(text))
		b.ok(err)
	}
	buf := make([]byte, 4)
	n, _, err := c.ReadFrom(buf)
	b.ok(err)
	if string(buf[:n]) == "1234" { // otherwise it is lost
		n, _, err = c.ReadFrom(buf)
		b.ok(err)
	}
	if string(buf[:n]) != "next" {
		b.Fatalf("read %q", buf[:n])
	}
}

func fullBufferDrops(b bed) {
	const sent = 5000
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	from := b.connected(b.a, hostnet.AddrPort(c.LocalAddr()))
	for range sent {
		_, err := from.Write(make([]byte, 1000))
		b.ok(err)
	}
	b.ok(c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)))
	got := 0
	for buf := make([]byte, 2000); ; got++ {
		if _, _, err := c.ReadFrom(buf); err != nil {
			b.is(err, os.ErrDeadlineExceeded)
			break
		}
	}
	if got == 0 || got == sent {
		b.Fatalf("%d of %d datagrams were kept", got, sent)
	}
}

func tooLarge(b bed) {
	c := b.connected(b.a, netip.AddrPortFrom(b.bAddr, 9))
	_, err := c.Write(make([]byte, 65508))
	b.is(err, syscall.EMSGSIZE)
}

func udpDeadlines(b bed) {
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	from := b.connected(b.a, hostnet.AddrPort(c.LocalAddr()))
	start := time.Now()
	b.ok(c.SetReadDeadline(start.Add(30 * time.Millisecond)))
	_, _, err := c.ReadFrom(make([]byte, 1))
	b.is(err, os.ErrDeadlineExceeded)
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		b.Fatalf("%v is no timeout", err)
	}
	if d := time.Since(start); d < 30*time.Millisecond {
		b.Fatalf("the deadline passed after %v", d)
	}
	// A deadline in the past wakes a reader, and comes before what has arrived.
	b.ok(c.SetReadDeadline(time.Time{}))
	woken := make(chan error)
	go func() { _, _, err := c.ReadFrom(make([]byte, 1)); woken <- err }()
	b.ok(c.SetReadDeadline(time.Unix(1, 0)))
	b.is(<-woken, os.ErrDeadlineExceeded)
	_, err = from.Write([]byte("late"))
	b.ok(err)
	_, _, err = c.ReadFrom(make([]byte, 1))
	b.is(err, os.ErrDeadlineExceeded)
	b.ok(c.SetReadDeadline(time.Now().Add(5 * time.Second)))
	b.read(c, "late")
}

func tcpDeadlines(b bed) {
	near, far := b.pair()
	b.ok(near.SetReadDeadline(time.Now().Add(20 * time.Millisecond)))
	_, err := near.Read(make([]byte, 1))
	b.is(err, os.ErrDeadlineExceeded)
	b.ok(far.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)))
	_, err = far.Write(make([]byte, 64<<20)) // more than anyone buffers
	b.is(err, os.ErrDeadlineExceeded)
}

func closeWakes(b bed) {
	near, _ := b.pair()
	c := b.packets(b.a, netip.AddrPortFrom(b.aAddr, 0))
	l := b.listen(b.a, netip.AddrPortFrom(b.aAddr, 0))
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() { _, errs[0] = near.Read(make([]byte, 1)) })
	wg.Go(func() { _, _, errs[1] = c.ReadFrom(make([]byte, 1)) })
	wg.Go(func() { _, errs[2] = l.Accept() })
	for _, closer := range []io.Closer{near, c, l} {
		b.ok(closer.Close())
		b.is(closer.Close(), net.ErrClosed)
	}
	wg.Wait()
	for _, err := range errs {
		b.is(err, net.ErrClosed)
	}
}
