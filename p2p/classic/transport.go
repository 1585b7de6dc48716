package classic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
)

// DefaultPort is a coordinator's port if its address names none.
const DefaultPort = 13277

// Config is what a Transport needs.
type Config struct {
	Net hostnet.Net
	// Server is the coordinator: HOST or HOST:PORT. The name is resolved
	// again at every attempt.
	Server string
	Name   string
	// Encoding is what this client speaks; the zero value, UTF-16LE, is what
	// a coordinator of unknown dialect must be spoken to in.
	Encoding classic.Encoding
	// Resolve looks up the addresses of a host; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Log     *slog.Logger // nil for none
}

// ErrServer is an address that is none.
var ErrServer = errors.New("this is not the address of a coordinator; write HOST or HOST:PORT")

// Transport is one client of a classic coordinator. Its login belongs to the
// goroutine of Run; what others use is in peers and outlets, each with a mutex.
type Transport struct {
	cfg     Config
	host    string
	port    uint16
	log     *slog.Logger
	machine *machine
	events  chan any // for Run's goroutine
	peers   *peers
	outlets *outlets
	rates   *rates
	lanes   *lanes

	ctx     context.Context // of Run; set before any goroutine starts
	running sync.WaitGroup  // everything that Run started

	attempts int // of open, of which one runs at a time

	mu       sync.Mutex
	closed   bool           // Run is ending: nothing is opened any more
	listener net.PacketConn // where everyone reaches this client
	link     net.Conn       // anonymous socket, connected to the coordinator
	held     net.Conn       // the list connection, kept as a lease
}

var _ p2p.Transport = (*Transport)(nil)

// New checks the configuration and starts nothing. A name that no roster may
// hold is an error of classic.ErrName, whose text is a sentence.
func New(cfg Config) (*Transport, error) {
	if err := classic.ValidateName(cfg.Name); err != nil {
		return nil, err
	}
	host, port, err := SplitServer(cfg.Server)
	if err != nil {
		return nil, err
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Transport{
		cfg: cfg, host: host, port: port, log: cfg.Log,
		machine: newMachine(cfg.Name, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))),
		events:  make(chan any, eventQueue),
		peers:   newPeers(), outlets: newOutlets(cfg.Net), rates: newRates(), lanes: newLanes(),
	}, nil
}

// SplitServer reads HOST or HOST:PORT, without a port the default one; an IPv6 address may stand alone or in
// brackets.
func SplitServer(server string) (host string, port uint16, err error) {
	if addr, err := netip.ParseAddr(server); err == nil {
		return addr.String(), DefaultPort, nil
	}
	host, portText, err := net.SplitHostPort(server)
	if err != nil {
		host, portText, err = net.SplitHostPort(net.JoinHostPort(server, strconv.Itoa(DefaultPort)))
	}
	number, portErr := strconv.ParseUint(portText, 10, 16)
	_, notIP := netip.ParseAddr(host)
	if err != nil || portErr != nil || host == "" || notIP != nil && strings.ContainsAny(host, ": ") || number == 0 {
		return "", 0, fmt.Errorf("%q: %w", server, ErrServer)
	}
	return host, uint16(number), nil
}

// Run implements p2p.Transport.
func (t *Transport) Run(ctx context.Context, on func(p2p.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	t.ctx = ctx
	defer t.running.Wait()
	defer t.lanes.open(ctx)()
	defer cancel()
	defer t.hangUp()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var event any
		select {
		case <-ctx.Done():
			t.goodbye()
			return nil
		case event = <-t.events:
		case <-timer.C:
			event = evWake{}
		}
		if d, ok := event.(datagram); ok {
			if event = t.sort(d, on); event == nil {
				continue
			}
		}
		actions, wake := t.machine.step(event, time.Now())
		for _, action := range actions {
			t.act(action, on)
		}
		timer.Reset(time.Until(wake))
	}
}

// post hands something that happened to Run's goroutine.
func (t *Transport) post(event any) {
	select {
	case t.events <- event:
	case <-t.ctx.Done():
	}
}

func (t *Transport) act(action any, on func(p2p.Event)) {
	switch a := action.(type) {
	case doOpen:
		t.dropHeld()
		t.running.Go(func() { t.post(t.open()) })
	case doSend:
		if _, probed := a.m.(classic.Alive); probed && t.machine.ours {
			t.peers.setOurs()
		}
		t.sendToCoordinator(a.m)
	case doFetch:
		t.dropHeld()
		t.running.Go(func() { t.fetch(a.from) })
	case doReport:
		t.report(a.event, on)
	}
}

// report keeps what senders need to know in step with what is told.
func (t *Transport) report(event p2p.Event, on func(p2p.Event)) {
	switch e := event.(type) {
	case p2p.Connecting:
		e.Server = t.cfg.Server
		event = e
	case p2p.Connected:
		e.Server = t.cfg.Server
		event = e
		t.peers.setConnected(true)
		t.log.Info("logged in", "server", t.cfg.Server, "people", len(e.Roster))
	case p2p.Disconnected:
		t.peers.setConnected(false)
		t.log.Warn("not connected", "server", t.cfg.Server, "cause", e.Cause, "retry", e.Retry)
	case p2p.Left:
		t.peers.forget(e.Name)
	}
	on(event)
}

// open looks up the coordinator and opens the sockets of an attempt; it returns
// evOpened or evFailed. The listener is kept as long as its address is right,
// so that a repeated login names the same endpoint.
func (t *Transport) open() any {
	ctx, cancel := context.WithTimeout(t.ctx, openTimeout)
	defer cancel()
	addrs, err := t.cfg.Resolve(ctx, t.host)
	if err != nil || len(addrs) == 0 {
		return evFailed{fmt.Errorf("%w: the name %s could not be looked up", p2p.ErrNoAnswer, t.host)}
	}
	// Of several addresses each attempt takes the next.
	server := netip.AddrPortFrom(addrs[t.attempts%len(addrs)].Unmap(), t.port)
	t.attempts++
	link, err := t.cfg.Net.DialPacket(ctx, server)
	if err != nil {
		return evFailed{fmt.Errorf("%w: there is no way to %v: %w", p2p.ErrUnreachable, server, err)}
	}
	at, err := t.listen(ctx, hostnet.AddrPort(link.LocalAddr()).Addr())
	if err != nil {
		link.Close()
		return evFailed{fmt.Errorf("%w: no port to listen on: %w", p2p.ErrTransport, err)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		link.Close()
		return evFailed{p2p.ErrNotConnected}
	}
	if t.link != nil {
		t.link.Close()
	}
	t.link = link
	t.running.Go(func() { t.readLink(link, server) })
	return evOpened{self: at, server: server}
}

// listen opens the listener at a local address, on its former port if it can,
// unless it is open there already.
func (t *Transport) listen(ctx context.Context, local netip.Addr) (netip.AddrPort, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	port := uint16(0)
	if t.listener != nil {
		at := hostnet.AddrPort(t.listener.LocalAddr())
		if at.Addr() == local {
			return at, nil
		}
		port = at.Port()
		t.listener.Close()
		t.listener = nil
	}
	if t.closed {
		return netip.AddrPort{}, p2p.ErrNotConnected
	}
	listener, err := t.cfg.Net.ListenPacket(ctx, netip.AddrPortFrom(local, port))
	if err != nil && port != 0 {
		listener, err = t.cfg.Net.ListenPacket(ctx, netip.AddrPortFrom(local, 0))
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	if c, ok := listener.(interface{ SetReadBuffer(int) error }); ok {
		_ = c.SetReadBuffer(receiveBuffer) // best effort: the system has a limit
	}
	t.listener = listener
	t.running.Go(func() { t.readListener(listener) })
	return hostnet.AddrPort(listener.LocalAddr()), nil
}

const (
	// eventQueue holds what arrives while an event is stored: disks are slow
	// at times, and a socket's buffer is small.
	eventQueue    = 4096
	openTimeout   = 10 * time.Second
	receiveBuffer = 1 << 20
)

// sendToCoordinator sends from the anonymous socket. An error is the answer to
// an earlier datagram: nothing listens there.
func (t *Transport) sendToCoordinator(m classic.Message) {
	t.mu.Lock()
	link := t.link
	t.mu.Unlock()
	if link == nil {
		return
	}
	if _, err := link.Write(t.cfg.Encoding.Append(nil, m.String())); err != nil {
		t.log.Debug("a datagram to the coordinator was not sent", "error", err)
		if isUnreachable(err) {
			t.running.Go(func() { t.unreachable(link) })
		}
	}
}

// unreachable tells that nothing listens at the coordinator's address, if that
// was said to the socket in use and not to one that was replaced.
func (t *Transport) unreachable(link net.Conn) {
	t.mu.Lock()
	current := t.link == link
	t.mu.Unlock()
	if current {
		t.post(evUnreachable{})
	}
}

// goodbye logs out, once: if the datagram is lost, the coordinator finds out by
// itself.
func (t *Transport) goodbye() {
	if t.machine.state == waiting || t.machine.state == opening {
		return
	}
	t.sendToCoordinator(classic.Logout{Name: t.cfg.Name, Endpoint: t.machine.self})
}

// hangUp closes everything, so that every reader ends.
func (t *Transport) hangUp() {
	t.dropHeld()
	t.outlets.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.link != nil {
		t.link.Close()
	}
	if t.listener != nil {
		t.listener.Close()
	}
}

func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.ENETUNREACH)
}
