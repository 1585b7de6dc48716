package classic

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/limit"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// Server serves classic clients. A login is *pending* until its list
// connection arrives from the address that it came from, since the source of a
// datagram can be forged and a TCP handshake can't; only then is the user put
// on the roster and the others told.
//
// One goroutine reads datagrams, one tells users of changes (and owns what
// their comment says), one looks after time. mu guards the rest; it is held
// while the roster is asked, and never during a write to a user by fan-out.
type Server struct {
	cfg     Config
	own     uint16 // the UDP port
	metrics *metrics
	rates   rates

	wake     chan struct{}     // to fan-out: released has something
	somebody chan struct{}     // to watch: there is a login
	groups   chan wire.Message // to fan-out: messages to everyone
	fan      *fan              // belongs to the fan-out goroutine, and to the farewell after it

	mu       sync.Mutex
	closing  bool
	users    map[string]*user // online, by name key
	online   []*user          // the same, in no order
	byPlace  map[netip.AddrPort]*user
	logins   map[string]*login       // waiting for their list, by name key
	atHost   map[netip.Addr][]*login // the same in order, by each address that the connection may come from
	perHost  map[netip.Addr]int      // users and pending logins, by source (see limit.Host)
	fetches  map[place]*fetch        // lists being read
	lists    map[wire.Framing]*list  // what was put together last
	released []*user                 // whose changes need be held no longer
	conns    map[net.Conn]struct{}   // list connections
	connsAt  map[netip.Addr]int
	checks   map[uint64]chan struct{} // self-checks under way, by number

	serving sync.WaitGroup // goroutines of list connections
}

// nudge tells a goroutine that there is something for it.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been told
	}
}

// peer is what is known of a client from its login on. It does not change.
type peer struct {
	name, key string
	endpoint  netip.AddrPort
	source    netip.Addr // of the login's datagram
	encoding  wire.Encoding
	conn      net.Conn // connected UDP socket: all that goes to this client
	alive     []byte   // the probe, encoded
}

// user is a client on the roster.
type user struct {
	*peer
	id uint64 // on the roster

	// These belong to Server.mu.
	index       int       // in Server.online
	lease       net.Conn  // whose loss is a logout, if any
	echoes      bool      // has answered a probe
	heard       time.Time // the last such answer
	unreachable time.Time // first of a row of errors that say so
	failedLast  time.Time // last of that row

	// These belong to the fan-out goroutine once the user is online.
	after uint64 // the changes up to this one stood on the user's list
	held  bool   // the list may not have been read yet
}

// login is a client that waits for its list: pending, or online and repeating
// a login whose Accept was lost.
type login struct {
	*peer
	expires time.Time
}

// place is where list connections come from that can't be told apart.
type place struct {
	host    netip.Addr
	framing wire.Framing
}

// New checks cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	limits, err := cfg.Limits.WithDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Limits = limits
	if cfg.Rush == nil {
		cfg.Rush = new(rush.Rush)
	}
	s := &Server{
		cfg:      cfg,
		own:      hostnet.AddrPort(cfg.Packet.LocalAddr()).Port(),
		metrics:  newMetrics(),
		rates:    newRates(limits),
		wake:     make(chan struct{}, 1),
		somebody: make(chan struct{}, 1),
		groups:   make(chan wire.Message, 64),
		users:    make(map[string]*user),
		byPlace:  make(map[netip.AddrPort]*user),
		logins:   make(map[string]*login),
		atHost:   make(map[netip.Addr][]*login),
		perHost:  make(map[netip.Addr]int),
		fetches:  make(map[place]*fetch),
		lists:    make(map[wire.Framing]*list),
		conns:    make(map[net.Conn]struct{}),
		connsAt:  make(map[netip.Addr]int),
		checks:   make(map[uint64]chan struct{}),
	}
	s.fan = newFan(s)
	return s, s.metrics.all.Register(cfg.Metrics)
}

// Run serves until ctx ends. Then it logs everyone out, closes its sockets and
// returns nil, within five seconds. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops, tails sync.WaitGroup
	loops.Go(func() { s.receive(working) })
	loops.Go(func() { s.accept(working, s.cfg.RawList, wire.RawText) })
	loops.Go(func() { s.accept(working, s.cfg.DotNetList, wire.DotNet) })
	tails.Go(func() { s.fan.run(working) })
	tails.Go(func() { s.watch(working) })

	<-ctx.Done()
	s.mu.Lock()
	s.closing = true // from here on nobody comes in
	s.mu.Unlock()
	stop()
	s.cfg.RawList.Close()
	s.cfg.DotNetList.Close()
	tails.Wait() // so that nothing overtakes the farewell
	s.farewell(time.Now().Add(farewellTime))
	s.cfg.Packet.Close()
	loops.Wait()
	s.serving.Wait()
	return nil
}

// farewell tells everyone of their own logout, by which a client of ours knows
// that the coordinator ends, and then of everyone else's.
func (s *Server) farewell(deadline time.Time) {
	s.mu.Lock()
	everyone := append([]*user(nil), s.online...)
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	for _, u := range everyone {
		_ = u.conn.SetWriteDeadline(deadline)
		s.send(u, u.encoding.Append(nil, wire.Logout{Name: u.name, Endpoint: u.endpoint}.String()))
	}
	told := 0
	for gone := range slices.Chunk(s.fan.known(), roundChanges) {
		if !time.Now().Before(deadline) {
			break
		}
		changes := make([]roster.Change, len(gone))
		for i, u := range gone {
			changes[i] = roster.Change{Kind: roster.Left, User: u}
		}
		all := newBatches(changes)
		for _, u := range everyone {
			if all.about[u.id] {
				others := slices.DeleteFunc(slices.Clone(changes), func(c roster.Change) bool { return c.User.ID == u.id })
				s.sendBatch(u, newBatch(others, u.encoding))
			} else {
				s.sendBatch(u, all.in(u.encoding))
			}
		}
		told += len(gone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range everyone {
		s.leave(u, "shutdown")
	}
	for _, l := range s.logins {
		s.forget(l)
		l.conn.Close()
	}
	s.cfg.Log.Info("everyone is logged out", "users", len(everyone), "announced", told)
}

// leave takes a user off the roster; fan-out tells the others. It does nothing
// if the user has left. mu is held.
func (s *Server) leave(u *user, reason string) {
	if s.users[u.key] != u {
		return
	}
	delete(s.users, u.key)
	if s.byPlace[u.endpoint] == u {
		delete(s.byPlace, u.endpoint)
	}
	last := len(s.online) - 1
	s.online[u.index] = s.online[last]
	s.online[u.index].index = u.index
	s.online[last] = nil
	s.online = s.online[:last]
	s.release(u.peer)
	s.cfg.Roster.Leave(u.id)
	u.conn.Close()
	if u.lease != nil {
		u.lease.Close()
	}
	s.metrics.online[u.encoding].Dec()
	s.metrics.logouts.WithLabelValues(reason).Inc()
	s.cfg.Log.Info("logout", "name", u.name, "endpoint", u.endpoint, "reason", reason)
}

// release gives back a client's share of its address's limit. mu is held.
func (s *Server) release(p *peer) {
	h := limit.Host(p.source)
	if s.perHost[h]--; s.perHost[h] <= 0 {
		delete(s.perHost, h)
	}
}

// encoded is one message in every encoding in which it was asked for.
type encoded [3][]byte

func (e *encoded) in(encoding wire.Encoding, m wire.Message) []byte {
	if e[encoding] == nil {
		e[encoding] = encoding.Append(nil, m.String())
	}
	return e[encoding]
}
