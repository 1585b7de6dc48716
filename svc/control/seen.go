package control

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/limit"
	"earshot/svc/roster"
)

const (
	// maxSeen bounds the addresses at which a device is known to be.
	maxSeen = 8
	// answerTime is how long a device may take to answer an introduction, and
	// maxAsked how many answers may be awaited.
	answerTime = 30 * time.Second
	maxAsked   = 256
)

// Relay carries packets between devices; *relay.Server is one.
type Relay interface {
	// Serve carries one device's connection until it or ctx ends.
	Serve(ctx context.Context, conn net.Conn, device identity.PublicKey) error
	// Forget ends the connection of a device that belongs to nobody any more.
	Forget(device identity.PublicKey)
}

// newToken is what a device shows at the STUN ports.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (s *Server) stunPorts() (ports []uint32) {
	for _, port := range s.cfg.StunPorts {
		ports = append(ports, uint32(port))
	}
	return ports
}

// Seen says that the device which holds a token has got an answer at an address
// (svc/stun), so that the address is its own.
func (s *Server) Seen(token string, at netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.tokens[token]
	if c == nil {
		return
	}
	host := limit.Host(at.Addr())
	if !slices.Contains(c.seen, host) {
		if len(c.seen) >= maxSeen {
			c.seen = slices.Delete(c.seen, 1, 2) // the first is the connection's
		}
		c.seen = append(c.seen, host)
	}
}

// shared is the carrier's part of a NAT (RFC 6598), which is private to it.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// own leaves out the candidates that might be somebody else's: whoever is told
// of them sends there. An address of the whole Internet must have been seen in
// use by the device, and the loopback by one on this computer; one of a private
// network leads out of nobody's. A reflexive one is what was seen, whatever it
// is, and has many guesses sent to it. mu is held.
func (c *session) own(candidates []roster.Candidate) []roster.Candidate {
	return slices.DeleteFunc(slices.Clone(candidates), func(candidate roster.Candidate) bool {
		at := candidate.Address.Addr()
		if at.IsLinkLocalUnicast() {
			return true
		}
		private := at.IsPrivate() || shared.Contains(at)
		return (!private || candidate.Kind == wire.Candidate_KIND_REFLEXIVE) && !slices.Contains(c.seen, limit.Host(at))
	})
}

// onRoster is what everybody is told: where the device is on its own network.
// The rest goes to those only whom it is introduced to. mu is held.
func (c *session) onRoster(candidates []roster.Candidate) []roster.Candidate {
	return slices.DeleteFunc(c.own(candidates), func(candidate roster.Candidate) bool {
		return candidate.Kind != wire.Candidate_KIND_HOST
	})
}

// mayReach says whether a device is introduced to another one: to whom it sees
// on the roster, to others of its account, and to whoever has just asked for
// it, be it invisible. mu is held.
func (c *session) mayReach(other *session, answer bool, now time.Time) bool {
	if answer {
		asked, ok := other.asked[c.key]
		return ok && now.Sub(asked) < answerTime
	}
	return other.person.id != 0 || other.person == c.person
}

// asks notes that a device wants to talk to another one, which may answer. mu is
// held.
func (c *session) asks(other *session, now time.Time) {
	if c.asked == nil {
		c.asked = make(map[identity.PublicKey]time.Time)
	}
	if len(c.asked) >= maxAsked {
		maps.DeleteFunc(c.asked, func(_ identity.PublicKey, at time.Time) bool { return now.Sub(at) >= answerTime })
	}
	if len(c.asked) < maxAsked {
		c.asked[other.key] = now
	}
}

// relay has a connection carry packets, if its device belongs to somebody.
func (s *Server) relay(ctx context.Context, conn *tls.Conn, raw net.Conn, from netip.Addr) {
	defer s.close(raw, from)
	key, err := identity.PeerKey(conn.ConnectionState())
	if err != nil || s.cfg.Relay == nil { // TLS has verified the one, and the configuration says the other
		return
	}
	account, ok := s.cfg.Accounts.OwnerOf(key)
	if _, has := account.Device(key); !ok || !has || account.Pending {
		s.metrics.drop("relay for a stranger")
		return
	}
	_ = raw.SetDeadline(time.Time{})
	s.mu.Lock()
	s.known(raw, from)
	s.mu.Unlock()
	err = s.cfg.Relay.Serve(ctx, conn, key)
	s.cfg.Log.Debug("a relay connection ended", "device", key.ID().Short(), "from", from, "cause", err)
}

// forgetRelays ends the relay connections of devices that an account has lost.
func (s *Server) forgetRelays(before, after engine.Account) {
	if s.cfg.Relay == nil {
		return
	}
	for _, d := range before.Devices {
		if _, has := after.Device(d.Key); !has {
			s.cfg.Relay.Forget(d.Key)
		}
	}
}
