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
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/protocol/wire"

	"github.com/quic-go/quic-go"
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
	// Introduce asks the coordinator to let the device know of this one, and
	// returns at once. It may do nothing. It must not call the Endpoint.
	Introduce func(identity.PublicKey)
	Log       *slog.Logger // nil for none
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
	// Path says where a device is reached from now on, or no longer.
	Path struct {
		Device identity.PublicKey
		At     netip.AddrPort
		Up     bool
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
	tr     *quic.Transport
	tls    tlsConfigs
	limits limits
	admit  *admission

	running sync.WaitGroup // of everything that Run has started

	mu      sync.Mutex
	state   state
	ctx     context.Context // of Run
	on      func(Event)
	devices map[identity.PublicKey]*device
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
	if cfg.Introduce == nil {
		cfg.Introduce = func(identity.PublicKey) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	reset, err := resetKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		cfg: cfg, log: cfg.Log, self: cfg.Key.Public().ID(), limits: defaultLimits, admit: newAdmission(),
		tls: newTLS(cfg.Key), devices: make(map[identity.PublicKey]*device),
	}
	e.tr = &quic.Transport{
		Conn: cfg.Conn, ConnectionIDLength: 8, StatelessResetKey: &reset,
		VerifySourceAddress: e.admit.verify, ConnContext: e.admit.arrive,
	}
	return e, nil
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
	listener, err := e.tr.Listen(e.tls.server, acceptConfig)
	if err != nil {
		e.end()
		return fmt.Errorf("%w: %w", p2p.ErrTransport, err)
	}
	e.start(ctx, on)
	e.running.Go(func() {
		cancel(e.accept(ctx, listener))
	})
	<-ctx.Done()
	cause := context.Cause(ctx)
	listener.Close()
	e.end()
	e.running.Wait()
	e.tr.Close()
	if errors.Is(cause, errSocket) {
		return fmt.Errorf("%w: %w", p2p.ErrTransport, cause)
	}
	return nil
}

// start lets the devices work that there are already.
func (e *Endpoint) start(ctx context.Context, on func(Event)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.ctx, e.on = running, ctx, on
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

// Introduced says that a device wants to talk, by the coordinator's word, and
// where it may be reached. It is heard only if Lookup knows the device.
func (e *Endpoint) Introduced(from identity.PublicKey, at []netip.AddrPort) {
	if _, _, ok := e.cfg.Lookup(from); ok {
		e.post(from, evAddresses{at})
	}
}

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
