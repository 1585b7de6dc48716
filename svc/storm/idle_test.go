package storm

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"earshot/p2p/control"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
)

// What goes round what a program sends, in bytes.
const (
	overUDP = 28 // IPv4 and UDP
	overTCP = 52 // IPv4 and TCP with a time stamp; an acknowledgement is just that
)

// metered is a host's network whose traffic is counted as it would be on an
// Ethernet's IP layer: each write to a TCP connection is a segment, which the
// other side acknowledges with one.
type metered struct {
	hostnet.Net
	out, in, packets atomic.Int64
}

func (m *metered) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	c, err := m.Net.Dial(ctx, remote)
	if err != nil {
		return nil, err
	}
	return &meteredConn{c, m}, nil
}

func (m *metered) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	c, err := m.Net.ListenPacket(ctx, local)
	if err != nil {
		return nil, err
	}
	return &meteredPackets{c, m}, nil
}

type meteredConn struct {
	net.Conn
	m *metered
}

func (c *meteredConn) Write(b []byte) (int, error) {
	c.m.out.Add(int64(len(b)) + overTCP)
	c.m.in.Add(overTCP)
	c.m.packets.Add(1)
	return c.Conn.Write(b)
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.m.in.Add(int64(n) + overTCP)
		c.m.out.Add(overTCP)
	}
	return n, err
}

type meteredPackets struct {
	net.PacketConn
	m *metered
}

func (c *meteredPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	c.m.out.Add(int64(len(b)) + overUDP)
	c.m.packets.Add(1)
	return c.PacketConn.WriteTo(b, to)
}

// WriteTTL is what hostnet's function of that name looks for.
func (c *meteredPackets) WriteTTL(b []byte, to netip.AddrPort, ttl int) error {
	c.m.out.Add(int64(len(b)) + overUDP)
	c.m.packets.Add(1)
	return hostnet.WriteTTL(c.PacketConn, b, to, ttl)
}

func (c *meteredPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	if err == nil {
		c.m.in.Add(int64(n) + overUDP)
	}
	return n, from, err
}

// contacts puts people on the roster who do nothing.
func (w *world) contacts(n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range n {
		key, name := identity.NewKey(), fmt.Sprintf("Contact %d", i)
		w.accounts.change(name, func(a *engine.Account) { a.Devices = []engine.Device{{Key: key.Public(), Label: "desk"}} })
		at := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		client, err := control.New(control.Config{
			Net: w.sim.Host(at), Host: "coordinator", Port: w.at.Port(), Key: key,
			Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{w.at.Addr()}, nil },
			Verify:  func(tls.ConnectionState) error { return nil },
			Hello: func(netip.Addr) *wire.Hello {
				return &wire.Hello{VersionMin: 1, VersionMax: 1, Name: name, Program: "storm", DeviceLabel: "desk"}
			},
		})
		if err != nil {
			w.Fatal(err)
		}
		running.Go(func() {
			if err := client.Run(ctx, func(control.Event) {}); err != nil {
				w.Errorf("%s: %v", name, err)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// A client that nobody talks with, with 200 people on its roster, is quiet on
// the network and lets its computer sleep.
func TestIdleTraffic(t *testing.T) {
	const people, hour, limit = 200, time.Hour, 30_000
	inWorldAt(t, publicServer, func(w *world) {
		stop := w.contacts(people)
		defer stop()
		router := w.sim.NAT(netip.MustParseAddr("203.0.113.20"), hostnet.EasyNAT())
		m := &metered{Net: router.Host(netip.MustParseAddr("192.168.2.2"))}
		ann := w.person("Ann", m, keys()[0])
		defer ann.stop()
		if !ann.await(time.Minute, func() bool { return ann.online && len(ann.people) >= people }) {
			t.Fatal("nobody is there")
		}
		settle(5 * time.Minute) // what a start has to find out
		out, in, packets := m.out.Load(), m.in.Load(), m.packets.Load()
		settle(hour)
		out, in, packets = m.out.Load()-out, m.in.Load()-in, m.packets.Load()-packets
		t.Logf("in an hour %d bytes went out, in %d packets, and %d came in", out, packets, in)
		if out > limit || in > limit {
			t.Errorf("more than %d bytes an hour", limit)
		}
		if every := hour / time.Duration(max(packets, 1)); every < 20*time.Second {
			t.Errorf("something is sent each %v", every)
		}
	})
}
