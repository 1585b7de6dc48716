// Package relay carries packets between devices that reach each other by no
// other way. The packets are QUIC's, encrypted end to end, and nothing of them
// is looked at, logged or kept.
//
// Nobody is reached by it who did not ask: a packet goes from one device to
// another only while both have opened each other, each on its own connection.
// It comes out once, and as large as it went in.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
	"earshot/svc/limit"
)

// ErrConfig is the family of settings that can't be used.
var ErrConfig = errors.New("this setting can't be used")

// ErrEnded is the family of reasons why a connection was ended by the relay.
var ErrEnded = errors.New("the relay has ended the connection")

var (
	// ErrFull is a connection beyond Limits.MaxConnections.
	ErrFull = fmt.Errorf("%w: there are too many", ErrEnded)
	// ErrReplaced is a connection whose device has made another one.
	ErrReplaced = fmt.Errorf("%w: the device has made another one", ErrEnded)
	// ErrForgotten is a connection whose device belongs to nobody any more.
	ErrForgotten = fmt.Errorf("%w: the device belongs to nobody any more", ErrEnded)
	// ErrSilent is a connection without a whole frame for a minute.
	ErrSilent = fmt.Errorf("%w: nothing was heard", ErrEnded)
	// ErrSlow is a connection that takes nothing.
	ErrSlow = fmt.Errorf("%w: nothing was taken", ErrEnded)
	// ErrFlood is a connection with too many frames that are no packets.
	ErrFlood = fmt.Errorf("%w: there were too many requests", ErrEnded)
)

const (
	// burst is how far a device may be ahead of its rate.
	burst = 4 * time.Second
	// floodFactor is how many times its rate is read from a device; the rest
	// waits in its own buffers. What is between the two is dropped, by which
	// QUIC finds its rate.
	floodFactor = 4
	// requestCost is what a frame costs that is no packet: 100 a second, and
	// requestBurst's worth at once.
	requestCost  = 10 * time.Millisecond
	requestBurst = 10 * time.Second
	// silentTime is how long a connection may be without a whole frame, and
	// writeTime how long it may take nothing.
	silentTime = 60 * time.Second
	writeTime  = 20 * time.Second
	// maxAccounts bounds the devices of which is known what they had carried
	// today.
	maxAccounts = 1 << 16
)

// Limits bound what devices can do. A zero is its default.
type Limits struct {
	MaxConnections int // 10,000
	// MaxOpen is how many devices one may have open: 64.
	MaxOpen int
	// BytesPerSecond is how much one device may send, of packets: 2 MiB. It may
	// be 4 s ahead of that.
	BytesPerSecond int
	// BytesPerDay is how much of one device's packets is carried in one day of
	// UTC: 10 GiB.
	BytesPerDay int64
}

// WithDefaults replaces zeros. The error belongs to ErrConfig.
func (l Limits) WithDefaults() (Limits, error) {
	if l.BytesPerDay == 0 {
		l.BytesPerDay = 10 << 30
	}
	if l.BytesPerDay < 0 {
		return l, fmt.Errorf("%w: the limit BytesPerDay is %d; it must be positive, or 0 for its default", ErrConfig, l.BytesPerDay)
	}
	return l, limit.SetDefaults(ErrConfig,
		limit.Default{Name: "MaxConnections", Value: &l.MaxConnections, Fallback: 10_000},
		limit.Default{Name: "MaxOpen", Value: &l.MaxOpen, Fallback: 64},
		limit.Default{Name: "BytesPerSecond", Value: &l.BytesPerSecond, Fallback: 2 << 20})
}

// Config is what a Server stands on.
type Config struct {
	Limits Limits
	Log    *slog.Logger // nil for none
	// Metrics registers the collectors; nil registers none.
	Metrics prometheus.Registerer
}

// Server carries packets. Its methods may be called by several goroutines.
type Server struct {
	cfg     Config
	metrics *metrics

	// mu guards what follows and every conn's open, and is held during nothing
	// that waits. Packets go without it.
	mu       sync.Mutex
	conns    map[identity.PublicKey]*conn
	accounts map[identity.PublicKey]*account
	swept    time.Time // when accounts was last looked through
}

// New checks cfg and starts nothing. The error belongs to ErrConfig, or is
// that of a metric which is registered already.
func New(cfg Config) (*Server, error) {
	limits, err := cfg.Limits.WithDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Limits = limits
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, metrics: newMetrics(),
		conns:    make(map[identity.PublicKey]*conn),
		accounts: make(map[identity.PublicKey]*account),
	}
	return s, s.metrics.all.Register(cfg.Metrics)
}

// Serve carries one device's connection until it ends or ctx does, and returns
// why: nil if the device has closed it or ctx has ended, an error of ErrEnded,
// wire.ErrFrame or the network's otherwise. The caller has done TLS and knows
// that the device belongs to somebody; it closes conn afterwards. Another
// connection of the device ends this one.
func (s *Server) Serve(ctx context.Context, network net.Conn, device identity.PublicKey) error {
	c := &conn{
		s: s, network: network, device: device, open: make(map[identity.PublicKey]*wish),
		states: make(map[identity.PublicKey]wire.Status), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := s.enter(c); err != nil {
		s.metrics.end(err)
		return err
	}
	defer s.leave(c)
	defer context.AfterFunc(ctx, func() { c.end(nil) })()
	var writing sync.WaitGroup
	writing.Go(c.write)
	c.end(c.read())
	writing.Wait()
	if c.cause != nil {
		s.metrics.end(c.cause)
	}
	return c.cause
}

// Forget ends the connection of a device, because it belongs to nobody any
// more.
func (s *Server) Forget(device identity.PublicKey) {
	s.mu.Lock()
	c := s.conns[device]
	s.mu.Unlock()
	if c != nil {
		c.end(ErrForgotten)
	}
}

// enter makes c its device's connection.
func (s *Server) enter(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.conns[c.device]; old != nil {
		s.remove(old)
		old.end(ErrReplaced)
	}
	if len(s.conns) >= s.cfg.Limits.MaxConnections {
		return ErrFull
	}
	now := time.Now()
	c.account = s.account(c.device, now)
	c.overQuota = c.account.over(now, s.cfg.Limits.BytesPerDay)
	s.conns[c.device] = c
	s.metrics.connections.Inc()
	return nil
}

// leave is the end of a connection.
func (s *Server) leave(c *conn) {
	c.queue.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// remove has a connection be nobody's, and tells those who had it open. mu is
// held.
func (s *Server) remove(c *conn) {
	if s.conns[c.device] != c {
		return // replaced
	}
	delete(s.conns, c.device)
	s.metrics.connections.Dec()
	for device, w := range c.open {
		w.peer.Store(nil)
		if other := s.conns[device]; other != nil && other.open[c.device] != nil {
			s.settle(other, c.device, false)
		}
	}
	if c.account.unused() {
		delete(s.accounts, c.device)
	}
}

// request is a device's OPEN or CLOSE. It is called by c's reader only.
func (s *Server) request(c *conn, device identity.PublicKey, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.conns[c.device] != c:
	case open && device == c.device:
		c.tell(device, wire.Gone) // nobody needs a relay for that
	case open:
		if c.open[device] == nil {
			if len(c.open) >= s.cfg.Limits.MaxOpen {
				c.tell(device, wire.Full)
				return
			}
			c.open[device] = new(wish)
		}
		s.settle(c, device, true)
	case c.open[device] != nil:
		delete(c.open, device)
		s.settle(c, device, false)
	}
}

// review tells a device, and those with whom it has to do, how they stand now
// that its quota is used up, or no longer is.
func (s *Server) review(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.device] != c {
		return
	}
	for device := range c.open {
		s.settle(c, device, false)
	}
}

// settle finds out how a device and another one stand with each other, and
// tells those of them who want to know and don't yet; answer says that c is to
// be told in any case. mu is held.
func (s *Server) settle(c *conn, device identity.PublicKey, answer bool) {
	other := s.conns[device]
	mine, theirs := c.open[device], (*wish)(nil)
	if other != nil {
		theirs = other.open[c.device]
	}
	status := wire.Gone
	if mine != nil && theirs != nil {
		now := time.Now()
		status = wire.Ready
		if c.account.over(now, s.cfg.Limits.BytesPerDay) || other.account.over(now, s.cfg.Limits.BytesPerDay) {
			status = wire.OverQuota
		}
	}
	if mine != nil {
		mine.set(c, device, other, status, answer)
	}
	if theirs != nil {
		theirs.set(other, c.device, c, status, false)
	}
}

// account returns what is known of what a device had carried. mu is held.
func (s *Server) account(device identity.PublicKey, now time.Time) *account {
	if a := s.accounts[device]; a != nil {
		return a
	}
	if len(s.accounts) >= maxAccounts {
		s.sweep(now)
	}
	a := new(account)
	s.accounts[device] = a
	return a
}

// sweep makes room for another account: those of yesterday go, and if there are
// none, any one whose device isn't there. mu is held.
func (s *Server) sweep(now time.Time) {
	if now.Sub(s.swept) >= time.Minute {
		s.swept = now
		for device, a := range s.accounts {
			if s.conns[device] == nil && a.old(now) {
				delete(s.accounts, device)
			}
		}
	}
	for device := range s.accounts {
		if len(s.accounts) < maxAccounts {
			return
		}
		if s.conns[device] == nil {
			delete(s.accounts, device)
		}
	}
}
