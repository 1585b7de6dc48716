package hostnet_test

import (
	"context"
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
)

var (
	hostOne = netip.MustParseAddr("10.0.0.1")
	hostTwo = netip.MustParseAddr("10.0.0.2")
)

// simTest runs f in fake time with two hosts.
func simTest(t *testing.T, f func(b bed, sim *hostnet.Sim)) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		f(bed{t, sim.Host(hostOne), sim.Host(hostTwo), hostOne, hostTwo}, sim)
	})
}

func TestSimLoss(t *testing.T) {
	simTest(t, func(b bed, sim *hostnet.Sim) {
		c := b.packets(b.b, netip.AddrPortFrom(hostTwo, 5000))
		from := b.connected(b.a, netip.AddrPortFrom(hostTwo, 5000))
		sim.Loss(func(src, dst netip.AddrPort, text []byte) bool {
			if src != hostnet.AddrPort(from.LocalAddr()) || dst != netip.AddrPortFrom(hostTwo, 5000) {
				b.Errorf("asked about %v to %v", src, dst)
			}
			sim.Latency(0) // the hook may use the network
			return string(text) == "lost"
		})
		for _, text := range []string{"lost", "found"} {
			_, err := from.Write([]byte(text))
			b.ok(err)
		}
		b.read(c, "found")
	})
}

func TestSimLatency(t *testing.T) {
	simTest(t, func(b bed, sim *hostnet.Sim) {
		sim.Latency(70 * time.Millisecond)
		start := time.Now()
		took := func(what string, want time.Duration) {
			b.Helper()
			if got := time.Since(start); got != want {
				b.Errorf("%s took %v, want %v", what, got, want)
			}
			start = time.Now()
		}
		c := b.packets(b.b, netip.AddrPortFrom(hostTwo, 5000))
		from := b.connected(b.a, netip.AddrPortFrom(hostTwo, 5000))
		for _, text := range []string{"1", "2", "3"} {
			_, err := from.Write([]byte(text))
			b.ok(err)
		}
		for _, text := range []string{"1", "2", "3"} {
			b.read(c, text)
		}
		took("a datagram", 70*time.Millisecond)
		near, far := b.pair()
		took("a dial", 140*time.Millisecond)
		_, err := near.Write([]byte("slow"))
		b.ok(err)
		sim.Latency(10 * time.Millisecond)
		_, err = near.Write([]byte("fast"))
		b.ok(err)
		b.ok(near.Close())
		got, err := io.ReadAll(far)
		b.ok(err)
		if string(got) != "slowfast" {
			b.Errorf("bytes overtook each other: %q", got)
		}
		took("a segment", 70*time.Millisecond)
	})
}

func TestSimDown(t *testing.T) {
	simTest(t, func(b bed, sim *hostnet.Sim) {
		near, far := b.pair()
		c := b.connected(b.a, netip.AddrPortFrom(hostTwo, 5000)) // a closed port
		sim.Down(hostTwo, true)
		_, err := c.Write([]byte("x"))
		b.ok(err)
		_, err = c.Read(make([]byte, 1)) // nobody says that the port is closed
		b.is(err, os.ErrDeadlineExceeded)

		b.ok(far.SetDeadline(time.Time{}))
		_, err = far.Write([]byte("kept"))
		b.ok(err)
		b.ok(far.Close())
		ctx, cancel := context.WithTimeout(b.Context(), 3*time.Second)
		defer cancel()
		_, err = b.a.Dial(ctx, netip.AddrPortFrom(hostTwo, 5000))
		b.is(err, context.DeadlineExceeded)
		b.ok(near.SetDeadline(time.Now().Add(time.Second)))
		_, err = near.Read(make([]byte, 1))
		b.is(err, os.ErrDeadlineExceeded)

		sim.Down(hostTwo, false)
		b.ok(near.SetDeadline(time.Now().Add(time.Second)))
		got, err := io.ReadAll(near)
		b.ok(err)
		if string(got) != "kept" {
			b.Errorf("read %q", got)
		}
	})
}

func TestSimUnknownHost(t *testing.T) {
	simTest(t, func(b bed, _ *hostnet.Sim) {
		nobody := netip.MustParseAddrPort("10.9.9.9:1")
		c := b.connected(b.a, nobody)
		for range 2 {
			_, err := c.Write([]byte("x"))
			b.ok(err)
		}
		_, err := c.Read(make([]byte, 1))
		b.is(err, os.ErrDeadlineExceeded)
		_, err = b.a.Dial(b.Context(), nobody)
		b.is(err, syscall.ETIMEDOUT)
		_, err = b.a.Dial(b.Context(), netip.MustParseAddrPort("[2001:db8::1]:1"))
		b.is(err, syscall.ENETUNREACH)
	})
}

func TestSimKill(t *testing.T) {
	simTest(t, func(b bed, sim *hostnet.Sim) {
		near, far := b.pair()
		server := b.packets(b.b, netip.AddrPortFrom(hostTwo, 5000))
		c := b.connected(b.a, netip.AddrPortFrom(hostTwo, 5000))
		sim.Kill(hostTwo)
		_, err := far.Read(make([]byte, 1))
		b.is(err, net.ErrClosed)
		_, _, err = server.ReadFrom(make([]byte, 1))
		b.is(err, net.ErrClosed)
		for _, conn := range []net.Conn{near, c} { // the others hear nothing
			b.ok(conn.SetDeadline(time.Now().Add(time.Minute)))
			_, err = conn.Write([]byte("x"))
			b.ok(err)
			_, err = conn.Read(make([]byte, 1))
			b.is(err, os.ErrDeadlineExceeded)
		}
		_, err = b.b.ListenPacket(b.Context(), netip.AddrPortFrom(hostTwo, 5000))
		b.is(err, syscall.ENETDOWN)

		sim.Host(hostTwo) // the machine is back, and knows nothing of before
		b.ok(c.SetDeadline(time.Now().Add(time.Minute)))
		_, err = c.Write([]byte("x"))
		b.ok(err)
		_, err = c.Read(make([]byte, 1))
		b.is(err, syscall.ECONNREFUSED)
		b.ok(near.SetDeadline(time.Now().Add(time.Minute)))
		_, err = near.Write([]byte("x"))
		b.ok(err)
		_, err = near.Read(make([]byte, 1))
		b.is(err, syscall.ECONNRESET)
	})
}

func TestSimCrashAndCut(t *testing.T) {
	for name, fault := range map[string]func(*hostnet.Sim){
		"crash": func(s *hostnet.Sim) { s.Crash(hostTwo) },
		"cut":   func(s *hostnet.Sim) { s.CutTCP(hostTwo) },
	} {
		t.Run(name, func(t *testing.T) {
			simTest(t, func(b bed, sim *hostnet.Sim) {
				near, far := b.pair()
				server := b.packets(b.b, netip.AddrPortFrom(hostTwo, 5000))
				c := b.connected(b.a, netip.AddrPortFrom(hostTwo, 5000))
				fault(sim)
				_, err := near.Read(make([]byte, 1))
				b.is(err, syscall.ECONNRESET)
				_, err = c.Write([]byte("still there?"))
				b.ok(err)
				if name == "cut" {
					_, err = far.Read(make([]byte, 1))
					b.is(err, syscall.ECONNRESET)
					b.read(server, "still there?")
					return
				}
				_, err = far.Read(make([]byte, 1))
				b.is(err, net.ErrClosed)
				_, err = c.Read(make([]byte, 1))
				b.is(err, syscall.ECONNREFUSED)
				b.packets(b.b, netip.AddrPortFrom(hostTwo, 5000)) // the program starts again
			})
		})
	}
}

// TestSimListenerCloseResets holds that a connection nobody accepted dies with
// its listener.
func TestSimListenerCloseResets(t *testing.T) {
	simTest(t, func(b bed, _ *hostnet.Sim) {
		l := b.listen(b.b, netip.AddrPortFrom(hostTwo, 0))
		near, err := b.a.Dial(b.Context(), hostnet.AddrPort(l.Addr()))
		b.ok(err)
		defer near.Close()
		b.ok(l.Close())
		_, err = near.Read(make([]byte, 1))
		b.is(err, syscall.ECONNRESET)
	})
}

func TestSimDualStack(t *testing.T) {
	simTest(t, func(b bed, sim *hostnet.Sim) {
		four, six := netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("fd00::3")
		both := sim.Host(four, six)
		if sim.Host(six) != both {
			b.Fatal("one address, two hosts")
		}
		far := sim.Host(netip.MustParseAddr("fd00::4"))
		everywhere := b.packets(both, netip.AddrPortFrom(netip.IPv6Unspecified(), 7))
		for _, from := range []struct {
			net hostnet.Net
			to  netip.Addr
		}{{b.a, four}, {far, six}} {
			c := b.connected(from.net, netip.AddrPortFrom(from.to, 7))
			_, err := c.Write([]byte("hello"))
			b.ok(err)
			b.read(everywhere, "hello")
		}
	})
}

func TestSimPortsRunOut(t *testing.T) {
	simTest(t, func(b bed, _ *hostnet.Sim) {
		for range 16384 {
			c, err := b.a.ListenPacket(b.Context(), netip.AddrPortFrom(hostOne, 0))
			b.ok(err)
			defer c.Close()
		}
		_, err := b.a.ListenPacket(b.Context(), netip.AddrPortFrom(hostOne, 0))
		b.is(err, syscall.EADDRINUSE)
	})
}

// TestSimConcurrent gives the race detector something to look at, in real time.
func TestSimConcurrent(t *testing.T) {
	sim := hostnet.NewSim()
	sim.Latency(50 * time.Microsecond)
	server, client := sim.Host(hostOne), sim.Host(hostTwo)
	l, err := server.Listen(t.Context(), netip.AddrPortFrom(hostOne, 80))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			wg.Go(func() { _, _ = io.Copy(c, c); c.Close() })
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 20 {
				c, err := client.Dial(t.Context(), netip.AddrPortFrom(hostOne, 80))
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.WriteString(c, "echo"); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
					t.Error(err)
				}
				c.Close()
			}
		})
	}
	clients.Wait()
	l.Close()
	wg.Wait()
}
