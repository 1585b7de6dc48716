// Package stun tells whoever asks at which address the coordinator sees them:
// STUN binding requests (RFC 8489), and as much of NAT behaviour discovery (RFC
// 5780) as one IP address can do.
//
// Nobody can have it send anything to a third party that they could not send
// themselves: an answer goes to the source of its request only, is never larger
// than that, and each address has a rate. A request that would have a larger
// answer is dropped, so a client makes its requests large enough (PADDING).
//
// A request may carry a USERNAME, the token of a device that is logged in. Since
// a source can be forged, that alone says nothing about where the device is:
// the answer to it carries a cookie (Cookie), and only a request that brings
// the cookie for its own address, and token, makes the device seen there.
package stun

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/hostnet"
	"earshot/svc/limit"
)

// Limits of what an address, and one request, can do.
const (
	// perSecond is the rate of an address: of an office behind one NAT with a
	// thousand people who are all back at once after a restart, each with
	// half a dozen requests. As little as it costs to answer, it bounds what a
	// forger can have reflected, byte for byte.
	perSecond = 2000
	burst     = 2 * time.Second
	// maxRequest is the largest request that is read, in bytes: a datagram
	// that no network cuts into fragments.
	maxRequest = 1500
	// maxToken is the longest USERNAME that is a token, in bytes.
	maxToken = 64
)

// ErrConfig is the family of settings that can't be used.
var ErrConfig = errors.New("this setting can't be used")

// Config is what a Server stands on.
type Config struct {
	// Main is the coordinator's UDP socket, which somebody else reads, who
	// hands over what Is says is STUN. It is written to, and never closed.
	Main net.PacketConn
	// Second is another port of the same address, which Run reads, and closes
	// when it ends. A NAT that maps by destination shows by it.
	Second net.PacketConn
	// Third is a port that nobody ever asks, so that no NAT has a hole for it:
	// requests for an answer from another port (CHANGE-REQUEST) are answered
	// through it. Any free port will do, open to nothing from outside. Run
	// closes it. nil has those answers leave through the other one of the first
	// two, where a client that has asked both learns little from them.
	Third net.PacketConn
	// Seen is told which device was seen where: whoever holds this token got an
	// answer there. It is called before the answer is sent, without locks held,
	// for each such request, and must not wait. nil is nobody.
	Seen func(token string, at netip.AddrPort)
	Log  *slog.Logger
	// Metrics registers the collectors; nil registers none.
	Metrics prometheus.Registerer
}

// Server answers requests. Its methods may be called by several goroutines.
type Server struct {
	cfg     Config
	metrics *metrics
	main    port
	second  port
	third   port
	scratch sync.Pool // of *exchange

	mu      sync.Mutex // guards what follows; nothing is sent under it
	rate    limit.Rate
	cookies cookies
}

// New returns a server that answers once Handle or Run is called. It owns
// Second and Third from the call of Run on.
func New(cfg Config) (*Server, error) {
	if cfg.Main == nil || cfg.Second == nil {
		return nil, errors.Join(ErrConfig, errors.New("STUN needs two sockets"))
	}
	s := &Server{
		cfg:     cfg,
		metrics: newMetrics(),
		main:    newPort(cfg.Main),
		second:  newPort(cfg.Second),
		rate:    limit.NewRate(perSecond, burst),
		cookies: newCookies(),
	}
	if cfg.Third != nil {
		s.third = newPort(cfg.Third)
	}
	s.scratch.New = func() any { return new(exchange) }
	return s, s.metrics.all.Register(cfg.Metrics)
}

// Run answers what comes to Second until ctx ends; then it closes Second and
// Third and returns nil. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	reading.Go(func() { s.receive(ctx) })
	<-ctx.Done()
	s.cfg.Second.Close()
	if s.cfg.Third != nil {
		s.cfg.Third.Close()
	}
	reading.Wait()
	return nil
}

// receive reads Second until it is closed.
func (s *Server) receive(ctx context.Context) {
	buf := make([]byte, maxRequest+1)
	for {
		n, from, err := s.second.read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.metrics.drop("read error")
			hostnet.Pause(ctx, time.Millisecond)
			continue
		}
		s.handle(buf[:n], from, time.Now(), &s.second)
	}
}

// Handle answers a datagram that came to Main, if it is a request. It keeps
// nothing of the datagram.
func (s *Server) Handle(datagram []byte, from netip.AddrPort, now time.Time) {
	s.handle(datagram, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now, &s.main)
}

// handle answers a datagram that came to a port.
func (s *Server) handle(datagram []byte, from netip.AddrPort, now time.Time, to *port) {
	s.metrics.received.Inc()
	if !from.Addr().IsValid() || from.Addr().IsUnspecified() || from.Port() == 0 {
		s.metrics.drop("no source")
		return
	}
	s.mu.Lock()
	allowed := s.rate.Allow(from.Addr(), now)
	s.mu.Unlock()
	if !allowed {
		s.metrics.drop("rate")
		return
	}
	x := s.scratch.Get().(*exchange)
	defer s.scratch.Put(x)
	if why := x.read(datagram); why != "" {
		s.metrics.drop(why)
		return
	}
	proven := false
	if len(x.token) > 0 {
		s.mu.Lock()
		x.offered = s.cookies.of(from.Addr(), x.token, now)
		proven = x.cookie != nil && s.cookies.valid(x.cookie, from.Addr(), x.token, now)
		s.mu.Unlock()
	}
	if why := x.reply(from, len(datagram)); why != "" {
		s.metrics.drop(why)
		return
	}
	if proven && !x.failed {
		s.metrics.seen.Inc()
		if s.cfg.Seen != nil {
			s.cfg.Seen(string(x.token), from)
		}
	}
	via := to
	if x.otherPort && !x.failed {
		via = s.other(to)
	}
	if err := via.write(x.answer.Raw, from); err != nil {
		s.metrics.sendErrors.Inc()
		return
	}
	s.metrics.answered.Inc()
}

// other is the port through which a request for another one is answered.
func (s *Server) other(to *port) *port {
	switch {
	case s.third.write != nil:
		return &s.third
	case to == &s.main:
		return &s.second
	}
	return &s.main
}

// port is a socket that is used without allocation where it can.
type port struct {
	read  func([]byte) (int, netip.AddrPort, error)
	write func([]byte, netip.AddrPort) error
}

func newPort(c net.PacketConn) port {
	if u, ok := c.(interface {
		ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
		WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	}); ok {
		return port{
			read: func(b []byte) (int, netip.AddrPort, error) {
				n, from, err := u.ReadFromUDPAddrPort(b)
				return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
			},
			write: func(b []byte, to netip.AddrPort) error {
				_, err := u.WriteToUDPAddrPort(b, to)
				return err
			},
		}
	}
	return port{
		read: func(b []byte) (int, netip.AddrPort, error) {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return 0, netip.AddrPort{}, err
			}
			return n, hostnet.AddrPort(from), nil
		},
		write: func(b []byte, to netip.AddrPort) error {
			_, err := c.WriteTo(b, net.UDPAddrFromAddrPort(to))
			return err
		},
	}
}
