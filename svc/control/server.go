package control

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/limit"
	"earshot/svc/rush"
)

// Server serves secure clients. A connection has one goroutine until its client
// has logged in, and then two: a reader, and a writer that holds a position in
// the roster's log and writes everything behind it in one go.
//
// mu guards what stands below it, and is held while the roster and the accounts
// in memory are asked, never during anything that waits.
type Server struct {
	policy  atomic.Pointer[engine.Policy] // who may have a new account
	cfg     Config
	tls     *tls.Config
	metrics *metrics
	serving sync.WaitGroup // goroutines of connections
	buffers sync.Pool      // of *[]byte, for snapshots
	online  atomic.Int64   // devices
	// ticketsAsked is when the secrets of tickets were asked for, Unix time in s.
	ticketsAsked atomic.Int64

	mu       sync.Mutex
	closing  bool
	strange  map[net.Conn]struct{} // connections that have not logged in
	sources  map[netip.Addr]*source
	conns    int
	connects limit.Rate
	logins   limit.Rate
	people   map[string]*person // with a device online, by name key
	devices  map[identity.PublicKey]*session
	tokens   map[string]*session
	joins    map[uint64]*join
	lastJoin uint64
}

// source is what one address has. Server.mu guards it.
type source struct{ conns, strange int }

// New checks cfg and starts nothing. The error belongs to ErrConfig, or is
// that of a metric which is registered already.
func New(cfg Config) (*Server, error) {
	limits, err := cfg.Limits.WithDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Limits = limits
	if cfg.Policy == "" {
		cfg.Policy = engine.PolicyOpen
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rush == nil {
		cfg.Rush = new(rush.Rush)
	}
	config := identity.ServerTLS(tls.Certificate{}, identity.ALPNControl, nil)
	config.NextProtos = append(config.NextProtos, identity.ALPNCheck)
	if cfg.Relay != nil {
		config.NextProtos = append(config.NextProtos, identity.ALPNRelay)
	}
	config.Certificates, config.GetCertificate = nil, cfg.Certificate
	if cfg.Tickets != nil {
		identity.Resumable(config, cfg.Tickets())
	}
	// Small records first, as for a web page, would cost a write each.
	config.DynamicRecordSizingDisabled = true
	s := &Server{
		cfg:      cfg,
		tls:      config,
		metrics:  newMetrics(),
		strange:  make(map[net.Conn]struct{}),
		sources:  make(map[netip.Addr]*source),
		connects: limit.NewRate(2*limits.LoginsPerSecondPerAddress, 4*time.Second),
		logins:   limit.NewRate(limits.LoginsPerSecondPerAddress, 4*time.Second),
		people:   make(map[string]*person),
		devices:  make(map[identity.PublicKey]*session),
		tokens:   make(map[string]*session),
		joins:    make(map[uint64]*join),
	}
	s.ticketsAsked.Store(time.Now().Unix())
	s.SetPolicy(cfg.Policy)
	s.buffers.New = func() any { return new([]byte) }
	return s, s.metrics.all.Register(cfg.Metrics)
}

// SetPolicy changes who may have a new account. Those who have one keep it.
func (s *Server) SetPolicy(p engine.Policy) { s.policy.Store(&p) }

// Run serves until ctx ends, or somebody closes the listener. Then it tells
// every client when to come back, closes the listener and all connections, and
// returns nil, within five seconds. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.cfg.Listener.Close() })
	defer stop()
	for {
		conn, err := hostnet.Accept(ctx, s.cfg.Listener, s.cfg.Log)
		if err != nil {
			break
		}
		s.admit(ctx, conn)
	}
	s.mu.Lock()
	s.closing = true
	for conn := range s.strange {
		conn.Close()
	}
	for _, c := range s.devices {
		last := errShutdown.soon(len(s.devices))
		s.end(c, last.reason, &last)
	}
	s.mu.Unlock()
	s.serving.Wait()
	return nil
}

// admit serves a connection, or closes it if its address has or does too much.
// Those that are closed have cost no more than being accepted.
func (s *Server) admit(ctx context.Context, conn net.Conn) {
	from := hostnet.AddrPort(conn.RemoteAddr()).Addr()
	h := limit.Host(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.sources[h]
	if at == nil {
		at = new(source)
	}
	reason := ""
	switch {
	case s.closing:
		reason = "ending"
	case !s.connects.Allow(h, time.Now()):
		reason = "rate"
	case s.conns >= s.cfg.Limits.MaxConnections || at.conns >= s.cfg.Limits.MaxConnectionsPerAddress:
		reason = "too many connections"
	case at.strange >= s.cfg.Limits.MaxHandshakesPerAddress:
		reason = "too many handshakes"
	}
	if reason != "" {
		s.metrics.drop(reason)
		conn.Close()
		return
	}
	s.sources[h] = at
	s.conns++
	at.conns++
	at.strange++
	s.strange[conn] = struct{}{}
	s.metrics.connections.Inc()
	s.serving.Go(func() { s.receive(ctx, conn, from) })
}

// known notes that a connection has logged in, or will not. mu is held.
func (s *Server) known(conn net.Conn, from netip.Addr) {
	if _, strange := s.strange[conn]; strange {
		delete(s.strange, conn)
		s.sources[limit.Host(from)].strange--
	}
}

// close closes a connection and gives back its share of the limits.
func (s *Server) close(conn net.Conn, from netip.Addr) {
	conn.Close()
	h := limit.Host(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known(conn, from)
	s.conns--
	if s.sources[h].conns--; s.sources[h].conns == 0 {
		delete(s.sources, h)
	}
	s.metrics.connections.Dec()
}

// receive makes a session of a connection, or ends it.
func (s *Server) receive(ctx context.Context, raw net.Conn, from netip.Addr) {
	conn, err := s.secure(raw)
	if err != nil {
		s.metrics.drop("handshake")
		level := slog.LevelInfo
		if errors.Is(err, io.EOF) { // somebody looks whether the port is open
			level = slog.LevelDebug
		}
		s.cfg.Log.Log(ctx, level, "a connection ended before it was secure", "from", from, "error", err)
		s.close(raw, from)
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case identity.ALPNControl:
		s.greet(ctx, conn, raw, from)
	case identity.ALPNRelay:
		s.relay(ctx, conn, raw, from)
	case identity.ALPNCheck:
		s.lookAtOneself(conn)
		s.close(raw, from)
	default: // the TLS configuration admits no other protocol
		s.close(raw, from)
	}
}

// errPlain is a connection that doesn't begin as TLS does.
var errPlain = errors.New("it does not begin as TLS does")

// secure makes a connection a TLS one. A person who looks what is there, with a
// program that speaks no TLS or waits for a word, gets one.
func (s *Server) secure(raw net.Conn) (*tls.Conn, error) {
	start := time.Now()
	if err := raw.SetDeadline(start.Add(plainTime)); err != nil {
		return nil, err
	}
	peeked := &peekedConn{Conn: raw}
	if _, err := io.ReadFull(raw, peeked.first[:]); err != nil || peeked.first[0] != recordHandshake {
		if nerr, ok := errors.AsType[net.Error](err); err != nil && (!ok || !nerr.Timeout()) {
			return nil, err
		}
		_ = raw.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(raw, s.cfg.Plain)
		return nil, errPlain
	}
	if err := raw.SetDeadline(start.Add(handshakeTime)); err != nil {
		return nil, err
	}
	s.freshTickets(start)
	conn := tls.Server(peeked, s.tls)
	return conn, conn.Handshake()
}

// freshTickets asks for the secrets of tickets again, an hour after it was done
// last.
func (s *Server) freshTickets(now time.Time) {
	const every = 3600 // s
	asked := s.ticketsAsked.Load()
	if s.cfg.Tickets != nil && now.Unix()-asked >= every && s.ticketsAsked.CompareAndSwap(asked, now.Unix()) {
		s.tls.SetSessionTicketKeys(s.cfg.Tickets())
	}
}

// recordHandshake is the first byte of a TLS connection (RFC 8446, 5.1).
const recordHandshake = 22

// peekedConn is a connection whose first byte has been read.
type peekedConn struct {
	net.Conn
	first [1]byte
	given bool
}

func (c *peekedConn) Read(b []byte) (int, error) {
	if c.given || len(b) == 0 {
		return c.Conn.Read(b)
	}
	c.given = true
	return copy(b, c.first[:]), nil
}

// AccountChanged is to be called after each change of an account; Accounts may
// be ahead of the call. Devices that have been taken off it are disconnected,
// the others are told, and so is everybody else.
func (s *Server) AccountChanged(before, after engine.Account) {
	s.forgetRelays(before, after)
	name := after.Name
	if name == "" {
		name = before.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.people[nameKey(name)]
	if p == nil {
		return
	}
	// By now there may be devices that this change knows nothing of.
	account, _ := s.cfg.Accounts.Lookup(name)
	p.account = account
	for _, c := range slices.Clone(p.sessions) {
		if _, has := account.Device(c.key); !has || account.Pending {
			last := errRemoved
			s.end(c, last.reason, &last)
		}
	}
	_ = s.show(p) // nobody can have taken the name of somebody who is there
	s.tellAccount(p, nil)
}

// GroupTalk tells every client what a classic user said to everyone.
func (s *Server) GroupTalk(sender, text string) {
	frame := wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_GroupTalk{GroupTalk: &wire.GroupTalk{
		Sender: strings.ToValidUTF8(sender, "\uFFFD"), Text: strings.ToValidUTF8(text, "\uFFFD"),
	}}})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.devices {
		c.say(frame)
	}
}
