package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"earshot/p2p"
	"earshot/p2p/classic"
	"earshot/p2p/control"
	"earshot/p2p/nat"
	"earshot/p2p/portmap"
	"earshot/p2p/relay"
	"earshot/p2p/session"
	wirec "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Config is what New needs.
type Config struct {
	Net hostnet.Net
	// Host and Port are the coordinator's; the name is resolved again at every
	// attempt.
	Host string
	Port uint16
	// Fingerprint is the coordinator's as the person was given it; zero if it
	// is to be recognised by Pins.
	Fingerprint identity.ID
	Pins        Pins
	// Roots are the public infrastructure's; nil is the system's.
	Roots *x509.CertPool
	// Resolve looks up the addresses of a host; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)

	Key identity.Key
	// Name is the account's, Label the device's among the account's, Program
	// this program with its version.
	Name, Label, Program string
	// Invite and Join let this device in, if the account doesn't have it.
	Invite string
	Join   *identity.JoinCode
	Status p2p.Status
	// MapPort makes what asks the router for a port; nil asks none.
	MapPort func(portmap.Config) Mapper
	Log     *slog.Logger // nil for none
}

// Transport is one client of a secure coordinator.
//
// The goroutine of Run is the only one that reports events. The directory, the
// offer and what mu guards may be used from any goroutine; peer, talker and
// control have locks of their own.
type Transport struct {
	cfg       Config
	log       *slog.Logger
	control   *control.Client
	talker    *classic.Talker
	directory *directory
	offer     offer
	outside   outside
	relay     *relay.Client
	connected atomic.Bool
	logins    chan control.Connected // for the surveyor, the newest only
	look      chan struct{}          // has it work
	surveys   sync.WaitGroup         // that introductions have caused
	events    chan any               // for Run's goroutine
	ready     chan struct{}
	ended     chan struct{}

	// Set by Run before ready is closed.
	life               context.Context // Run's
	peer               *session.Endpoint
	mapper             Mapper // nil for none
	peerPort, talkPort uint16

	mu       sync.Mutex
	own      p2p.Status
	local    netip.Addr // from which the coordinator was reached last
	verified Pin        // of the connection that is being made
	firstUse bool
	admit    func(p2p.Person, identity.PublicKey) bool // nil admits everyone
}

var (
	_ p2p.Transport = (*Transport)(nil)
	_ p2p.Gated     = (*Transport)(nil)
)

// eventQueue holds what happens while an event is stored: disks are slow at
// times.
const eventQueue = 1024

// New checks the configuration and starts nothing. A name that no roster may
// hold is an error of classic.ErrName, whose text is a sentence.
func New(cfg Config) (*Transport, error) {
	if err := wirec.ValidateName(cfg.Name); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Transport{
		cfg: cfg, log: cfg.Log, own: cfg.Status,
		talker: classic.NewTalker(cfg.Net, cfg.Name), directory: newDirectory(cfg.Name),
		events: make(chan any, eventQueue), ready: make(chan struct{}), ended: make(chan struct{}),
		logins: make(chan control.Connected, 1), look: make(chan struct{}, 1),
	}
	t.relay = relay.New(relay.Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := t.control.Dial(ctx, identity.ALPNRelay)
			if err != nil {
				return nil, err
			}
			return conn, nil
		},
		OnState: func(device identity.PublicKey, ready bool) { t.peer.Relayed(device, ready) }, Log: cfg.Log,
	})
	t.outside.asker = nat.New(nat.Config{
		Write:   func(b []byte, to netip.AddrPort, ttl int) error { return t.peer.WriteTo(b, to, ttl) },
		Servers: t.outside.askable, Token: t.outside.user, Local: t.addresses, Early: t.early, Log: cfg.Log,
	})
	var err error
	t.control, err = control.New(control.Config{
		Net: cfg.Net, Host: cfg.Host, Port: cfg.Port, Resolve: cfg.Resolve,
		Key: cfg.Key, Verify: t.verify, Hello: t.hello, Log: cfg.Log,
	})
	return t, err
}

// verify decides about the coordinator at the other end of a connection.
func (t *Transport) verify(state tls.ConnectionState) error {
	known, met := t.cfg.Pins.Load()
	pin, firstUse, err := judge(state, t.cfg.Host, t.cfg.Fingerprint, known, met, t.cfg.Roots)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verified, t.firstUse = pin, firstUse
	return nil
}

// Run implements p2p.Transport.
func (t *Transport) Run(ctx context.Context, on func(p2p.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer close(t.ended)
	defer t.surveys.Wait()
	defer running.Wait()
	defer cancel()
	t.life = ctx

	conn, err := t.open(ctx)
	if err != nil {
		on(p2p.Disconnected{Cause: err})
		return err
	}
	defer conn.Close()
	failed := make(chan error, 5)
	start := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				failed <- err
			}
		})
	}
	start(func() error { return t.control.Run(ctx, func(e control.Event) { t.post(ctx, e) }) })
	start(func() error { return t.peer.Run(ctx, func(e session.Event) { t.post(ctx, e) }) })
	start(func() error {
		return t.talker.Run(ctx, t.directory.contact, func(r p2p.Received) { t.post(ctx, r) })
	})
	start(func() error { return t.relay.Run(ctx) })
	running.Go(func() { t.watch(ctx) })
	running.Go(func() { t.surveyor(ctx) })
	if t.mapper != nil {
		start(func() error { return t.mapper.Run(ctx) })
	}
	close(t.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			on(p2p.Disconnected{Cause: err})
			return err
		case e := <-t.events:
			t.handle(e, on)
		}
	}
}

// open opens the sockets for other clients: one for sessions, one for talk.
func (t *Transport) open(ctx context.Context) (net.PacketConn, error) {
	any := netip.IPv6Unspecified() // takes IPv4 too
	conn, err := t.cfg.Net.ListenPacket(ctx, netip.AddrPortFrom(any, 0))
	if err != nil { // a system without IPv6
		any = netip.IPv4Unspecified()
		if conn, err = t.cfg.Net.ListenPacket(ctx, netip.AddrPortFrom(any, 0)); err != nil {
			return nil, fmt.Errorf("%w: no port to listen on: %w", p2p.ErrTransport, err)
		}
	}
	if t.talkPort, err = t.talker.Open(ctx, any); err != nil {
		conn.Close()
		return nil, err
	}
	t.peerPort = hostnet.AddrPort(conn.LocalAddr()).Port()
	t.peer, err = session.New(session.Config{
		Conn: conn, Key: t.cfg.Key, Name: t.cfg.Name, Log: t.log,
		Lookup: func(device identity.PublicKey) (string, []netip.AddrPort, bool) {
			name, at, ok := t.directory.lookup(device)
			return name, t.reachable(at), ok
		},
		Introduce: t.introduce, Network: t.outside.network,
		Doubt: t.doubt, Relay: t.relay,
		Listen: func(ctx context.Context) (net.PacketConn, error) {
			return t.cfg.Net.ListenPacket(ctx, netip.AddrPortFrom(any, 0))
		},
		Other: func(b []byte, from netip.AddrPort) { t.outside.asker.Packet(b, from) },
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	t.mapper = t.newMapper()
	return conn, nil
}

// AskBefore implements p2p.Gated.
func (t *Transport) AskBefore(admit func(p2p.Person, identity.PublicKey) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admit = admit
}

func (t *Transport) admits(person p2p.Person, device identity.PublicKey) bool {
	t.mu.Lock()
	admit := t.admit
	t.mu.Unlock()
	return admit == nil || admit(person, device)
}

// post hands something that happened to Run's goroutine.
func (t *Transport) post(ctx context.Context, event any) {
	select {
	case t.events <- event:
	case <-ctx.Done():
		if i, ok := event.(session.Item); ok {
			i.Done(p2p.ErrNotConnected)
		}
	}
}

// handle does what an event asks for, on Run's goroutine.
func (t *Transport) handle(event any, on func(p2p.Event)) {
	switch e := event.(type) {
	case control.Connecting:
		on(p2p.Connecting{Server: t.server()})
	case control.Connected:
		on(t.welcome(e))
	case control.Disconnected:
		t.connected.Store(false)
		cause := e.Cause
		if e.NotSecure {
			cause = fmt.Errorf("%w: %w", p2p.ErrNotSecure, cause)
		}
		on(p2p.Disconnected{Cause: cause, Retry: e.Retry})
	case control.Put:
		person := t.directory.put(e.User)
		if wirec.NameKey(person.Name) == t.directory.own {
			on(p2p.SelfChanged{Person: person})
		} else {
			on(p2p.Came{Person: person})
		}
	case control.Gone:
		t.directory.drop(e.User.GetName(), time.Now())
		on(p2p.Left{Name: e.User.GetName()})
	case control.Account:
		t.account(e.Account, on)
	case control.Introduction:
		t.introduced(e.Introduction)
	case control.JoinRequest:
		answer := t.offer.answer(t.cfg.Key, t.directory.own, e.JoinRequest, time.Now())
		_ = t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: answer}})
	case control.GroupTalk:
		on(p2p.Received{From: e.GroupTalk.GetSender(), Known: true, Item: p2p.Item{
			At: time.Now(), Audience: p2p.Audience{Kind: p2p.Everyone}, Body: p2p.Text{Text: e.GroupTalk.GetText()},
		}})
	case session.Item:
		t.received(e, on)
	case session.Path:
		on(p2p.Reached{Name: t.directory.spelled(e.Name), Device: e.Device, Route: e.Route, At: e.At, Why: e.Why})
	case session.Typing:
		on(p2p.Typing{From: t.directory.spelled(e.Name), Active: e.Active})
	case p2p.Received:
		on(e)
	}
}

func (t *Transport) server() string {
	return net.JoinHostPort(t.cfg.Host, fmt.Sprint(t.cfg.Port))
}

// welcome takes a login that was accepted.
func (t *Transport) welcome(e control.Connected) p2p.Connected {
	people, self := t.directory.replace(e.Users, time.Now())
	account := e.Welcome.GetAccount()
	t.directory.account(account)
	self.Name, self.Devices = account.GetName(), devicesOf(account.GetDevices())
	t.mu.Lock()
	pin, firstUse := t.verified, t.firstUse
	self.Status = t.own
	t.mu.Unlock()
	if known, met := t.cfg.Pins.Load(); !met || known != pin {
		if err := t.cfg.Pins.Save(pin); err != nil {
			t.log.Error("the coordinator's fingerprint could not be stored", "error", err)
		}
	}
	t.connected.Store(true)
	select {
	case <-t.logins: // nobody needs the one before
	default:
	}
	t.logins <- e
	t.peer.Online()
	t.log.Info("logged in", "server", t.server(), "people", len(people), "resumed", e.Welcome.GetResumed())
	connected := p2p.Connected{Server: t.server(), Self: self, Roster: people, Secure: true}
	if firstUse {
		connected.FirstUse = pin.Fingerprint
	}
	return connected
}

// account takes the account's own devices.
func (t *Transport) account(a *wire.Account, on func(p2p.Event)) {
	t.directory.account(a)
	on(p2p.SelfChanged{Person: p2p.Person{Name: a.GetName(), Status: t.status(), Devices: devicesOf(a.GetDevices())}})
}

// received reports an item of another device.
func (t *Transport) received(e session.Item, on func(p2p.Event)) {
	item, err := itemOf(e.Item)
	if err != nil {
		e.Done(err)
		return
	}
	on(p2p.Received{From: t.directory.spelled(e.Name), Device: e.From, Item: item, Done: e.Done})
}

// Send implements p2p.Transport.
func (t *Transport) Send(to p2p.Target, item p2p.Item, done func(error)) {
	select {
	case <-t.ready:
	default:
		done(p2p.ErrNotConnected)
		return
	}
	select {
	case <-t.ended:
		done(p2p.ErrNotConnected)
		return
	default:
	}
	if to.Device != (identity.PublicKey{}) {
		t.peer.Send(to.Device, wireItem(item), done)
		return
	}
	text, ok := item.Body.(p2p.Text)
	contact, known := t.directory.contact(to.Person.Name)
	switch {
	case !ok:
		done(p2p.ErrNotSupported)
	case !known:
		done(p2p.ErrNotConnected)
	default:
		t.talker.Send(to.Person.Name, contact, text.Text, done)
	}
}

// SendToAll implements p2p.Transport: what goes to everyone goes to each.
func (t *Transport) SendToAll(context.Context, string) error { return p2p.ErrNotSupported }

// Typing implements p2p.Transport.
func (t *Transport) Typing(to p2p.Target, active bool) {
	select {
	case <-t.ready:
		if to.Device != (identity.PublicKey{}) {
			t.peer.Typing(to.Device, active)
		}
	default:
	}
}
