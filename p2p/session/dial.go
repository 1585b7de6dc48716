package session

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"earshot/protocol/hostnet"
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
	ctx, won := d.dialling, new(race)
	d.race = won
	for i, at := range list {
		d.e.running.Go(func() {
			if hostnet.Pause(ctx, time.Duration(i)*stagger) && !won.over() {
				d.attempt(ctx, d.e.main, net.UDPAddrFromAddrPort(at), name, won)
			}
		})
	}
	return len(list) > 0
}

// dialRelay tries to make a connection through the relay.
func (d *device) dialRelay() {
	name, _, ok := d.e.cfg.Lookup(d.key)
	if !ok || d.e.relay == nil {
		return
	}
	if d.dialling == nil {
		d.dialling, d.stopDialling = context.WithCancel(d.ctx)
	}
	ctx, at := d.dialling, d.e.cfg.Relay.Addr(d.key)
	d.e.running.Go(func() { d.attempt(ctx, d.e.relay, at, name, new(race)) })
}

// follow makes a connection on a path that was found, unless one is about to
// be there by another.
func (d *device) follow(on *lane, at netip.AddrPort, now time.Time) {
	name, _, ok := d.e.cfg.Lookup(d.key)
	if !ok {
		return
	}
	if d.race == nil || now.UnixNano()-d.race.won.Load() > int64(raceFor) && d.race.over() {
		d.race = new(race)
	}
	if d.following == nil {
		d.following, d.stopFollowing = context.WithCancel(d.ctx)
	}
	ctx, won := d.following, d.race
	d.e.running.Go(func() {
		if !won.over() {
			d.attempt(ctx, on, net.UDPAddrFromAddrPort(at), name, won)
		}
	})
}

// race lets one of several attempts win.
type race struct{ won atomic.Int64 } // when, Unix time in ns

// raceFor is how long the winner has to become a connection.
const raceFor = time.Second

func (r *race) over() bool { return r.won.Load() != 0 }

func (r *race) win() bool { return r.won.CompareAndSwap(0, time.Now().UnixNano()) }

// attempt makes a connection to one address. The first of a round whose
// handshake succeeds wins.
func (d *device) attempt(ctx context.Context, on *lane, at net.Addr, name string, won *race) {
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	conn, err := on.dial(ctx, at, d.key)
	if err != nil {
		d.e.log.Debug("a device was not reached", "device", d.key.ID().Short(), "name", name, "at", at, "error", err)
		return
	}
	if !won.win() {
		closeConn(conn, codeReplaced)
		return
	}
	// From the hello on the other device counts on this connection. To take it
	// away then because one came from there would leave both with none, if
	// both did it.
	greeting, cancel := context.WithTimeout(d.ctx, helloWithin)
	defer cancel()
	l, err := d.e.greet(greeting, on, conn, name, true)
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
