package session

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"earshot/p2p"
	"earshot/p2p/punch"
	"earshot/protocol/identity"
	"earshot/protocol/wire"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// Config is what New needs.
type Config struct {
	// Conn is the socket that all sessions share, of hostnet.Net.ListenPacket.
	// Its owner closes it after Run has returned.
	Conn net.PacketConn
	Key  identity.Key
	// Name is the account that this device belongs to.
	Name string
	// Lookup says to whom a device belongs and where it may be reached now;
	// ok is false for a device that is not to be talked to. It is called from
	// many goroutines and must not call the Endpoint.
	Lookup func(identity.PublicKey) (name string, at []netip.AddrPort, ok bool)
	// Introduce asks the coordinator to let the device know of this one, with a
	// key for probes, and returns at once; answer says that the device has done
	// so before, with this key. It may do nothing. It must not call the
	// Endpoint.
	Introduce func(device identity.PublicKey, key [punch.KeySize]byte, answer bool)
	// Network says how the NATs on the way out behave, and how far a datagram
	// goes that passes them and not much more; nil knows nothing.
	Network func() (nat wire.Nat, ttl int)
	// Doubt is told that a device which ought to answer doesn't, which may be
	// this device's network's fault; nil is told nothing. It must not call the
	// Endpoint.
	Doubt func()
	// Listen opens another socket like Conn, on any port; nil opens none.
	Listen func(context.Context) (net.PacketConn, error)
	// Other takes datagrams of Conn that are neither QUIC nor probes; nil
	// drops them. It must not keep them.
	Other func(datagram []byte, from netip.AddrPort)
	Relay Relay        // nil for none
	Log   *slog.Logger // nil for none
}

// Event is what an Endpoint reports.
type Event interface{ event() }

type (
	// Item is an item from another device. The receiver calls Done once, from
	// any goroutine: with nil when it is stored durably, with an error of
	// p2p.ErrRefusedItem if it never will be (what is wrapped is told the
	// sender), with any other error if it can't be now, and the sender will
	// come again. Of one device at most 16 items are under way.
	Item struct {
		From identity.PublicKey
		// Name is whom Lookup said that the device belongs to.
		Name string
		Item *wire.Item
		Done func(error)
	}
	// Typing says that somebody is writing, or has stopped.
	Typing struct {
		From   identity.PublicKey
		Name   string
		Active bool
	}
	// Path says how a device is reached from now on. p2p.RouteNone is not at
	// all, and Why is then the reason, or empty if nobody needed it.
	Path struct {
		Device identity.PublicKey
		Name   string
		Route  p2p.Route
		At     netip.AddrPort // zero for p2p.RouteNone and p2p.RouteRelayed
		Why    string
	}
)

func (Item) event()   {}
func (Typing) event() {}
func (Path) event()   {}

// Endpoint is this device's end of all its sessions. Its methods may be called
// from any goroutine, also before Run and after it.
type Endpoint struct {
	cfg    Config
	log    *slog.Logger
	self   identity.ID
	main   *lane
	relay  *lane // nil for none
	reset  quic.StatelessResetKey
	tls    tlsConfigs
	limits limits
	admit  *admission
	// introductions are those that others may make in all.
	introductions *rate.Limiter
	sockets       atomic.Int64 // that birthday probing has open

	running  sync.WaitGroup // of what Run has started
	carrying sync.WaitGroup // and of what is below connections, which ends last

	mu      sync.Mutex
	state   state
	ctx     context.Context // of Run
	lanes   context.Context // until nothing needs to be carried any more
	on      func(Event)
	devices map[identity.PublicKey]*device
	// exchanges are the searches that probes may belong to.
	exchanges map[punch.ExchangeID]*exchange
}

type state uint8

const (
	fresh state = iota
	running
	ended
)

// New checks the configuration and starts nothing.
func New(cfg Config) (*Endpoint, error) {
	if cfg.Conn == nil || cfg.Lookup == nil || cfg.Name == "" || cfg.Key.IsZero() {
		return nil, fmt.Errorf("%w: the configuration of the sessions is incomplete", p2p.ErrTransport)
	}
	cfg = cfg.withDefaults()
	reset, err := resetKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		cfg: cfg, log: cfg.Log, self: cfg.Key.Public().ID(), limits: defaultLimits, admit: newAdmission(),
		tls: newTLS(cfg.Key), reset: reset, introductions: rate.NewLimiter(introductionsOfAll, 2*introductionsOfAll),
		devices: make(map[identity.PublicKey]*device), exchanges: make(map[punch.ExchangeID]*exchange),
	}
	e.main = e.newLane(cfg.Conn)
	if cfg.Relay != nil {
		e.relay = e.newLane(cfg.Relay.PacketConn())
		e.relay.relay = true
	}
	return e, nil
}

// withDefaults replaces what is missing by what does nothing.
func (c Config) withDefaults() Config {
	if c.Introduce == nil {
		c.Introduce = func(identity.PublicKey, [punch.KeySize]byte, bool) {}
	}
	if c.Network == nil {
		c.Network = func() (wire.Nat, int) { return wire.Nat_NAT_UNSPECIFIED, 0 }
	}
	if c.Doubt == nil {
		c.Doubt = func() {}
	}
	if c.Listen == nil {
		c.Listen = func(context.Context) (net.PacketConn, error) { return nil, errors.ErrUnsupported }
	}
	if c.Other == nil {
		c.Other = func([]byte, netip.AddrPort) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// resetKey is the same in every life of this device, so that it can tell peers
// whose connections it has forgotten (RFC 9000, 10.3).
func resetKey(key identity.Key) (quic.StatelessResetKey, error) {
	b, err := hkdf.Key(sha256.New, key.MarshalPEM(), nil, "earshot stateless reset 1", len(quic.StatelessResetKey{}))
	if err != nil {
		return quic.StatelessResetKey{}, fmt.Errorf("%w: %w", p2p.ErrTransport, err)
	}
	return quic.StatelessResetKey(b), nil
}

// Run keeps the sessions until ctx ends, and then returns nil once all
// connections are closed; what is not known to have arrived by then is
// p2p.ErrNotConnected. It returns an error of p2p.ErrTransport if the socket
// fails. on is called from many goroutines, but of one connection for one
// event after the other; while it blocks, nothing more is read there. It may
// be called once.
func (e *Endpoint) Run(ctx context.Context, on func(Event)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Connections end before what carries them, so that they can say so.
	carry, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	e.start(ctx, carry, on)
	e.main.carry(carry, nil)
	e.running.Go(func() { cancel(e.main.serve(ctx)) })
	if e.relay != nil {
		e.relay.carry(carry, nil)
		e.running.Go(func() {
			if err := e.relay.serve(ctx); ctx.Err() == nil {
				e.log.Error("nobody is reached through the relay any more", "error", err)
			}
		})
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	e.end()
	e.running.Wait()
	stop()
	e.carrying.Wait()
	if errors.Is(cause, errSocket) {
		return fmt.Errorf("%w: %w", p2p.ErrTransport, cause)
	}
	return nil
}

// start lets the devices work that there are already.
func (e *Endpoint) start(ctx, carry context.Context, on func(Event)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.ctx, e.lanes, e.on = running, ctx, carry, on
	for _, d := range e.devices {
		e.running.Go(d.run)
	}
}

// end fails what comes from now on, and what nobody has taken up yet.
func (e *Endpoint) end() {
	e.mu.Lock()
	was := e.state
	e.state = ended
	waiting := slices.Collect(maps.Values(e.devices))
	e.mu.Unlock()
	if was == fresh {
		for _, d := range waiting {
			d.abandon()
		}
	}
}

// post has a device's goroutine take up an event, and starts it if the device
// has none. It returns false once Run has ended.
func (e *Endpoint) post(key identity.PublicKey, ev any) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == ended {
		return false
	}
	d := e.devices[key]
	if d == nil {
		d = newDevice(e, key)
		e.devices[key] = d
		if e.state == running {
			e.running.Go(d.run)
		}
	}
	d.box.put(ev)
	return true
}

// tell is post for a device that may have no goroutine, in which case there is
// nothing to be told.
func (e *Endpoint) tell(key identity.PublicKey, ev any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d := e.devices[key]; d != nil && e.state != ended {
		d.box.put(ev)
	}
}

// retire ends a device's goroutine, unless something has come for it.
func (e *Endpoint) retire(d *device) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !d.box.empty() {
		return false
	}
	delete(e.devices, d.key)
	return true
}

// Send queues an item for a device and returns at once. Items leave in the
// order of the calls. done is called once: with nil when the device has stored
// the item, with an error of p2p.ErrRefusedItem if it never will, with
// p2p.ErrUnreachable if it is not known to have arrived, and with
// p2p.ErrNotConnected if nobody knows where the device is. The item must not be
// changed afterwards. done must not block.
func (e *Endpoint) Send(to identity.PublicKey, item *wire.Item, done func(error)) {
	if err := checkItem(item); err != nil {
		done(fmt.Errorf("%w: %w", p2p.ErrRefusedItem, err))
		return
	}
	frame := wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: item}})
	if len(frame)-headerSize > wire.MaxToPeer {
		done(fmt.Errorf("%w: the message is too long", p2p.ErrRefusedItem))
		return
	}
	if !e.post(to, evSend{&outgoing{id: [16]byte(item.GetId()), frame: frame, done: done}}) {
		done(p2p.ErrNotConnected)
	}
}

// Typing tells a device that this person is writing, if there is a session.
func (e *Endpoint) Typing(to identity.PublicKey, active bool) { e.tell(to, evTyping{active}) }

// Forget ends the session with a device and fails what is queued for it with
// p2p.ErrNotConnected, because it is trusted no more. Lookup no longer admits
// it.
func (e *Endpoint) Forget(device identity.PublicKey) { e.tell(device, evForget{}) }

// Wake says that the network has changed or that the host has slept: every
// connection must prove that it still works, or is replaced.
func (e *Endpoint) Wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.devices {
		d.box.put(evWake{})
	}
}

// Online says that the coordinator can be asked for introductions again, or that
// there is more to tell in them.
func (e *Endpoint) Online() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.devices {
		d.box.put(evOnline{})
	}
}

// limits are what one device may ask of this one.
type limits struct {
	frames, bytes float64 // a second
}

var defaultLimits = limits{frames: 5_000, bytes: 16 << 20}

// Times that are not part of a device's decisions.
const (
	// quietLimit is when a connection is dead on which nothing was heard, and
	// probeEvery how often something is asked for.
	quietLimit = 10 * time.Second
	probeEvery = 4 * time.Second
)
