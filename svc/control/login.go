package control

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/roster"
)

// version is the one that is spoken.
const version = 1

// greet reads a connection's Hello and starts its session, or refuses it.
func (s *Server) greet(ctx context.Context, conn *tls.Conn, raw net.Conn, from netip.Addr) {
	_ = raw.SetDeadline(time.Now().Add(helloTime))
	key, err := identity.PeerKey(conn.ConnectionState())
	if err != nil { // TLS has verified it
		s.close(raw, from)
		return
	}
	c := &session{
		server: s, conn: conn, raw: raw, from: from, key: key,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	name, err := s.login(ctx, c)
	if err == nil {
		s.cfg.Log.Info("secure login", "name", name, "device", key.ID().Short(), "from", from)
		c.start()
		return
	}
	defer s.close(raw, from)
	if noHello, ok := errors.AsType[helloError](err); ok {
		s.metrics.drop("no hello")
		s.cfg.Log.Info("a connection ended before its login", "from", from, "device", key.ID().Short(), "error", noHello.error)
		if !errors.Is(err, wire.ErrFrame) {
			return
		}
		err = errMalformed
	}
	why := explain(err)
	if why.code == errInternal.code {
		s.cfg.Log.Error("a login failed", "name", name, "error", err)
	}
	s.metrics.refused.WithLabelValues(why.reason).Inc()
	s.cfg.Log.Info("secure login refused", "name", name, "device", key.ID().Short(), "from", from, "reason", why.reason)
	_ = raw.SetDeadline(time.Now().Add(lastWordTime))
	if _, err := conn.Write(why.frame()); err == nil {
		_ = conn.CloseWrite()
		_ = raw.SetReadDeadline(time.Now().Add(lingerTime))
		drain(conn)
	}
}

// helloError is a connection on which no Hello came.
type helloError struct{ error }

func (e helloError) Unwrap() error { return e.error }

// login does what a Hello asks for. The name is meaningful if one came.
func (s *Server) login(ctx context.Context, c *session) (name string, err error) {
	m := new(wire.ToCoordinator)
	if err := wire.Read(c.conn, wire.MaxToCoordinator, m); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it said nothing")
		}
		return "", helloError{err}
	}
	h := m.GetHello()
	if h == nil {
		return "", malformed("Your program has to say hello first. Update it, or report this as a mistake in it.")
	}
	if h.VersionMin > version || h.VersionMax < version {
		return "", errVersion
	}
	if err := classic.ValidateName(h.Name); err != nil {
		return "", err
	}
	s.mu.Lock()
	fast := !s.logins.Allow(c.from, time.Now())
	s.mu.Unlock()
	if fast {
		return h.Name, errFast.soon(3 * perSecond)
	}
	status, err := s.check(c, h)
	if err != nil {
		return h.Name, err
	}
	if err := s.identify(ctx, c, h); err != nil {
		return h.Name, err
	}
	_ = c.raw.SetDeadline(time.Time{}) // from here on the session's
	c.guarded = hostnet.Guard(c.raw, vanishTime)
	return h.Name, s.enter(c, h.Name, status, roster.Position{Epoch: h.Epoch, Seq: h.Sequence})
}

// check takes over what a Hello says of the device.
func (s *Server) check(c *session, h *wire.Hello) (status roster.Status, err error) {
	if status, err = parseStatus(h.Status); err != nil {
		return status, err
	}
	if c.candidates, err = parseCandidates(h.Candidates); err != nil {
		return status, err
	}
	c.deflates = slices.Contains(h.Capabilities, wire.CapabilityDeflate)
	if err := shortText("device's name", h.DeviceLabel, maxRunes); err != nil {
		return status, err
	}
	if err := shortText("program's name", h.Program, 2*maxRunes); err != nil {
		return status, err
	}
	if len(h.Invite) > maxToken || len(h.JoinProof) > maxToken {
		return status, errInviteInvalid
	}
	if h.Classic == nil || len(h.Classic.Endpoint) == 0 {
		return status, nil
	}
	endpoint, err := wire.ParseAddress(h.Classic.Endpoint)
	e := h.Classic.Encoding
	if err != nil || endpoint.Port() == 0 || e < wire.Encoding_ENCODING_UTF16LE || e > wire.Encoding_ENCODING_GB18030 {
		return status, malformed("Your program gives an address for older programs that is none. Update it, or report this as a mistake in it.")
	}
	// Behind a NAT this is an address that means nothing here; the device is
	// then not reached by the classic protocol.
	if s.near(c.from, endpoint.Addr()) {
		c.endpoint, c.encoding = endpoint, classic.Encoding(e-wire.Encoding_ENCODING_UTF16LE)
	}
	return status, nil
}

// identify returns once the device belongs to the account that it asks for.
func (s *Server) identify(ctx context.Context, c *session, h *wire.Hello) error {
	if u, online := s.cfg.Roster.Lookup(h.Name); online && u.Secure == nil {
		return errOnline
	}
	account, exists := s.cfg.Accounts.Lookup(h.Name)
	if _, has := account.Device(c.key); has && !account.Pending {
		return nil
	}
	device := engine.Device{Key: c.key, Label: h.DeviceLabel}
	if len(h.JoinProof) > 0 {
		if !exists {
			return errJoin
		}
		return s.join(ctx, c, h, device)
	}
	account, err := s.cfg.Accounts.Claim(ctx, h.Name, device, *s.policy.Load(), h.Invite)
	if err == nil && account.Pending {
		err = errPending
	}
	return err
}

// join is a device that waits for another one of the account to let it in.
// Server.mu guards it.
type join struct {
	account string
	device  identity.PublicKey
	asked   map[*session]bool // that have not answered
	answer  chan engine.Endorsement
}

// join asks the account's devices whether this one may be another of theirs.
func (s *Server) join(ctx context.Context, c *session, h *wire.Hello, device engine.Device) error {
	id, j, err := s.ask(c, h)
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.joins, id)
	}()
	timeout := time.NewTimer(joinTime)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return errShutdown.soon(1)
	case <-timeout.C:
		return errJoin
	case e, ok := <-j.answer:
		if !ok {
			return errJoin
		}
		device.Endorsements = []engine.Endorsement{e}
	}
	_, err = s.cfg.Accounts.AddDevice(ctx, h.Name, device)
	return err
}

// ask sends a JoinRequest to all devices of the account.
func (s *Server) ask(c *session, h *wire.Hello) (uint64, *join, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.people[nameKey(h.Name)]
	if p == nil {
		return 0, nil, errJoin
	}
	if !p.joins.Allow(time.Now(), joinEvery, time.Minute) {
		return 0, nil, errJoinRate
	}
	j := &join{account: p.key, device: c.key, asked: make(map[*session]bool), answer: make(chan engine.Endorsement, 1)}
	s.lastJoin++
	s.joins[s.lastJoin] = j
	frame := wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_JoinRequest{JoinRequest: &wire.JoinRequest{
		Id: s.lastJoin, Device: c.key[:], Label: h.DeviceLabel, Proof: h.JoinProof,
	}}})
	for _, other := range p.sessions {
		j.asked[other] = true
		other.say(frame)
	}
	return s.lastJoin, j, nil
}

// joinEvery is the time in which one device may try to join an account; five
// may do so at once.
const joinEvery = 12 * time.Second

// joinAnswer is a device's word on a join. Only a signature that holds counts;
// when all have answered without one, the join has failed.
func (c *session) joinAnswer(m *wire.JoinAnswer) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.joins[m.Id]
	if j == nil || !j.asked[c] {
		s.metrics.drop("answer to no question")
		return
	}
	delete(j.asked, c)
	if identity.VerifyEndorsement(c.key, j.account, j.device, m.Signature) == nil {
		j.answer <- engine.Endorsement{By: c.key, Signature: m.Signature}
		delete(s.joins, m.Id)
	} else if len(j.asked) == 0 {
		close(j.answer)
		delete(s.joins, m.Id)
	}
}
