package relay

import (
	"encoding/base64"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

// Addr is a device as a net.Addr. It is comparable.
type Addr struct{ Device identity.PublicKey }

// Network implements net.Addr.
func (Addr) Network() string { return "relay" }

// String is the key in base64 (RFC 4648, 5), so that it is another one for each
// device; QUIC compares addresses by it, for each packet. The zero Addr is the
// near end of every path.
func (a Addr) String() string {
	if a == (Addr{}) {
		return "here"
	}
	return base64.RawURLEncoding.EncodeToString(a.Device[:])
}

var (
	errAddr = errors.New("this is no address of the relay")
	// near is the socket's own address, in a box for everyone.
	near net.Addr = Addr{}
)

const (
	// maxUnread is how many bytes wait to be read, and leastCost what a packet
	// counts at least, since each has a buffer.
	maxUnread = 256 << 10
	leastCost = 256
)

// socket is the net.PacketConn of a Client.
type socket struct {
	c *Client

	mu      sync.Mutex // guards what follows
	wake    *sync.Cond // for readers
	packets []packet   // from first on
	first   int
	cost    int
	closed  bool
	// readPassed says that the deadline for reading has; readTimer has it do
	// so, unless another deadline has been set.
	readPassed bool
	readTimer  *time.Timer
	writeBy    time.Time
}

type packet struct {
	from   net.Addr
	size   int
	buffer *[wire.MaxPacket]byte
}

func (p packet) cost() int { return max(p.size, leastCost) }

var buffers = sync.Pool{New: func() any { return new([wire.MaxPacket]byte) }}

func newSocket(c *Client) *socket {
	s := &socket{c: c}
	s.wake = sync.NewCond(&s.mu)
	return s
}

// put takes a packet that has arrived, or drops it.
func (s *socket) put(from net.Addr, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := packet{from: from, size: len(b)}
	if s.closed || s.cost+p.cost() > maxUnread {
		return
	}
	p.buffer = buffers.Get().(*[wire.MaxPacket]byte)
	copy(p.buffer[:], b)
	if s.first > 0 && len(s.packets) == cap(s.packets) {
		n := copy(s.packets, s.packets[s.first:])
		clear(s.packets[n:])
		s.packets, s.first = s.packets[:n], 0
	}
	s.packets = append(s.packets, p)
	s.cost += p.cost()
	s.wake.Signal()
}

// ReadFrom implements net.PacketConn. What is larger than b is cut short.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, nil, opError("read", nil, net.ErrClosed)
		case s.readPassed:
			return 0, nil, opError("read", nil, os.ErrDeadlineExceeded)
		case s.first < len(s.packets):
			p := s.packets[s.first]
			s.packets[s.first] = packet{}
			if s.first++; s.first == len(s.packets) {
				s.packets, s.first = s.packets[:0], 0
			}
			s.cost -= p.cost()
			n := copy(b, p.buffer[:p.size])
			buffers.Put(p.buffer)
			return n, p.from, nil
		}
		s.wake.Wait()
	}
}

// WriteTo implements net.PacketConn. to is an Addr.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	closed, late := s.closed, !s.writeBy.IsZero() && !time.Now().Before(s.writeBy)
	s.mu.Unlock()
	addr, ok := to.(Addr)
	switch {
	case closed:
		return 0, opError("write", to, net.ErrClosed)
	case late:
		return 0, opError("write", to, os.ErrDeadlineExceeded)
	case !ok:
		return 0, opError("write", to, errAddr)
	case len(b) > wire.MaxPacket:
		return 0, opError("write", to, os.NewSyscallError("sendto", syscall.EMSGSIZE))
	}
	s.c.send(&addr.Device, b)
	return len(b), nil
}

// Close implements net.PacketConn. The Client and its connection stay.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return opError("close", nil, net.ErrClosed)
	}
	s.closed, s.packets, s.first = true, nil, 0
	s.stopTimer()
	s.wake.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn. It is the zero Addr.
func (s *socket) LocalAddr() net.Addr { return near }

// SetDeadline implements net.PacketConn.
func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetWriteDeadline(t); err != nil {
		return err
	}
	return s.SetReadDeadline(t)
}

// SetReadDeadline implements net.PacketConn. A deadline in the past comes
// before what has arrived.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return opError("set", nil, net.ErrClosed)
	}
	s.stopTimer()
	d := time.Until(t)
	if s.readPassed = !t.IsZero() && d <= 0; s.readPassed {
		s.wake.Broadcast()
	}
	if d > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(d, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.readTimer == timer {
				s.readPassed = true
				s.wake.Broadcast()
			}
		})
		s.readTimer = timer
	}
	return nil
}

func (s *socket) stopTimer() {
	if s.readTimer != nil {
		s.readTimer.Stop()
		s.readTimer = nil
	}
}

// SetWriteDeadline implements net.PacketConn.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return opError("set", nil, net.ErrClosed)
	}
	s.writeBy = t
	return nil
}

// SetReadBuffer does nothing: the size is fixed. QUIC logs a warning about a
// socket without it.
func (s *socket) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing: the size is fixed.
func (s *socket) SetWriteBuffer(int) error { return nil }

func opError(op string, to net.Addr, err error) error {
	return &net.OpError{Op: op, Net: near.Network(), Source: near, Addr: to, Err: err}
}
