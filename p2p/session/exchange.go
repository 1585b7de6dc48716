package session

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Introduction is what the coordinator says of a device that wants to talk, or
// that answers one of this device's own introductions.
type Introduction struct {
	Candidates []punch.Candidate
	Nat        wire.Nat
	// Key is the probe key, of punch.KeySize bytes; a device that gives none
	// is dialled where it says that it is.
	Key    []byte
	Answer bool
}

// exchange is the search for a path that follows from one introduction. The
// device's goroutine owns all but what mu guards.
type exchange struct {
	d       *device
	x       *punch.Exchange
	key     [punch.KeySize]byte
	machine *punch.Machine
	wake    time.Time
	sockets []*socket
	begun   time.Time
	sent    int

	mu      sync.Mutex
	pending map[punch.Transaction]netip.AddrPort // pings without a pong
	heard   map[punch.Transaction]struct{}       // pings that came
}

// socket is one of many that a hard NAT is opened with.
type socket struct {
	conn  net.PacketConn
	done  chan struct{} // closed once nobody reads it
	moved bool          // it belongs to a lane now; the device's goroutine's
}

const (
	// maxHeard bounds the pings of one exchange that are listened to.
	maxHeard = 4096
	// maxSockets bounds those that hard NATs are opened with, in all.
	maxSockets = 1024
	// answers to introductions are bounded for each device, and for all.
	introductionsOfOne, introductionsOfAll = 0.5, 32 // a second
	introductionsAtOnce                    = 4
)

// evProbe is an authentic probe of one of the device's exchanges.
type evProbe struct {
	ex    *exchange
	heard punch.Heard
}

// newExchange begins to listen to the probes of an introduction.
func (d *device) newExchange(key [punch.KeySize]byte, answers bool, now time.Time) *exchange {
	nat, ttl := d.e.cfg.Network()
	low := lower(d.e.self, d.key.ID())
	ex := &exchange{
		d: d, key: key, x: punch.NewExchange(key, low), begun: now,
		machine: punch.New(punch.Config{Lower: low, Answers: answers, Local: nat, TTL: ttl, Pick: pickPorts}, now),
		pending: make(map[punch.Transaction]netip.AddrPort), heard: make(map[punch.Transaction]struct{}),
	}
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	d.e.exchanges[ex.x.ID] = ex
	return ex
}

// pickPorts returns n distinct ports from 1024 on: the range that Linux and
// most others draw from (RFC 6056, 3.2).
func pickPorts(n int) []uint16 {
	ports := make([]uint16, n)
	for i, p := range mathrand.Perm(65536 - 1024)[:n] {
		ports[i] = uint16(p + 1024)
	}
	return ports
}

// place tells the searches what has become known of this device's network.
func (d *device) place(now time.Time) {
	nat, ttl := d.e.cfg.Network()
	for _, ex := range []*exchange{d.asked, d.answered} {
		if ex != nil {
			d.advance(ex, punch.Placed{Local: nat, TTL: ttl}, now)
		}
	}
}

// introduce asks for an introduction, and listens for what comes of it. It
// returns what the machine is told.
func (d *device) introduce(now time.Time) any {
	var key [punch.KeySize]byte
	_, _ = rand.Read(key[:]) // never fails
	d.setExchange(&d.asked, d.newExchange(key, false, now))
	d.e.cfg.Introduce(d.key, key, false)
	nat, _ := d.e.cfg.Network()
	return evBlocked{nat == wire.Nat_NAT_BLOCKED}
}

// setExchange has a new search take the place of the one before.
func (d *device) setExchange(place **exchange, ex *exchange) {
	if ex != nil && d.asked == nil && d.answered == nil {
		d.sought = ex.begun
	}
	if old := *place; old != nil {
		old.stop()
	}
	*place = ex
}

// meet takes an introduction. It returns what the machine is told.
func (d *device) meet(i Introduction, now time.Time) any {
	probed := len(i.Key) == punch.KeySize
	var at []netip.AddrPort
	for _, c := range i.Candidates {
		// What is probed is dialled once a probe has come through: it may be a
		// third party's, to whom a handshake is much and a probe is little.
		if !probed && c.Kind != wire.Candidate_KIND_REFLEXIVE && c.Kind != wire.Candidate_KIND_MAPPED {
			at = append(at, c.At)
		}
	}
	told := punch.Told{Nat: i.Nat, Candidates: i.Candidates}
	nat, _ := d.e.cfg.Network()
	blocked := nat == wire.Nat_NAT_BLOCKED || i.Nat == wire.Nat_NAT_BLOCKED
	if i.Answer {
		if ex := d.asked; ex != nil && len(i.Key) == len(ex.key) && [punch.KeySize]byte(i.Key) == ex.key {
			d.introduced, d.introducedAt, d.told = at, now, i.Candidates
			d.advance(ex, told, now)
		}
		return evBlocked{blocked}
	}
	if !d.introductions.Allow() {
		return nil
	}
	d.introduced, d.introducedAt, d.told = at, now, i.Candidates
	if probed {
		key := [punch.KeySize]byte(i.Key)
		if old := d.answered; old == nil || old.key != key {
			if !d.e.introductions.Allow() {
				return nil
			}
			d.setExchange(&d.answered, d.newExchange(key, true, now))
			// The openers leave before the answer that has the other one send.
			defer d.e.cfg.Introduce(d.key, key, true)
		}
		d.advance(d.answered, told, now)
	}
	return evIntroduced{blocked, probed}
}

// advance gives a search an event, and does what follows.
func (d *device) advance(ex *exchange, event any, now time.Time) {
	actions, wake := ex.machine.Step(event, now)
	ex.wake = wake
	for _, a := range actions {
		switch a := a.(type) {
		case punch.Send:
			ex.ping(a)
		case punch.Open:
			opened := ex.open(a.Sockets)
			d.advance(ex, punch.Opened{Sockets: opened}, now)
			return // Open comes alone
		case punch.Found:
			if l := ex.lane(a.Socket); l != nil {
				d.e.log.Debug("a path was found", "device", d.key.ID().Short(), "at", a.At, "after", now.Sub(ex.begun), "probes", ex.sent)
				d.follow(l, a.At, now)
			}
		case punch.Try:
			d.follow(d.e.main, a.At, now)
		case punch.Keep:
			ex.lane(a.Socket)
		}
	}
}

// search gives the searches their time, and returns when they want it again.
func (d *device) search(now time.Time) (wake time.Time) {
	for _, place := range []**exchange{&d.asked, &d.answered} {
		ex := *place
		if ex == nil {
			continue
		}
		if ex.machine.Over(now) {
			d.setExchange(place, nil)
			continue
		}
		if !ex.wake.IsZero() && !now.Before(ex.wake) {
			d.advance(ex, nil, now)
		}
		if at := ex.wake; !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}

// endSearch ends all searches.
func (d *device) endSearch() {
	d.setExchange(&d.asked, nil)
	d.setExchange(&d.answered, nil)
	if d.following != nil {
		d.stopFollowing()
		d.following = nil
	}
}

// stop ends a search.
func (ex *exchange) stop() {
	e := ex.d.e
	e.mu.Lock()
	delete(e.exchanges, ex.x.ID)
	e.mu.Unlock()
	e.sockets.Add(-int64(len(ex.sockets)))
	for _, s := range ex.sockets {
		if !s.moved {
			s.conn.Close()
		}
	}
	ex.sockets = nil
}

// ping sends a probe.
func (ex *exchange) ping(a punch.Send) {
	e := ex.d.e
	tx := punch.NewTransaction()
	b := ex.x.Append(make([]byte, 0, punch.Size), punch.Probe{Type: punch.Ping, Tx: tx})
	if a.TTL == 0 { // an opener is answered by nobody
		ex.mu.Lock()
		ex.pending[tx] = a.To
		ex.mu.Unlock()
	}
	ex.sent++
	conn := e.main.conn
	if a.Socket > 0 {
		s := ex.socket(a.Socket)
		if s == nil {
			return
		}
		conn = s.conn
	}
	if err := hostnet.WriteTTL(conn, b, a.To, a.TTL); err != nil {
		// One network of several may be missing; the schedule goes on.
		e.log.Debug("a probe could not be sent", "to", a.To, "error", err)
	}
}

func (ex *exchange) socket(number int) *socket {
	if number < 1 || number > len(ex.sockets) {
		return nil
	}
	return ex.sockets[number-1]
}

// open opens sockets, as many as the system gives.
func (ex *exchange) open(n int) int {
	e := ex.d.e
	for len(ex.sockets) < n && e.sockets.Add(1) <= maxSockets {
		conn, err := e.cfg.Listen(ex.d.ctx)
		if err != nil {
			e.sockets.Add(-1)
			e.log.Debug("there are no more sockets", "open", len(ex.sockets), "error", err)
			return len(ex.sockets)
		}
		s := &socket{conn: conn, done: make(chan struct{})}
		ex.sockets = append(ex.sockets, s)
		number := len(ex.sockets)
		e.running.Go(func() { ex.read(s, number) })
	}
	if len(ex.sockets) < n {
		e.sockets.Add(-1)
	}
	return len(ex.sockets)
}

// read reads probes from one of many sockets, until it is closed or belongs to
// a lane.
func (ex *exchange) read(s *socket, number int) {
	defer close(s.done)
	stop := context.AfterFunc(ex.d.ctx, func() { s.conn.Close() })
	defer stop()
	buf := make([]byte, punch.Size+1)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		case err != nil: // the answer of a router to an earlier probe
			continue
		}
		if id, ok := punch.IDOf(buf[:n]); ok && id == ex.x.ID {
			ex.take(s.conn, number, buf[:n], hostnet.AddrPort(from))
		}
	}
}

// lane returns what carries QUIC through a socket of the search; nil if that
// has gone.
func (ex *exchange) lane(number int) *lane {
	if number == 0 {
		return ex.d.e.main
	}
	s := ex.socket(number)
	if s == nil || s.moved {
		return nil
	}
	s.moved = true
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails the read, or the socket is closed
	<-s.done
	_ = s.conn.SetReadDeadline(time.Time{})
	return ex.d.e.addExtra(ex.d.ctx, s.conn)
}

// take takes a datagram that says it belongs to the exchange. It answers a ping
// where it came from.
func (ex *exchange) take(conn net.PacketConn, number int, b []byte, from netip.AddrPort) {
	p, err := ex.x.Open(b)
	if err != nil {
		return
	}
	elsewhere := false
	ex.mu.Lock()
	switch p.Type {
	case punch.Ping:
		_, old := ex.heard[p.Tx]
		if old || len(ex.heard) >= maxHeard {
			ex.mu.Unlock()
			return
		}
		ex.heard[p.Tx] = struct{}{}
	case punch.Pong:
		to, ok := ex.pending[p.Tx]
		if !ok {
			ex.mu.Unlock()
			return
		}
		delete(ex.pending, p.Tx)
		elsewhere = to != from
	}
	ex.mu.Unlock()
	kind := p.Type
	if elsewhere {
		// A NAT that lets everybody in, and has another port for this device
		// than for whoever told it of one. It says what a ping from there does.
		kind = punch.Ping
	}
	if p.Type == punch.Ping {
		pong := ex.x.Append(make([]byte, 0, punch.Size), punch.Probe{Type: punch.Pong, Tx: p.Tx, Seen: from})
		_, _ = conn.WriteTo(pong, net.UDPAddrFromAddrPort(from)) // the next ping is answered, too
	}
	ex.d.box.put(evProbe{ex, punch.Heard{Type: kind, From: from, Socket: number}})
}

// datagram takes what came through a lane and is not QUIC.
func (e *Endpoint) datagram(l *lane, number int, b []byte, from netip.AddrPort) {
	id, ok := punch.IDOf(b)
	if !ok {
		e.cfg.Other(b, from)
		return
	}
	e.mu.Lock()
	ex := e.exchanges[id]
	e.mu.Unlock()
	if ex != nil {
		ex.take(l.conn, number, b, from)
	}
}

// WriteTo sends a datagram that is not QUIC through the main socket. TTL 0 is
// the system's default.
func (e *Endpoint) WriteTo(b []byte, to netip.AddrPort, ttl int) error {
	return e.main.write(b, to, ttl)
}

// Introduced says what the coordinator has told of a device. It is heard only
// if Lookup knows the device.
func (e *Endpoint) Introduced(from identity.PublicKey, i Introduction) {
	if _, _, ok := e.cfg.Lookup(from); !ok {
		return
	}
	if i.Answer {
		e.tell(from, i)
		return
	}
	e.post(from, i)
}

// Placed says that Network has something new to say.
func (e *Endpoint) Placed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.devices {
		d.box.put(evPlaced{})
	}
}

// Relayed says whether packets of a device come through the relay from now on.
func (e *Endpoint) Relayed(device identity.PublicKey, ready bool) { e.tell(device, evRelay{ready}) }
