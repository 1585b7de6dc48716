package hostnet

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// simStreamBuffer is how many bytes one direction of a connection holds
	// before a write blocks.
	simStreamBuffer = 256 << 10
	simBacklog      = 4096
	// simDialTimeout is when an unanswered Dial gives up, as Linux does.
	simDialTimeout = 127 * time.Second
)

// simListener is a TCP listener. The network's mutex guards it.
type simListener struct {
	host    *simHost
	local   netip.AddrPort
	wake    *sync.Cond
	backlog []*simConn
	closed  bool
	accept  deadline
}

func (h *simHost) Listen(_ context.Context, local netip.AddrPort) (net.Listener, error) {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	bound, err := h.bind(local, func(port uint16) bool { return h.tcp[port] != nil })
	if err != nil {
		return nil, opError("listen", nil, net.TCPAddrFromAddrPort(local), err)
	}
	l := &simListener{host: h, local: bound, wake: sync.NewCond(&h.sim.mu)}
	h.tcp[bound.Port()] = l
	return l, nil
}

func (l *simListener) Accept() (net.Conn, error) {
	l.host.sim.mu.Lock()
	defer l.host.sim.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, opError("accept", nil, l.Addr(), net.ErrClosed)
		case l.accept.passed:
			return nil, opError("accept", nil, l.Addr(), os.ErrDeadlineExceeded)
		case len(l.backlog) > 0:
			c := l.backlog[0]
			l.backlog = l.backlog[1:]
			return c, nil
		}
		l.wake.Wait()
	}
}

func (l *simListener) Close() error {
	l.host.sim.mu.Lock()
	defer l.host.sim.mu.Unlock()
	if l.closed {
		return opError("close", nil, l.Addr(), net.ErrClosed)
	}
	l.shut()
	return nil
}

func (l *simListener) shut() {
	l.closed = true
	l.accept.stop()
	delete(l.host.tcp, l.local.Port())
	for _, c := range l.backlog {
		c.shut(true)
	}
	l.wake.Broadcast()
}

func (l *simListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }

// SetDeadline is for Accept, as *net.TCPListener's is.
func (l *simListener) SetDeadline(t time.Time) error {
	mu := &l.host.sim.mu
	mu.Lock()
	defer mu.Unlock()
	l.accept.reset(mu, t, l.wake.Broadcast)
	return nil
}

func (h *simHost) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	c, err := h.dial(ctx, remote)
	if err != nil {
		return nil, opError("dial", nil, net.TCPAddrFromAddrPort(remote), err)
	}
	return c, nil
}

// Addrs implements Net.
func (h *simHost) Addrs() ([]netip.Addr, error) {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	if h.down {
		return nil, nil
	}
	var addrs []netip.Addr
	for _, a := range h.addrs {
		if matters(a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// dial waits for a handshake's one round trip, in which the SYN finds a
// listener, a host that refuses, or nobody.
func (h *simHost) dial(ctx context.Context, remote netip.AddrPort) (*simConn, error) {
	sim := h.sim
	sim.mu.Lock()
	addr, err := h.source(remote.Addr())
	if err == nil && h.dead {
		err = os.NewSyscallError("connect", syscall.ENETDOWN)
	}
	if err == nil {
		err = ctx.Err()
	}
	local := netip.AddrPort{}
	if err == nil {
		local, err = h.bind(netip.AddrPortFrom(addr, 0), func(port uint16) bool { return h.tcp[port] != nil })
	}
	if err != nil {
		sim.mu.Unlock()
		return nil, err
	}
	c := &simConn{host: h, local: local, remote: remote, wake: sync.NewCond(&sim.mu), dialled: true}
	c.route = h.route(local, remote.Addr())
	h.tcp[local.Port()] = c
	answer := make(chan error, 1)
	sim.after(c.route.latency(), func() {
		if err, answered := c.connect(); answered {
			sim.after(c.route.latency(), func() { answer <- err })
		}
	})
	sim.mu.Unlock()

	patience := time.NewTimer(simDialTimeout)
	defer patience.Stop()
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
		err = os.NewSyscallError("connect", syscall.ETIMEDOUT)
	}
	if err != nil {
		sim.mu.Lock()
		c.shut(true)
		sim.mu.Unlock()
		return nil, err
	}
	return c, nil
}

// connect is the SYN's arrival. It makes the other end of the connection and
// hands it to the listener.
func (c *simConn) connect() (err error, answered bool) {
	sim := c.host.sim
	if c.closed || !c.route.up() {
		return nil, false
	}
	h, refused := c.route.end()
	if refused {
		return os.NewSyscallError("connect", syscall.ECONNREFUSED), true
	}
	if h == nil {
		return nil, false
	}
	l, _ := h.tcp[c.remote.Port()].(*simListener)
	if l == nil || !l.takes(c.remote.Addr()) {
		return os.NewSyscallError("connect", syscall.ECONNREFUSED), true
	}
	if len(l.backlog) >= simBacklog {
		return nil, false
	}
	far := &simConn{host: h, route: c.route, local: c.remote, remote: c.route.seen, wake: sync.NewCond(&sim.mu), peer: c}
	c.peer = far
	c.in.owner, far.in.owner = c, far
	c.host.conns[c] = struct{}{}
	h.conns[far] = struct{}{}
	l.backlog = append(l.backlog, far)
	l.wake.Signal()
	return nil, true
}

func (l *simListener) takes(addr netip.Addr) bool {
	a := l.local.Addr()
	return !a.IsValid() || a.IsUnspecified() || a == addr.Unmap()
}

// simConn is one end of a TCP connection. The network's mutex guards it.
type simConn struct {
	host          *simHost
	route         *route // both ends' one
	local, remote netip.AddrPort
	dialled       bool // holds local's port
	peer          *simConn
	wake          *sync.Cond
	in            simStream
	failed        error     // ECONNRESET, once what arrived before it is read
	heard         time.Time // the other system, last
	closed        bool
	rd, wd        deadline
}

// simStream is what one end receives.
type simStream struct {
	owner  *simConn
	buf    []byte // arrived
	queued int    // written by the peer and not read yet
	eof    bool
	held   []func()  // what waits for a cable to be put in again
	last   time.Time // arrival of the newest segment: the next never overtakes it
}

// carry has what happen at this end after the network's latency, in order. A
// router that has forgotten the connection answers with a reset.
func (s *simStream) carry(what func()) {
	c := s.owner
	sim := c.host.sim
	if c.route.gone {
		if !c.route.silent {
			sim.after(2*c.route.latency(), func() { c.peer.fail(syscall.ECONNRESET) })
		}
		return
	}
	delay := max(c.route.latency(), time.Until(s.last))
	if delay > 0 {
		s.last = time.Now().Add(delay)
	}
	sim.after(delay, func() {
		s.held = append(s.held, what)
		s.release()
	})
}

// release lets happen what was held, if everything between both hosts is on the
// network.
func (s *simStream) release() {
	c := s.owner
	for len(s.held) > 0 && !c.peer.host.down && !c.host.down && c.route.up() {
		what := s.held[0]
		s.held = s.held[1:]
		// A segment for a host that has lost its power vanishes; the host
		// that was put in its place knows nothing of the connection.
		switch {
		case c.route.gone:
		case !c.host.dead:
			c.heard, c.peer.heard = time.Now(), time.Now() // the peer by the acknowledgement
			what()
		case c.host.network.host(c.local.Addr()) != nil:
			c.peer.fail(syscall.ECONNRESET)
		}
	}
}

func (c *simConn) Read(b []byte) (int, error) {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.opError("read", net.ErrClosed)
		case c.rd.passed:
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(c.in.buf) > 0:
			n := copy(b, c.in.buf)
			c.in.buf = c.in.buf[n:]
			c.in.queued -= n
			c.peer.wake.Broadcast()
			return n, nil
		case c.failed != nil:
			return 0, c.opError("read", os.NewSyscallError("read", c.failed))
		case c.in.eof:
			return 0, io.EOF
		}
		c.wake.Wait()
	}
}

func (c *simConn) Write(b []byte) (int, error) {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	written := 0
	for {
		switch {
		case written > 0 && written == len(b):
			return written, nil // whatever became of it meanwhile
		case c.closed:
			return written, c.opError("write", net.ErrClosed)
		case c.wd.passed:
			return written, c.opError("write", os.ErrDeadlineExceeded)
		case c.failed != nil:
			return written, c.opError("write", os.NewSyscallError("write", c.failed))
		case written == len(b):
			return written, nil
		}
		room := simStreamBuffer - c.peer.in.queued
		if room <= 0 {
			c.wake.Wait()
			continue
		}
		segment := append([]byte(nil), b[written:min(len(b), written+room)]...)
		written += len(segment)
		c.peer.in.queued += len(segment)
		c.peer.in.carry(func() { c.peer.segment(segment) })
	}
}

// segment is the arrival of bytes. A closed end answers them with a reset.
func (c *simConn) segment(b []byte) {
	if c.closed {
		c.peer.in.carry(func() { c.peer.fail(syscall.ECONNRESET) })
		return
	}
	c.in.buf = append(c.in.buf, b...)
	c.wake.Broadcast()
}

// fail is the arrival of a reset.
func (c *simConn) fail(err error) {
	if c.failed == nil && !c.closed {
		c.failed = err
	}
	c.wake.Broadcast()
}

func (c *simConn) Close() error {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.shut(false)
	return nil
}

// shut closes this end. The other end reads to the end of what was written, or
// is reset if the program was killed or left bytes unread.
func (c *simConn) shut(killed bool) {
	if c.closed {
		return
	}
	c.closed = true
	c.rd.stop()
	c.wd.stop()
	if c.dialled {
		delete(c.host.tcp, c.local.Port())
		c.route.free()
	}
	delete(c.host.conns, c)
	c.wake.Broadcast()
	if c.peer == nil || c.host.dead {
		return
	}
	reset := killed || len(c.in.buf) > 0
	c.peer.in.carry(func() {
		if reset {
			c.peer.fail(syscall.ECONNRESET)
			return
		}
		c.peer.in.eof = true
		c.peer.wake.Broadcast()
	})
}

func (c *simConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *simConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *simConn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.rd, &c.wd) }
func (c *simConn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.rd) }
func (c *simConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.wd) }

func (c *simConn) setDeadlines(t time.Time, ds ...*deadline) error {
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

func (c *simConn) opError(op string, err error) error {
	return opError(op, c.LocalAddr(), c.RemoteAddr(), err)
}
