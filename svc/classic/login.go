package classic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/limit"
	"earshot/svc/roster"
)

// errSilent is a request that gets no answer of any kind, because the answer
// would go to somebody who may not have asked.
var errSilent = errors.New("answering could reach a third party")

// refusal is a reason that a person is told, with the label of its metric.
type refusal struct{ reason, sentence string }

func (r refusal) Error() string { return r.sentence }

var (
	errTaken = refusal{"name taken", "Somebody else is online under this name. Choose another one."}
	errHeld  = refusal{"name held", "This name belongs to somebody who has registered it. Choose another one; if it is yours, log in with the program earshot."}
	errPlace = refusal{"endpoint taken", "Somebody else is online at your address and port. Let your program use another port."}
	errLoop  = refusal{"own endpoint", "You can't receive messages on the coordinator's own port. Let your program use another port."}
	errFull  = refusal{"full", "Too many people are online. Try again later, or ask the coordinator's administrator to raise the limit."}
	errHost  = refusal{"address full", "Too many people are online from your address. Ask the coordinator's administrator to raise the limit."}
	errPort  = refusal{"no socket", "The coordinator can't reach your address and port. Check the address that your program gives."}
)

// login accepts a login for now, or the repeat of one, and leaves any other
// unanswered.
func (s *Server) login(ctx context.Context, source netip.Addr, encoding wire.Encoding, m wire.Login, now time.Time) {
	if !s.rates.logins.Allow(source, now) {
		s.metrics.drop("rate")
		return
	}
	p, err := s.admit(source, m.Name, m.Endpoint)
	if errors.Is(err, errTaken) && s.gone(m.Name) {
		p, err = s.admit(source, m.Name, m.Endpoint)
	}
	if err == nil && p == nil {
		p, err = s.newPeer(ctx, source, encoding, m)
	}
	if err != nil {
		s.refuse(source, m.Name, err)
		return
	}
	if !s.wait(p, now.Add(pendingTime)) {
		p.conn.Close()
		return
	}
	port := s.cfg.RawList
	if wire.FramingFor(p.encoding) == wire.DotNet {
		port = s.cfg.DotNetList
	}
	accept := wire.Accept{Port: hostnet.AddrPort(port.Addr()).Port()}
	datagram := p.encoding.Append(nil, accept.String())
	if s.write(p, datagram) != nil {
		// What failed was an earlier one, to a program that has ended: this
		// is its successor, at the same port.
		_ = s.write(p, datagram)
	}
}

// gone probes the holder of a name that somebody else asks for, and says whether
// that ended the holder's stay. A program that was killed and started again,
// and listens at another port now, need not wait for the next probe in turn:
// its first login draws the answer that its repeat finds.
func (s *Server) gone(name string) bool {
	key := wire.NameKey(name)
	s.mu.Lock()
	holder := s.users[key]
	s.mu.Unlock()
	if holder == nil {
		return false
	}
	s.send(holder, holder.alive)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[key] != holder
}

// why tells a client of ours why its login meets silence. Textbook clients
// don't ask.
func (s *Server) why(source netip.Addr, encoding wire.Encoding, m wire.Why, now time.Time) {
	if !s.rates.logins.Allow(source, now) {
		s.metrics.drop("rate")
		return
	}
	_, err := s.admit(source, m.Name, m.Endpoint)
	switch {
	case err == nil:
	case errors.Is(err, errSilent):
		s.metrics.drop("reflection")
	default:
		s.reply(m.Endpoint, encoding, wire.Refused{Reason: err.Error()})
	}
}

// refuse counts a login that came to nothing.
func (s *Server) refuse(source netip.Addr, name string, err error) {
	if errors.Is(err, errSilent) {
		s.metrics.drop("reflection")
		return
	}
	reason := "name"
	if r, ok := errors.AsType[refusal](err); ok {
		reason = r.reason
	}
	s.metrics.refused.WithLabelValues(reason).Inc()
	s.cfg.Log.Info("login refused", "name", name, "from", source, "reason", reason)
}

// mayName says whether source may have an answer sent to another address.
func (s *Server) mayName(source, other netip.Addr) bool {
	if other == source {
		return true
	}
	if !other.IsValid() || other.IsUnspecified() || other.IsMulticast() || other == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	return slices.ContainsFunc(s.cfg.TrustedNetworks, func(p netip.Prefix) bool { return p.Contains(source) })
}

// admit says whether a login may come in. It returns the client if the login
// repeats one, and nil for a new one. The first holder of a name is never
// displaced.
func (s *Server) admit(source netip.Addr, name string, endpoint netip.AddrPort) (*peer, error) {
	if !s.mayName(source, endpoint.Addr()) {
		return nil, errSilent
	}
	if err := wire.ValidateName(name); err != nil {
		return nil, err
	}
	key := wire.NameKey(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	var holder *peer
	if u := s.users[key]; u != nil {
		holder = u.peer
	} else if l := s.logins[key]; l != nil {
		holder = l.peer
	}
	_, elsewhere := s.cfg.Roster.Lookup(name)
	switch at := s.byPlace[endpoint]; {
	case holder != nil && holder.name == name && holder.endpoint == endpoint && holder.source == source:
		return holder, nil
	case holder != nil || elsewhere:
		return nil, errTaken
	case s.cfg.Held != nil && s.cfg.Held(name):
		return nil, errHeld
	case at != nil && at.source != source:
		return nil, errPlace
	case len(s.users)+len(s.logins) >= s.cfg.Limits.MaxUsers:
		return nil, errFull
	case s.perHost[limit.Host(source)] >= s.cfg.Limits.MaxUsersPerAddress:
		return nil, errHost
	}
	return nil, nil
}

// newPeer opens the socket through which everything goes to a client.
func (s *Server) newPeer(ctx context.Context, source netip.Addr, encoding wire.Encoding, m wire.Login) (*peer, error) {
	conn, err := s.dial(ctx, m.Endpoint)
	if err != nil {
		s.cfg.Log.Warn("no socket for a login", "endpoint", m.Endpoint, "error", err)
		return nil, errPort
	}
	if hostnet.AddrPort(conn.LocalAddr()).Addr() == m.Endpoint.Addr() && m.Endpoint.Port() == s.own {
		conn.Close() // we would talk to ourselves, for ever
		return nil, errLoop
	}
	if c, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
		_ = c.SetReadBuffer(0) // nothing is read from it, so hold as little as the kernel allows
	}
	alive := wire.Alive(m)
	return &peer{
		name: m.Name, key: wire.NameKey(m.Name), endpoint: m.Endpoint, source: source,
		encoding: encoding, conn: conn, alive: encoding.Append(nil, alive.String()),
	}, nil
}

// dial opens a socket to a client. A coordinator that listens at one address
// speaks from that: a client believes no other, and fetches the list where
// Accept came from.
func (s *Server) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	at := hostnet.AddrPort(s.cfg.Packet.LocalAddr()).Addr()
	if at.IsUnspecified() || at.Is4() != to.Addr().Is4() {
		return s.cfg.Net.DialPacket(ctx, to)
	}
	return s.cfg.Net.DialPacketFrom(ctx, at, to)
}

// wait notes that a list connection is due. A repeat changes nothing. It is
// false when the server is closing.
func (s *Server) wait(p *peer, expires time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return s.users[p.key] != nil // whose socket is still needed
	}
	if s.logins[p.key] != nil {
		return true
	}
	l := &login{peer: p, expires: expires}
	s.logins[p.key] = l
	nudge(s.somebody)
	for _, from := range l.hosts() {
		s.atHost[from] = append(s.atHost[from], l)
	}
	if s.users[p.key] == nil {
		s.perHost[limit.Host(p.source)]++
	}
	return true
}

// hosts are the addresses from which the list connection may come.
func (l *login) hosts() []netip.Addr {
	if l.source == l.endpoint.Addr() {
		return []netip.Addr{l.source}
	}
	return []netip.Addr{l.source, l.endpoint.Addr()}
}

// forget ends the wait for a login's list. mu is held.
func (s *Server) forget(l *login) {
	delete(s.logins, l.key)
	for _, from := range l.hosts() {
		rest := slices.DeleteFunc(s.atHost[from], func(other *login) bool { return other == l })
		if s.atHost[from] = rest; len(rest) == 0 {
			delete(s.atHost, from)
		}
	}
}

// drop ends a login that came to nothing; a user who is online stays so. mu is
// held.
func (s *Server) drop(l *login) {
	s.forget(l)
	if s.users[l.key] == nil {
		s.release(l.peer)
		l.conn.Close()
	}
}

// confirm puts a pending login's user on the roster, held until its list has
// been read. Who had the same endpoint before is gone: only one program can
// have it. nil means that the name was taken meanwhile. mu is held.
func (s *Server) confirm(l *login, now time.Time) *user {
	s.forget(l)
	if before := s.byPlace[l.endpoint]; before != nil {
		if before.source != l.source {
			s.release(l.peer)
			l.conn.Close()
			return nil
		}
		s.leave(before, "replaced")
	}
	joined, at, err := s.cfg.Roster.Add(roster.User{Name: l.name, Endpoint: l.endpoint, Encoding: l.encoding})
	if err != nil {
		s.release(l.peer)
		l.conn.Close()
		return nil
	}
	u := &user{peer: l.peer, id: joined.ID, index: len(s.online), heard: now, after: at.Seq, held: true}
	s.users[u.key] = u
	s.byPlace[u.endpoint] = u
	s.online = append(s.online, u)
	s.metrics.online[u.encoding].Inc()
	s.metrics.logins[u.encoding].Inc()
	s.cfg.Rush.Login()
	s.cfg.Log.Info("login", "name", u.name, "endpoint", u.endpoint, "encoding", u.encoding.String())
	return u
}
