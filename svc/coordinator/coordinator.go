// Package coordinator puts together what earshotd serves: the roster, and the
// listeners that put people on it.
package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/hostnet"
	"earshot/svc/classic"
	"earshot/svc/control"
	"earshot/svc/engine"
	"earshot/svc/relay"
	"earshot/svc/roster"
	"earshot/svc/rush"
	"earshot/svc/stun"
	"earshot/svc/web"
)

// DefaultPort is served if nobody says otherwise.
const DefaultPort = 13277

var (
	// ErrPortTaken is a port that another program has. The error's text names
	// address, port and protocol, and says what to do.
	ErrPortTaken = errors.New("port taken")
	// ErrConfig is the family of settings that can't be used.
	ErrConfig = classic.ErrConfig
	// ErrUnhealthy is a coordinator that does not answer as it should.
	ErrUnhealthy = errors.New("the coordinator does not answer")
)

// Limits bound what anybody can make the coordinator hold or do.
type Limits = classic.Limits

// Config is a coordinator's configuration. The zero value of every field but
// Listen is usable.
type Config struct {
	// Listen is the address of the main port, UDP and TCP. The classic lists
	// are on the next port (raw text) and the one behind that (.NET). Port 0
	// is any port that is free together with the next two. An unspecified
	// address serves all of the host's.
	Listen netip.AddrPort
	// WebListen is where everything that comes to the main TCP port may come by
	// a WebSocket, too; the zero AddrPort is nowhere.
	WebListen netip.AddrPort
	// TrustedNetworks are those from which a login may name a listener with
	// another IP address than its own. Everyone else's may not, so that
	// nobody can aim the coordinator's answers at a third party.
	TrustedNetworks []netip.Prefix
	Limits          Limits
	// Accounts is who owns which name. Without it the secure protocol is not
	// served, and the three fields below mean nothing.
	Accounts control.Accounts
	// Registration is who may have a new account; the empty one is open.
	Registration engine.Policy
	// Certificate returns the coordinator's, as tls.Config.GetCertificate.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Tickets returns the secrets of tickets, as in control.Config.
	Tickets func() [][32]byte
	// Net is the network; nil is the operating system's.
	Net hostnet.Net
	// Log is for what the administrator may want to know; nil logs nothing.
	Log *slog.Logger
	// Metrics registers the Prometheus collectors; nil registers none. A
	// registerer takes those of one coordinator only.
	Metrics prometheus.Registerer
	// OnReady, if set, is called once, from Run, when all sockets are open.
	OnReady func()
}

// Addrs are the addresses that are served.
type Addrs struct {
	UDP, TCP            netip.AddrPort
	RawList, DotNetList netip.AddrPort
	Web                 netip.AddrPort // zero if it isn't served
}

// Coordinator serves users. All methods may be called from any goroutine.
type Coordinator struct {
	cfg    Config
	roster *roster.Roster
	ready  chan struct{} // closed once what stands below started is set

	mu      sync.Mutex
	started bool
	addrs   Addrs
	classic *classic.Server
	control *control.Server // nil without accounts
	stun    *stun.Server    // as control
	web     *web.Server     // nil if it isn't served
}

// New checks a configuration and starts nothing. The error belongs to
// ErrConfig.
func New(cfg Config) (*Coordinator, error) {
	limits, err := cfg.Limits.WithDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Limits = limits
	if !cfg.Listen.Addr().IsValid() {
		return nil, fmt.Errorf("%w: no address to listen on; an example is 0.0.0.0:%d", ErrConfig, DefaultPort)
	}
	if cfg.Listen.Port() > 65533 {
		return nil, fmt.Errorf("%w: listen has port %d, which leaves no room for the two list ports behind it; choose one up to 65533",
			ErrConfig, cfg.Listen.Port())
	}
	if cfg.Accounts != nil && cfg.Certificate == nil {
		return nil, fmt.Errorf("%w: the secure protocol needs a certificate", ErrConfig)
	}
	if err := checkWeb(cfg); err != nil {
		return nil, err
	}
	for _, p := range cfg.TrustedNetworks {
		if !p.IsValid() {
			return nil, fmt.Errorf("%w: a trusted network is not a network; an example is 192.168.0.0/16", ErrConfig)
		}
	}
	if cfg.Net == nil {
		cfg.Net = hostnet.OS
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Coordinator{cfg: cfg, roster: roster.New(), ready: make(chan struct{})}, nil
}

// Ready returns a channel that is closed when all sockets are open. It stays
// open if Run fails before.
func (c *Coordinator) Ready() <-chan struct{} { return c.ready }

// Addrs returns what is served. It is the zero Addrs before Ready.
func (c *Coordinator) Addrs() Addrs {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addrs
}

// Roster returns who is online.
func (c *Coordinator) Roster() *roster.Roster { return c.roster }

// Run opens all sockets and serves until ctx ends. Then it logs everyone out,
// which takes at most five seconds, and returns nil. A port in use is
// ErrPortTaken. It may be called once.
func (c *Coordinator) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return errors.New("this coordinator has run already")
	}
	c.started = true
	c.mu.Unlock()

	s, err := openSockets(ctx, c.cfg.Net, c.cfg.Listen, c.cfg.Accounts != nil)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.openWeb(ctx, c.cfg.Net, c.cfg.WebListen); err != nil {
		return err
	}
	if err := c.assemble(s); err != nil {
		return err
	}
	c.cfg.Log.Info("the coordinator serves", "address", c.addrs.UDP, "secure", c.control != nil,
		"list_port_raw", c.addrs.RawList.Port(), "list_port_dotnet", c.addrs.DotNetList.Port(), "web_port", c.addrs.Web.Port())
	close(c.ready)
	if c.cfg.OnReady != nil {
		c.cfg.OnReady()
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var others sync.WaitGroup
	var mainErr, webErr error
	others.Go(func() {
		if c.control == nil {
			greet(ctx, s.main, c.cfg.Log)
			return
		}
		mainErr = c.control.Run(ctx)
	})
	if c.stun != nil {
		others.Go(func() { _ = c.stun.Run(ctx) }) // it is nil
	}
	if c.web != nil {
		others.Go(func() { webErr = c.web.Run(ctx) })
	}
	err = c.classic.Run(ctx)
	cancel()
	others.Wait()
	return errors.Join(err, mainErr, webErr)
}

// assemble makes the servers of both protocols.
func (c *Coordinator) assemble(s *sockets) error {
	cfg := classic.Config{
		Packet: s.packet, RawList: s.raw, DotNetList: s.dotNet,
		Net: c.cfg.Net, Roster: c.roster, Rush: &rush.Rush{Rest: debug.FreeOSMemory}, TrustedNetworks: c.cfg.TrustedNetworks,
		Limits: c.cfg.Limits, Log: c.cfg.Log, Metrics: c.cfg.Metrics,
	}
	var secure *control.Server
	var address *stun.Server
	var site *web.Server
	c.mu.Lock()
	registration := c.cfg.Registration
	c.mu.Unlock()
	if c.cfg.Accounts != nil {
		var err error
		address, err = stun.New(stun.Config{
			Main: s.packet, Second: s.second, Third: s.third, Log: c.cfg.Log, Metrics: c.cfg.Metrics,
			Seen: func(token string, at netip.AddrPort) { secure.Seen(token, at) },
		})
		if err != nil {
			return err
		}
		cfg.Other = func(datagram []byte, from netip.AddrPort, now time.Time) bool {
			ours := stun.Is(datagram)
			if ours {
				address.Handle(datagram, from, now)
			}
			return ours
		}
		packets, err := relay.New(relay.Config{Log: c.cfg.Log, Metrics: c.cfg.Metrics})
		if err != nil {
			return err
		}
		secure, err = control.New(control.Config{
			Listener: s.main, Roster: c.roster, Rush: cfg.Rush, Accounts: c.cfg.Accounts, Policy: registration,
			Certificate: c.cfg.Certificate, Tickets: c.cfg.Tickets, TrustedNetworks: c.cfg.TrustedNetworks, Plain: greeting,
			Relay:     packets,
			StunPorts: []uint16{s.addrs().UDP.Port(), s.addrs().UDP.Port() + 1}, WebPort: s.addrs().Web.Port(),
			Limits: c.secureLimits(), Log: c.cfg.Log, Metrics: c.cfg.Metrics,
		})
		if err != nil {
			return err
		}
		if site, err = c.newWeb(s, secure); err != nil {
			return err
		}
		cfg.Group = secure.GroupTalk
		cfg.Held = func(name string) bool {
			_, held := c.cfg.Accounts.Lookup(name)
			return held
		}
	}
	server, err := classic.New(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addrs, c.classic, c.control, c.stun, c.web = s.addrs(), server, secure, address, site
	if secure != nil {
		secure.SetPolicy(c.cfg.Registration) // it may have changed meanwhile
	}
	return nil
}

// secureLimits are what the limits mean for the secure protocol: a person has a
// connection for each device.
func (c *Coordinator) secureLimits() control.Limits {
	l := c.cfg.Limits
	return control.Limits{
		MaxUsers: l.MaxUsers, MaxConnections: 2 * l.MaxUsers, MaxConnectionsPerAddress: l.MaxUsersPerAddress,
		LoginsPerSecondPerAddress: l.LoginsPerSecondPerAddress,
	}
}

// SetRegistration changes who may have a new account, from now on.
func (c *Coordinator) SetRegistration(p engine.Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg.Registration = p
	if c.control != nil {
		c.control.SetPolicy(p)
	}
}

// AccountChanged is to be called after each change of Accounts. Before Ready it
// does nothing: nobody is online.
func (c *Coordinator) AccountChanged(before, after engine.Account) {
	c.mu.Lock()
	secure := c.control
	c.mu.Unlock()
	if secure != nil {
		secure.AccountChanged(before, after)
	}
}

// Healthy is nil if a datagram to the coordinator's own UDP port comes back
// through the roster before ctx ends (and within two seconds), and a
// connection to its secure port is taken care of; else ErrUnhealthy with its
// cause.
func (c *Coordinator) Healthy(ctx context.Context) error {
	c.mu.Lock()
	server, addrs := c.classic, c.addrs
	c.mu.Unlock()
	if server == nil {
		return fmt.Errorf("%w: its ports are not open", ErrUnhealthy)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := server.RoundTrip(ctx, ourselves(addrs.UDP)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	if c.cfg.Accounts == nil {
		return nil
	}
	if err := control.Check(ctx, c.cfg.Net, ourselves(addrs.TCP)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// ourselves is where an address that one listens on is reached from here.
func ourselves(at netip.AddrPort) netip.AddrPort {
	switch {
	case !at.Addr().IsUnspecified():
		return at
	case at.Addr().Is6():
		// A socket for all IPv6 addresses takes IPv4 too, unless the system has
		// none.
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
}

// greeting is what a connection to the main TCP port is told. The port is the
// place of the secure protocol; classic programs have no business there, but
// whoever connects, to see whether the coordinator runs, should learn that.
const greeting = "This is Earshot's coordinator. To come online, start the program earshot with this address as its server.\r\n"

// greet answers connections to the main TCP port, one after the other, until
// ctx ends.
func greet(ctx context.Context, l net.Listener, log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := hostnet.Accept(ctx, l, log)
		if err != nil {
			return
		}
		// The socket's buffer takes this whole, so nobody can delay it.
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, greeting)
		conn.Close()
	}
}
