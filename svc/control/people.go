package control

import (
	"errors"
	"net/netip"
	"slices"

	"earshot/protocol/classic"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/limit"
	"earshot/svc/roster"
)

// person is an account with at least one device online. Server.mu guards it.
type person struct {
	key      string // of its name
	account  engine.Account
	status   roster.Status // the last that one of the devices said
	sessions []*session    // in the order in which they came
	id       uint64        // on the roster; 0 while invisible
	joins    limit.Pace
}

func nameKey(name string) string { return classic.NameKey(name) }

// devices are the account's, with what is known of those that are online.
func (p *person) devices() []roster.Device {
	devices := make([]roster.Device, len(p.account.Devices))
	for i, d := range p.account.Devices {
		devices[i] = roster.Device{Key: d.Key, Label: d.Label}
		for _, e := range d.Endorsements {
			devices[i].Endorsements = append(devices[i].Endorsements, roster.Endorsement(e))
		}
		for _, c := range p.sessions {
			if c.key == d.Key {
				devices[i].Online, devices[i].Candidates = true, c.onRoster(c.candidates)
			}
		}
	}
	return devices
}

// user is the person's entry. Its classic endpoint is that of the first device
// which has one.
func (p *person) user() roster.User {
	u := roster.User{ID: p.id, Name: p.account.Name, Secure: &roster.Secure{Status: p.status, Devices: p.devices()}}
	for _, c := range p.sessions {
		if c.endpoint.IsValid() {
			u.Endpoint, u.Encoding = c.endpoint, c.encoding
			break
		}
	}
	return u
}

// accountMessage is what the person's own devices are told.
func (p *person) accountMessage() *wire.Account {
	m := &wire.Account{Name: p.account.Name}
	for _, d := range p.devices() {
		m.Devices = append(m.Devices, d.Wire())
	}
	return m
}

// show has the roster say what is true of a person, who is forgotten with the
// last device. The error is roster.ErrNameTaken, and leaves the person off the
// roster. mu is held.
func (s *Server) show(p *person) error {
	if len(p.sessions) == 0 && s.people[p.key] == p {
		delete(s.people, p.key)
	}
	switch visible := len(p.sessions) > 0 && p.status.Presence != wire.Presence_PRESENCE_INVISIBLE; {
	case visible && p.id == 0:
		u, _, err := s.cfg.Roster.Add(p.user())
		if err != nil {
			return err
		}
		p.id = u.ID
	case visible:
		now := p.user()
		s.cfg.Roster.Update(p.id, func(u *roster.User) { *u = now })
	case p.id != 0:
		s.cfg.Roster.Leave(p.id)
		p.id = 0
	}
	return nil
}

// tellAccount tells a person's devices but one of their account. mu is held.
func (s *Server) tellAccount(p *person, except *session) {
	var frame []byte
	for _, c := range p.sessions {
		if c == except {
			continue
		}
		if frame == nil {
			frame = wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Account{Account: p.accountMessage()}})
		}
		c.say(frame)
	}
}

// enter makes a connection that has proved itself one of its person's, and puts
// that person on the roster: all in one step, in which a connection of the same
// device makes room.
func (s *Server) enter(c *session, name string, status roster.Status, known roster.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The account may have changed since it let the device in; whoever tells
	// of changes from here on finds the session.
	account, _ := s.cfg.Accounts.Lookup(name)
	_, has := account.Device(c.key)
	p := s.people[nameKey(name)]
	old := s.devices[c.key]
	switch {
	case s.closing:
		return errShutdown.soon(1)
	case !has:
		return errRemoved
	case account.Pending:
		return errPending
	case p == nil && len(s.people) >= s.cfg.Limits.MaxUsers:
		return errFull
	case p == nil:
		p = &person{key: nameKey(name)}
		s.people[p.key] = p
	}
	if old != nil && old.person != p {
		last := errReplaced
		s.end(old, last.reason, &last)
		old = nil
	}
	// A further device doesn't overrule what the person said at another one.
	if len(p.sessions) == 0 || len(p.sessions) == 1 && p.sessions[0] == old {
		p.status = status
	}
	p.account, c.person = account, p
	c.seen, c.token = []netip.Addr{limit.Host(c.from)}, newToken()
	s.tokens[c.token] = c
	s.devices[c.key] = c
	if old != nil {
		p.sessions[slices.Index(p.sessions, old)] = c
		last := errReplaced
		s.gone(old, last.reason, &last)
	} else {
		p.sessions = append(p.sessions, c)
	}
	if err := s.show(p); errors.Is(err, roster.ErrNameTaken) {
		delete(s.devices, c.key)
		delete(s.tokens, c.token)
		p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other == c })
		_ = s.show(p)
		return errOnline
	}
	resumed := known.Epoch != 0 && s.cfg.Roster.Resumable(known)
	if resumed {
		c.at = known
		s.metrics.resumed.Inc()
	}
	c.keepalive = keepaliveFor(s.online.Load(), c.guarded) // nobody else knows the session yet
	c.say(wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Welcome{Welcome: &wire.Welcome{
		Version: version, Capabilities: c.capabilities(), Account: p.accountMessage(), Epoch: s.cfg.Roster.Epoch(), Resumed: resumed,
		KeepaliveSeconds: uint32(c.keepalive.Seconds()),
		StunPorts:        s.stunPorts(), StunToken: c.token, WebPort: uint32(s.cfg.WebPort), Relay: s.cfg.Relay != nil,
	}}}))
	s.tellAccount(p, c)
	s.known(c.raw, c.from)
	s.metrics.logins.Inc()
	s.metrics.devices.Inc()
	s.online.Add(1)
	s.cfg.Rush.Login()
	return nil
}

// end ends a session, with a last word if there is one. It does nothing if the
// session has ended. mu is held.
func (s *Server) end(c *session, reason string, last *refusal) {
	if c.ended {
		return
	}
	p := c.person
	p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other == c })
	if s.devices[c.key] == c {
		delete(s.devices, c.key)
	}
	_ = s.show(p) // nobody can have taken the name of somebody who is there
	if !s.closing {
		s.tellAccount(p, nil)
	}
	s.gone(c, reason, last)
}

// gone ends a session that stands nowhere any more. mu is held.
func (s *Server) gone(c *session, reason string, last *refusal) {
	c.ended = true
	delete(s.tokens, c.token)
	c.finish(last)
	s.metrics.devices.Dec()
	s.online.Add(-1)
	s.metrics.ended.WithLabelValues(reason).Inc()
	s.cfg.Log.Info("secure logout", "name", c.person.account.Name, "device", c.key.ID().Short(), "from", c.from, "reason", reason)
}

// near says whether an address given by a client is its own: others are sent
// datagrams there.
func (s *Server) near(from, given netip.Addr) bool {
	return given == from || given.IsValid() && !given.IsUnspecified() && !given.IsMulticast() &&
		slices.ContainsFunc(s.cfg.TrustedNetworks, func(p netip.Prefix) bool { return p.Contains(from) })
}
