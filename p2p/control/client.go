package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/p2p/trunk"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Event is what a Client tells its owner, in the order in which it took effect.
type Event interface{ event() }

type (
	// Connecting says that an attempt begins.
	Connecting struct{}
	// Connected says that the login was accepted. Users is the whole roster,
	// the client's own account with it; it replaces what was known before.
	Connected struct {
		Welcome *wire.Welcome
		Users   []*wire.User
		Local   netip.AddrPort
		// Remote is the coordinator's address; it is not valid if an HTTP proxy
		// is between. Way is how it was reached.
		Remote netip.AddrPort
		Way    trunk.Way
	}
	// Disconnected says that the coordinator is out of reach, and when the next
	// attempt begins. Cause belongs to p2p.ErrTransport; a coordinator's
	// refusal is a *RefusedError. NotSecure says that nothing was found that
	// speaks the secure protocol, so that the classic one may be tried.
	Disconnected struct {
		Cause     error
		Retry     time.Time
		NotSecure bool
	}
	// Put and Gone are a user who came or changed, and one who left.
	Put  struct{ User *wire.User }
	Gone struct{ User *wire.User }

	// What follows is the coordinator's frame of that name. Keys, addresses
	// and proofs in it are as they came.
	Introduction struct{ Introduction *wire.Introduction }
	GroupTalk    struct{ GroupTalk *wire.GroupTalk }
	JoinRequest  struct{ JoinRequest *wire.JoinRequest }
	Account      struct{ Account *wire.Account }
)

func (Connecting) event()   {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Put) event()          {}
func (Gone) event()         {}
func (Introduction) event() {}
func (GroupTalk) event()    {}
func (JoinRequest) event()  {}
func (Account) event()      {}

// Config is what New needs.
type Config struct {
	Net hostnet.Net
	// Host and Port are the coordinator's; the name is resolved again at every
	// attempt.
	Host string
	Port uint16
	// WebPort is where the coordinator's WebSocket is, until it says so itself;
	// 443 if zero. Proxy returns the HTTP proxy for it; nil asks the
	// environment.
	WebPort uint16
	Proxy   func(*http.Request) (*url.URL, error)
	// Resolve looks up the addresses of a host; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Key     identity.Key
	// Verify decides whether the coordinator is the expected one. Its error
	// belongs to p2p.ErrIdentity and ends the attempt.
	Verify func(tls.ConnectionState) error
	// Hello returns all of a hello but its position, for a connection from a
	// local address. It is called at every attempt.
	Hello func(local netip.Addr) *wire.Hello
	Log   *slog.Logger // nil for none
}

// Client is one client of a secure coordinator. The goroutine of Run owns the
// mirror and reads the connection; a second one writes, and mu guards what both
// and the callers of Send share.
type Client struct {
	cfg         Config
	log         *slog.Logger
	trunk       *trunk.Trunk
	certificate tls.Certificate
	sessions    tls.ClientSessionCache // with which the next connection is quicker
	mirror      *mirror
	backoff     backoff
	kick        chan struct{}

	mu   sync.Mutex
	link *link // nil between two logins
}

// New checks that nothing is missing, and starts nothing.
func New(cfg Config) (*Client, error) {
	if cfg.Net == nil || cfg.Key.IsZero() || cfg.Verify == nil || cfg.Hello == nil || cfg.Host == "" || cfg.Port == 0 {
		return nil, errors.New("control: the configuration is incomplete")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, log: cfg.Log, certificate: cfg.Key.Certificate(), sessions: tls.NewLRUClientSessionCache(1), mirror: newMirror(), kick: make(chan struct{}, 1)}
	c.trunk = trunk.New(trunk.Config{
		Net: cfg.Net, Host: cfg.Host, Port: cfg.Port, Resolve: cfg.Resolve, WebPort: cfg.WebPort, Proxy: cfg.Proxy,
	})
	return c, nil
}

// errNotSecure is what answers but doesn't speak the protocol.
var errNotSecure = fmt.Errorf("%w: what answers there does not speak the secure protocol", p2p.ErrNoAnswer)

// Run logs in, keeps the login alive and calls on for each event, from this
// goroutine, until ctx ends; then it logs out and returns nil. It may be called
// once.
func (c *Client) Run(ctx context.Context, on func(Event)) error {
	for ctx.Err() == nil {
		on(Connecting{})
		found, held, err := c.attempt(ctx, on)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the attempt's error is that ctx has ended
		}
		wait := c.backoff.wait(err, held)
		c.log.Debug("not connected", "server", c.cfg.Host, "cause", err, "retry_in", wait)
		on(Disconnected{Cause: err, Retry: time.Now().Add(wait), NotSecure: !found && !errors.Is(err, p2p.ErrIdentity)})
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.kick:
			c.backoff.reset()
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// attempt connects, logs in, and reads until the connection ends. found says
// that somebody answered who speaks the protocol, held for how long the login
// lasted. The error belongs to p2p.ErrTransport.
func (c *Client) attempt(ctx context.Context, on func(Event)) (found bool, held time.Duration, err error) {
	conn, way, err := c.reach(ctx)
	if err != nil {
		return false, 0, err
	}
	l := newLink(conn)
	local := hostnet.AddrPort(conn.LocalAddr())
	hello := c.cfg.Hello(local.Addr())
	hello.Capabilities = []string{wire.CapabilityDeflate}
	hello.Epoch, hello.Sequence = c.mirror.epoch, c.mirror.sequence
	_ = l.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}})

	reading, stop := context.WithCancel(ctx)
	var around sync.WaitGroup
	around.Go(func() { l.write(c.kick) })
	around.Go(func() {
		<-reading.Done()
		l.close()
	})
	s := session{client: c, link: l, local: local, remote: hostnet.AddrPort(conn.RemoteAddr()), way: way, on: on}
	err = s.read()
	c.use(nil)
	stop()
	around.Wait()
	if !s.since.IsZero() {
		held = time.Since(s.since)
	}
	if errors.Is(err, errRoster) || errors.Is(err, wire.ErrFrame) {
		// Nothing of what is known can be relied on.
		c.mirror.forget()
	}
	return true, held, err
}

// use makes a link the one that Send writes to; nil is none.
func (c *Client) use(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
}

// session is a login that is accepted, or about to be.
type session struct {
	client  *Client
	link    *link
	local   netip.AddrPort
	remote  netip.AddrPort
	way     trunk.Way
	on      func(Event)
	welcome *wire.Welcome
	since   time.Time // when the roster was whole; zero before
}

// read takes what the coordinator says, until the connection ends.
func (s *session) read() error {
	for {
		frame := new(wire.ToClient)
		if err := s.link.read(frame); err != nil {
			return err
		}
		if s.welcome != nil {
			if err := s.take(frame); err != nil {
				return err
			}
			continue
		}
		switch body := frame.GetBody().(type) { // nothing else has a meaning yet
		case *wire.ToClient_Refused:
			return refusedError(body.Refused)
		case *wire.ToClient_Welcome:
			if err := s.accept(body.Welcome); err != nil {
				return err
			}
		}
	}
}

func (s *session) accept(w *wire.Welcome) error {
	if w.GetVersion() != 1 {
		return fmt.Errorf("%w: the coordinator chose version %d of the protocol, which this program does not know", p2p.ErrNoAnswer, w.GetVersion())
	}
	s.welcome = w
	s.client.trunk.SetWebPort(webPort(w))
	s.link.setKeepalive(time.Duration(w.GetKeepaliveSeconds()) * time.Second)
	whole, err := s.client.mirror.welcome(w.GetEpoch(), w.GetResumed())
	if whole {
		s.complete()
	}
	return err
}

// webPort is where a coordinator says its WebSocket is; zero if it doesn't.
func webPort(w *wire.Welcome) uint16 {
	if port := w.GetWebPort(); port <= math.MaxUint16 {
		return uint16(port)
	}
	return 0
}

// complete tells that the roster is whole, and with it the login.
func (s *session) complete() {
	if s.since.IsZero() {
		s.since = time.Now()
		s.link.done()
		s.client.use(s.link)
	}
	s.on(Connected{Welcome: s.welcome, Users: s.client.mirror.all(), Local: s.local, Remote: s.remote, Way: s.way})
}

// take handles one frame of an accepted login. Those that are not known are
// skipped.
func (s *session) take(frame *wire.ToClient) error {
	switch body := frame.GetBody().(type) {
	case *wire.ToClient_Snapshot:
		whole, err := s.client.mirror.snapshot(body.Snapshot)
		if err != nil {
			return err
		}
		if whole {
			s.complete()
		}
	case *wire.ToClient_Delta:
		if s.since.IsZero() {
			return fmt.Errorf("%w: a change comes before the roster", errRoster)
		}
		put, gone, err := s.client.mirror.delta(body.Delta)
		if err != nil {
			return err
		}
		if put != nil {
			s.on(Put{put})
		}
		if gone != nil {
			s.on(Gone{gone})
		}
	case *wire.ToClient_Refused:
		return refusedError(body.Refused)
	case *wire.ToClient_Introduction:
		s.on(Introduction{body.Introduction})
	case *wire.ToClient_GroupTalk:
		if classic.ValidateName(body.GroupTalk.GetSender()) == nil {
			s.on(GroupTalk{body.GroupTalk})
		}
	case *wire.ToClient_JoinRequest:
		s.on(JoinRequest{body.JoinRequest})
	case *wire.ToClient_Account:
		s.on(Account{body.Account})
	case *wire.ToClient_Ping:
		_ = s.link.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Pong{Pong: &wire.Pong{}}})
	}
	return nil
}

// Send hands a frame to the coordinator. The error is p2p.ErrNotConnected if
// there is no login, or one that is too slow. It may be called from any
// goroutine.
func (c *Client) Send(frame *wire.ToCoordinator) error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l == nil {
		return p2p.ErrNotConnected
	}
	return l.send(frame)
}

// Kick says that the network may have changed: a connection has to show within
// seconds that it lives, and an attempt that is waited for begins at once.
func (c *Client) Kick() {
	c.trunk.Forget()
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
