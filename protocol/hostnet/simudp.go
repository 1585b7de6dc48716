package hostnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// simReadBuffer is what a UDP socket holds for its reader, in bytes, as
	// Linux's default; each datagram costs simDatagramCost on top of its own
	// bytes.
	simReadBuffer   = 212992
	simDatagramCost = 512
	simMaxDatagram  = 65507
	simTTL          = 64
)

// simPacketConn is a UDP socket: a net.PacketConn, and a net.Conn when remote
// is set. The network's mutex guards it.
type simPacketConn struct {
	host   *simHost
	local  netip.AddrPort
	remote netip.AddrPort // of a connected socket
	wake   *sync.Cond
	queue  []simDatagram
	queued int   // bytes of buffer in use
	icmp   error // what the next read or write of a connected socket returns
	closed bool
	rd, wd deadline
}

// packet is a datagram on its way.
type packet struct {
	from, to netip.AddrPort // as they are on the network that it is on
	b        []byte
	ttl      int
	took     time.Duration // until now
	sender   *simPacketConn
}

// simDatagram is one that has arrived.
type simDatagram struct {
	from netip.AddrPort
	b    []byte
}

func (h *simHost) ListenPacket(_ context.Context, local netip.AddrPort) (net.PacketConn, error) {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	c, err := h.packetConn("listen", local, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (h *simHost) DialPacket(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	h.sim.mu.Lock()
	local, err := h.source(remote.Addr())
	h.sim.mu.Unlock()
	if err != nil {
		return nil, opError("dial", nil, net.UDPAddrFromAddrPort(remote), err)
	}
	return h.DialPacketFrom(ctx, local, remote)
}

func (h *simHost) DialPacketFrom(_ context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	c, err := h.packetConn("dial", netip.AddrPortFrom(local, 0), remote)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (h *simHost) packetConn(op string, local, remote netip.AddrPort) (*simPacketConn, error) {
	bound, err := h.bind(local, func(port uint16) bool { return h.udp[port] != nil })
	if err != nil {
		return nil, opError(op, nil, net.UDPAddrFromAddrPort(local), err)
	}
	c := &simPacketConn{host: h, local: bound, remote: remote, wake: sync.NewCond(&h.sim.mu)}
	h.udp[bound.Port()] = c
	return c, nil
}

func (c *simPacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.receive(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

func (c *simPacketConn) Read(b []byte) (int, error) {
	n, _, err := c.receive(b)
	return n, err
}

func (c *simPacketConn) receive(b []byte) (int, netip.AddrPort, error) {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	for {
		if err := c.broken(&c.rd); err != nil {
			return 0, netip.AddrPort{}, c.opError("read", err)
		}
		if len(c.queue) > 0 {
			d := c.queue[0]
			c.queue[0] = simDatagram{}
			c.queue = c.queue[1:]
			c.queued -= len(d.b) + simDatagramCost
			return copy(b, d.b), d.from, nil
		}
		c.wake.Wait()
	}
}

// broken returns what a read or write must report before it does anything.
func (c *simPacketConn) broken(d *deadline) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case d.passed:
		return os.ErrDeadlineExceeded
	case c.icmp != nil:
		err := c.icmp
		c.icmp = nil
		return err
	}
	return nil
}

func (c *simPacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	remote := AddrPort(to)
	switch {
	case c.remote.IsValid():
		return 0, c.opError("write", net.ErrWriteToConnected)
	case !remote.IsValid():
		return 0, c.opError("write", net.InvalidAddrError("not a UDP address"))
	}
	return c.send(b, remote, simTTL)
}

func (c *simPacketConn) Write(b []byte) (int, error) { return c.send(b, c.remote, simTTL) }

// WriteTTL is what the function of that name does.
func (c *simPacketConn) WriteTTL(b []byte, to netip.AddrPort, ttl int) error {
	if c.remote.IsValid() {
		return c.opError("write", net.ErrWriteToConnected)
	}
	_, err := c.send(b, to, ttl)
	return err
}

func (c *simPacketConn) send(b []byte, to netip.AddrPort, ttl int) (int, error) {
	sim := c.host.sim
	sim.mu.Lock()
	defer sim.mu.Unlock()
	if err := c.broken(&c.wd); err != nil {
		return 0, c.opError("write", err)
	}
	if len(b) > simMaxDatagram {
		return 0, c.opError("write", os.NewSyscallError("write", syscall.EMSGSIZE))
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	from := c.local
	if !from.Addr().IsValid() || from.Addr().IsUnspecified() {
		addr, err := c.host.source(to.Addr())
		if err != nil {
			return 0, c.opError("write", err)
		}
		from = netip.AddrPortFrom(addr, from.Port())
	}
	c.host.network.carry(packet{from: from, to: to, b: append([]byte(nil), b...), ttl: ttl, sender: c}, &c.host.attachment)
	return len(b), nil
}

// deliver puts a datagram into the socket that it is for.
func (h *simHost) deliver(p packet) {
	c := h.udp[p.to.Port()]
	if c == nil || !c.takes(p.from, p.to) {
		p.refuse()
		return
	}
	cost := len(p.b) + simDatagramCost
	if c.queued+cost > simReadBuffer {
		return
	}
	c.queued += cost
	c.queue = append(c.queue, simDatagram{p.from, p.b})
	c.wake.Signal()
}

// refuse tells a connected sender by ICMP that nobody is at the port.
func (p packet) refuse() {
	c := p.sender
	if !c.remote.IsValid() {
		return
	}
	c.host.sim.after(p.took, func() {
		if !c.host.down && !c.host.dead {
			c.icmp = os.NewSyscallError("read", syscall.ECONNREFUSED)
			c.wake.Broadcast()
		}
	})
}

func (c *simPacketConn) takes(from, to netip.AddrPort) bool {
	if a := c.local.Addr(); a.IsValid() && !a.IsUnspecified() && a != to.Addr().Unmap() {
		return false
	}
	return !c.remote.IsValid() || c.remote == from
}

func (c *simPacketConn) Close() error {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.shut()
	return nil
}

func (c *simPacketConn) shut() {
	c.closed = true
	c.rd.stop()
	c.wd.stop()
	delete(c.host.udp, c.local.Port())
	c.wake.Broadcast()
}

func (c *simPacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// RemoteAddr is nil for a socket that is not connected.
func (c *simPacketConn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.remote)
}

func (c *simPacketConn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.rd, &c.wd)
}
func (c *simPacketConn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.rd) }
func (c *simPacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.wd) }

func (c *simPacketConn) setDeadlines(t time.Time, ds ...*deadline) error {
	mu := &c.host.sim.mu
	mu.Lock()
	defer mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	for _, d := range ds {
		d.reset(mu, t, c.wake.Broadcast)
	}
	return nil
}

func (c *simPacketConn) opError(op string, err error) error {
	return opError(op, c.LocalAddr(), c.RemoteAddr(), err)
}
