// Package control is the coordinator's side of the secure protocol: logins by
// key, the roster and its changes, and introductions of one device to another.
package control

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/identity"
	"earshot/svc/engine"
	"earshot/svc/limit"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// ErrConfig is the family of settings that can't be used.
var ErrConfig = errors.New("this setting can't be used")

// Accounts is who owns which name; *engine.Engine is one. Its methods may be
// called from any goroutine. Lookup and OwnerOf don't wait.
type Accounts interface {
	Lookup(name string) (engine.Account, bool)
	OwnerOf(device identity.PublicKey) (engine.Account, bool)
	Claim(ctx context.Context, name string, d engine.Device, policy engine.Policy, token string) (engine.Account, error)
	AddDevice(ctx context.Context, name string, d engine.Device) (engine.Account, error)
	RemoveDevice(ctx context.Context, name string, device identity.PublicKey) error
}

// Limits bound what anybody can make the coordinator hold or do. A zero is the
// default. An address is an IP address, for IPv6 one /64; behind a NAT a whole
// office has one.
type Limits struct {
	// MaxUsers is how many accounts may be online. Default 10,000.
	MaxUsers int
	// MaxConnections is how many connections there may be. Default 20,000.
	MaxConnections int
	// MaxConnectionsPerAddress is the same for one address. Default 1,024.
	MaxConnectionsPerAddress int
	// MaxHandshakesPerAddress is how many of one address's connections may not
	// have logged in yet. Default 256.
	MaxHandshakesPerAddress int
	// LoginsPerSecondPerAddress bounds logins; four seconds' worth may come at
	// once. Twice as many connections may come. Default 100.
	LoginsPerSecondPerAddress int
}

// WithDefaults returns the limits with every zero replaced. A negative limit
// is an error of ErrConfig.
func (l Limits) WithDefaults() (Limits, error) {
	return l, limit.SetDefaults(ErrConfig,
		limit.Default{Name: "MaxUsers", Value: &l.MaxUsers, Fallback: 10_000},
		limit.Default{Name: "MaxConnections", Value: &l.MaxConnections, Fallback: 20_000},
		limit.Default{Name: "MaxConnectionsPerAddress", Value: &l.MaxConnectionsPerAddress, Fallback: 1024},
		limit.Default{Name: "MaxHandshakesPerAddress", Value: &l.MaxHandshakesPerAddress, Fallback: 256},
		limit.Default{Name: "LoginsPerSecondPerAddress", Value: &l.LoginsPerSecondPerAddress, Fallback: 100},
	)
}

// Times of the protocol.
const (
	// plainTime is how long a connection may say nothing at all before it is
	// taken for a person's who looks what is there.
	plainTime = 3 * time.Second
	// handshakeTime is how long TLS may take to come about.
	handshakeTime = 10 * time.Second
	// helloTime is how long the Hello may take from there.
	helloTime = 10 * time.Second
	// keepalive is how often a client is to say something, while there are few.
	keepalive = 25 * time.Second
	// maxPings is how many clients together may do so in a second. Where there
	// are more than that, each does it half as often, or a quarter, down to once in
	// longestKeepalive.
	maxPings         = 200
	longestKeepalive = 3200 * time.Second
	// guardedPings is the same for connections of which the system itself finds
	// out within vanishTime that the other host is gone. Their pings find out
	// programs that hang, and each wakes this one, which the system's question
	// doesn't.
	guardedPings = 10
	vanishTime   = time.Minute
	// silentTime is after how long without a whole frame a client is gone, or
	// as much later as its keepalive is longer.
	silentTime = 60 * time.Second
	// writeTime is how long a client may not read what it is written.
	writeTime = 30 * time.Second
	// joinTime is how long the devices of an account have to answer for a new
	// one.
	joinTime = 10 * time.Second
	// lastWordTime bounds the writing of a Refused, and lingerTime how long the
	// client may take to read it.
	lastWordTime = 2 * time.Second
	lingerTime   = 2 * time.Second
)

// Config is what a Server stands on. The server owns the listener once Run is
// called, and closes it.
type Config struct {
	Listener net.Listener
	// Roster is where users are put.
	Roster *roster.Roster
	// Rush is told of logins, and says when they come first. It is that of all
	// servers of the roster; nil is one of this server's own.
	Rush     *rush.Rush
	Accounts Accounts
	// Policy is who may have a new account; the empty one is open.
	Policy engine.Policy
	// Certificate returns the coordinator's, as tls.Config.GetCertificate.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Tickets returns the secrets of the tickets with which clients are back faster
	// (see identity.Resumable). It is asked again each hour, from the goroutine of
	// a connection; nil gives none.
	Tickets func() [][32]byte
	// TrustedNetworks are those from which a client may name a classic endpoint
	// of another IP address than its own.
	TrustedNetworks []netip.Prefix
	// Plain, if set, is written to connections that don't begin as TLS does.
	Plain string
	// StunPorts are the UDP ports that answer STUN (svc/stun), and WebPort the
	// TCP port of the WebSocket (svc/web), as clients are told; zero for none.
	StunPorts []uint16
	WebPort   uint16
	// Relay, if set, gets the connections that are for it.
	Relay  Relay
	Limits Limits
	// Log is for what the administrator may want to know; nil logs nothing.
	Log *slog.Logger
	// Metrics registers the collectors; nil registers none.
	Metrics prometheus.Registerer
}
