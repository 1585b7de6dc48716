package session

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

const (
	// stagger is between the addresses of one round.
	stagger = 50 * time.Millisecond
	// attemptWithin is how long one address is waited for.
	attemptWithin = 4 * time.Second
	maxAddresses  = 16
	// rememberFor is how long an introduction's addresses are good.
	rememberFor = time.Minute
)

// addresses are all at which the device may be, the best first.
func (d *device) addresses(now time.Time) (list []netip.AddrPort) {
	_, at, ok := d.e.cfg.Lookup(d.key)
	if !ok {
		return nil
	}
	if d.known.IsValid() {
		list = append(list, d.known)
	}
	list = append(list, at...)
	if now.Sub(d.introducedAt) < rememberFor {
		list = append(list, d.introduced...)
	}
	var unique []netip.AddrPort
	for _, a := range list {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if a.IsValid() && a.Port() != 0 && !slices.Contains(unique, a) && len(unique) < maxAddresses {
			unique = append(unique, a)
		}
	}
	return unique
}

// dialAll tries all addresses, each a little after the one before. It says
// whether there were any.
func (d *device) dialAll(now time.Time) bool {
	list := d.addresses(now)
	name, _, _ := d.e.cfg.Lookup(d.key)
	if d.dialling == nil {
		d.dialling, d.stopDialling = context.WithCancel(d.ctx)
	}
	ctx, won := d.dialling, new(atomic.Bool)
	for i, at := range list {
		d.e.running.Go(func() { d.attempt(ctx, at, time.Duration(i)*stagger, name, won) })
	}
	return len(list) > 0
}

// attempt makes a connection to one address. The first of a round whose
// handshake succeeds wins.
func (d *device) attempt(ctx context.Context, at netip.AddrPort, after time.Duration, name string, won *atomic.Bool) {
	if !hostnet.Pause(ctx, after) || won.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	conn, err := d.e.tr.Dial(ctx, net.UDPAddrFromAddrPort(at),
		identity.ClientTLS(d.e.tls.certificate, identity.ALPNPeer, identity.Expect(d.key)), dialConfig)
	if err != nil {
		d.e.log.Debug("a device was not reached", "device", d.key.ID().Short(), "name", name, "at", at, "error", err)
		return
	}
	if !won.CompareAndSwap(false, true) {
		closeConn(conn, codeReplaced)
		return
	}
	// From the hello on the other device counts on this connection. To take it
	// away then because one came from there would leave both with none, if
	// both did it.
	greeting, cancel := context.WithTimeout(d.ctx, helloWithin)
	defer cancel()
	l, err := d.e.greet(greeting, conn, name, true)
	if err != nil {
		why := codeOf(context.Cause(conn.Context()))
		d.e.log.Debug("a device refused the session", "device", d.key.ID().Short(), "name", name, "at", at, "error", err)
		d.e.tell(d.key, evRejected{why})
		return
	}
	if !d.e.post(d.key, l) {
		closeConn(conn, codeShutdown)
	}
}
