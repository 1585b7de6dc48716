package classic

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/limit"
)

// receiveBuffer is what the kernel is asked to hold for the reader, in bytes:
// some thousand logins that arrive at once.
const receiveBuffer = 4 << 20

// maxGroup is the largest message to everyone, in bytes as it came.
const maxGroup = 8 << 10

// checkVerb begins the datagrams of self-checks. The number behind it is
// random and good once.
const checkVerb = "check,"

// receive reads datagrams until the socket is closed.
func (s *Server) receive(ctx context.Context) {
	if c, ok := s.cfg.Packet.(interface{ SetReadBuffer(int) error }); ok {
		// The kernel may give less; a login that is lost is repeated.
		_ = c.SetReadBuffer(receiveBuffer)
	}
	read := datagramReader(s.cfg.Packet)
	buf := make([]byte, wire.MaxDatagram+1)
	for {
		n, from, err := read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.metrics.drop("read error")
			hostnet.Pause(ctx, time.Millisecond)
			continue
		}
		s.metrics.received.Inc()
		s.handle(ctx, from, buf[:n], time.Now())
	}
}

// datagramReader reads without allocating where the socket can.
func datagramReader(c net.PacketConn) func([]byte) (int, netip.AddrPort, error) {
	if u, ok := c.(interface {
		ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	}); ok {
		return func(b []byte) (int, netip.AddrPort, error) {
			n, from, err := u.ReadFromUDPAddrPort(b)
			return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
		}
	}
	return func(b []byte) (int, netip.AddrPort, error) {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return 0, netip.AddrPort{}, err
		}
		return n, hostnet.AddrPort(from), nil
	}
}

// handle does what one datagram asks for. Whatever is not a message that a
// client may send ends here.
func (s *Server) handle(ctx context.Context, from netip.AddrPort, datagram []byte, now time.Time) {
	if number, ok := strings.CutPrefix(string(datagram[:min(len(datagram), 32)]), checkVerb); ok {
		s.checked(number)
		return
	}
	if !s.rates.datagrams.Allow(from.Addr(), now) {
		s.metrics.drop("rate")
		return
	}
	if s.cfg.Other != nil && s.cfg.Other(datagram, from, now) {
		return
	}
	m, encoding, err := wire.ParseDatagram(datagram)
	if err != nil {
		if errors.Is(err, wire.ErrUnknownVerb) {
			s.metrics.drop("unknown verb")
		} else {
			s.metrics.drop("malformed")
		}
		return
	}
	switch m := m.(type) {
	case wire.Login:
		s.login(ctx, from.Addr(), encoding, m, now)
	case wire.Why:
		s.why(from.Addr(), encoding, m, now)
	case wire.Logout:
		s.logout(from.Addr(), m)
	case wire.Alive:
		s.echo(from.Addr(), m, now)
	case wire.Group:
		s.group(from.Addr(), m, len(datagram), now)
	case wire.SpeaksQuery:
		s.speaks(from, encoding, m)
	default:
		s.metrics.drop("not for a coordinator")
	}
}

// logout is honoured only from the address that logged in.
func (s *Server) logout(source netip.Addr, m wire.Logout) {
	key := wire.NameKey(m.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	u, l := s.users[key], s.logins[key]
	if (u == nil || u.source != source) && (l == nil || l.source != source) {
		s.metrics.drop("logout of somebody else")
		return
	}
	if l != nil && l.source == source {
		s.drop(l)
	}
	if u != nil && u.source == source {
		s.leave(u, "logout")
	}
}

// echo is the answer to a probe.
func (s *Server) echo(source netip.Addr, m wire.Alive, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[wire.NameKey(m.Name)]
	if u == nil || u.source != source || u.endpoint != m.Endpoint {
		s.metrics.drop("echo of somebody else")
		return
	}
	u.echoes, u.heard = true, now
	u.unreachable = time.Time{}
}

// group has a message forwarded to everyone, its sender included, if it comes
// from an online user under that user's own name.
func (s *Server) group(source netip.Addr, m wire.Group, size int, now time.Time) {
	switch {
	case size > maxGroup:
		s.metrics.drop("too large")
		return
	case !s.rates.groups.Allow(source, now):
		s.metrics.drop("rate")
		return
	}
	s.mu.Lock()
	// A long date in front may hold commas; then the name stands further behind.
	mine := wire.Talk(m).ResolveSender(func(name string) bool {
		u := s.users[wire.NameKey(name)]
		return u != nil && u.source == source && u.name == name
	})
	u := s.users[wire.NameKey(mine.Sender)]
	ok := u != nil && u.source == source && u.name == mine.Sender
	s.mu.Unlock()
	if !ok {
		s.metrics.drop("group message of somebody else")
		return
	}
	select {
	case s.groups <- m:
	default:
		s.metrics.drop("too many group messages")
		return
	}
	if s.cfg.Group != nil {
		s.cfg.Group(mine.Sender, mine.Text)
	}
}

// speaks tells an online user's host which encoding another user speaks.
func (s *Server) speaks(from netip.AddrPort, encoding wire.Encoding, m wire.SpeaksQuery) {
	u, ok := s.encodingOf(m)
	s.mu.Lock()
	asker := s.perHost[limit.Host(from.Addr())] > 0 && s.isOnline(from.Addr())
	s.mu.Unlock()
	if !ok || !asker {
		s.metrics.drop("speaks of nobody, or by nobody")
		return
	}
	s.reply(from, encoding, u)
}

// encodingOf answers for whoever is online there, in either protocol.
func (s *Server) encodingOf(m wire.SpeaksQuery) (wire.Speaks, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[wire.NameKey(m.Name)]; u != nil {
		return wire.Speaks{Name: u.name, Encoding: u.encoding}, u.endpoint == m.Endpoint
	}
	u, online := s.cfg.Roster.Lookup(m.Name)
	return wire.Speaks{Name: u.Name, Encoding: u.Encoding}, online && u.Secure != nil && u.Endpoint == m.Endpoint
}

// isOnline says whether somebody is who logged in from this address. mu is held.
func (s *Server) isOnline(source netip.Addr) bool {
	for _, u := range s.online {
		if u.source == source {
			return true
		}
	}
	return false
}

// reply answers a question from the main socket.
func (s *Server) reply(to netip.AddrPort, encoding wire.Encoding, m wire.Message) {
	if _, err := s.cfg.Packet.WriteTo(encoding.Append(nil, m.String()), net.UDPAddrFromAddrPort(to)); err != nil {
		s.metrics.sendErrors.WithLabelValues("other").Inc()
		return
	}
	s.metrics.sent.Inc()
}

// RoundTrip sends a datagram to the server's own port, at addr, and returns
// when it came through the receiving loop and the locks of server and roster.
func (s *Server) RoundTrip(ctx context.Context, addr netip.AddrPort) error {
	number, done := rand.Uint64(), make(chan struct{})
	s.mu.Lock()
	s.checks[number] = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.checks, number)
	}()
	conn, err := s.cfg.Net.DialPacket(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A busy socket may lose one of them, as it may any datagram.
	repeat := time.NewTicker(200 * time.Millisecond)
	defer repeat.Stop()
	for {
		if _, err := conn.Write([]byte(checkVerb + strconv.FormatUint(number, 10))); err != nil {
			return err
		}
		select {
		case <-done:
			return nil
		case <-repeat.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) checked(number string) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		s.metrics.drop("malformed")
		return
	}
	s.cfg.Roster.Len()
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.checks[n]; done != nil {
		close(done)
		delete(s.checks, n)
	}
}
