package classic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
)

// datagram is a message that arrived at the listener.
type datagram struct {
	m        classic.Message
	encoding classic.Encoding
	from     netip.AddrPort
	// chinese is the same bytes read as GB18030, where they could be either.
	chinese classic.Message
}

// readListener reads what the coordinator and other people send, until the
// listener is closed.
func (t *Transport) readListener(listener net.PacketConn) {
	buf := make([]byte, classic.MaxDatagram+1)
	for {
		n, addr, err := listener.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // it belongs to one datagram
		}
		d := datagram{from: hostnet.AddrPort(addr)}
		if d.m, d.encoding, err = classic.ParseDatagram(buf[:n]); err != nil {
			continue // anybody can send anything
		}
		if _, chat := d.m.(classic.Talk); chat && !t.rates.allow(d.from.Addr(), time.Now()) {
			continue
		}
		if m, e, err := classic.ParseDatagramAs(classic.GB18030, buf[:n]); err == nil && e != d.encoding {
			d.chinese = m
		}
		t.post(d)
	}
}

// sort tells what a datagram is: an event of the machine if it is the
// coordinator's, a message of somebody, or nothing.
func (t *Transport) sort(d datagram, on func(p2p.Event)) any {
	if talk, ok := d.m.(classic.Talk); ok {
		t.talk(talk, d, on)
		return nil
	}
	// Only the coordinator says who comes and goes; from anyone else it is a
	// forgery.
	if d.from.Addr() != t.machine.server.Addr() {
		return nil
	}
	if d.chinese != nil && t.cfg.Encoding == classic.GB18030 {
		d.m = d.chinese // the coordinator answers as it is spoken to
	}
	if group, ok := d.m.(classic.Group); ok {
		if classic.ValidateName(group.Sender) == nil {
			on(received(group.Sender, group.Text, p2p.Everyone, true))
		}
		return nil
	}
	return evMessage{d.m, d.from}
}

// talk reports a message from another person.
func (t *Transport) talk(m classic.Talk, d datagram, on func(p2p.Event)) {
	if other, ok := d.chinese.(classic.Talk); ok && t.peers.speaks(other.Sender, classic.GB18030) {
		m, d.encoding = other, classic.GB18030
	}
	m = m.ResolveSender(func(name string) bool {
		_, known := t.machine.roster.members[name]
		return known || name == t.cfg.Name
	})
	if classic.ValidateName(m.Sender) != nil {
		return
	}
	at, known := t.machine.roster.members[m.Sender]
	known = known && at.Addr() == d.from.Addr()
	if known {
		t.peers.learn(m.Sender, at, d.encoding)
	}
	on(received(m.Sender, m.Text, p2p.Direct, known))
}

// received is a text as an event.
func received(from, text string, audience p2p.AudienceKind, known bool) p2p.Received {
	return p2p.Received{From: from, Known: known, Item: p2p.Item{
		At: time.Now(), Audience: p2p.Audience{Kind: audience}, Body: p2p.Text{Text: text},
	}}
}

// readLink reads answers to what this client asked the coordinator, and the
// errors that say that nothing listens there.
func (t *Transport) readLink(link net.Conn, server netip.AddrPort) {
	buf := make([]byte, classic.MaxDatagram+1)
	for {
		n, err := link.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case isUnreachable(err):
			t.unreachable(link)
			continue
		case err != nil:
			continue
		}
		m, _, err := classic.ParseDatagramAs(t.cfg.Encoding, buf[:n])
		switch m := m.(type) {
		case classic.Speaks:
			t.peers.answer(m)
		case nil:
			t.log.Debug("the coordinator sent no message", "error", err)
		default: // a coordinator that answers to the source of a request
			t.post(evMessage{m, server})
		}
	}
}

const (
	// fetchTimeout bounds the fetching of the list.
	fetchTimeout = 10 * time.Second
	// quietLimit is how long a list connection may pause before what has come
	// is all there is.
	quietLimit = 500 * time.Millisecond
	// holdAfter is how long a list connection lives that is meant to be kept;
	// a coordinator that closes earlier has only finished the list.
	holdAfter = 2 * time.Second
)

// fetch reads the list, and then holds the connection for as long as the
// coordinator does: on raw text its loss is news.
func (t *Transport) fetch(from netip.AddrPort) {
	conn, err := t.cfg.Net.Dial(t.ctx, from)
	if err != nil {
		t.post(evFailed{fmt.Errorf("%w: the list could not be fetched from %v: %w", p2p.ErrUnreachable, from, err)})
		return
	}
	defer conn.Close()
	if !t.hold(conn) {
		return
	}
	all, entries, err := t.readList(conn)
	if err != nil {
		t.post(evFailed{fmt.Errorf("%w: the list from %v is incomplete: %w", p2p.ErrNoAnswer, from, err)})
		return
	}
	t.post(evList{entries})
	if classic.FramingFor(t.cfg.Encoding) == classic.DotNet {
		t.release(conn)
		return
	}
	began := time.Now()
	t.readMore(conn, all)
	if t.release(conn) && time.Since(began) > holdAfter {
		t.post(evLinkLost{})
	}
}

// readList reads until the list is whole, and returns what it read too.
func (t *Transport) readList(conn net.Conn) (all []byte, entries []classic.Entry, err error) {
	expect := classic.FramingFor(t.cfg.Encoding)
	deadline := time.Now().Add(fetchTimeout)
	buf := make([]byte, 64<<10)
	for {
		wait := deadline
		if quiet := time.Now().Add(quietLimit); len(all) > 0 && quiet.Before(deadline) {
			wait = quiet
		}
		_ = conn.SetReadDeadline(wait)
		n, readErr := conn.Read(buf)
		all = append(all, buf[:n]...)
		entries, done, err := classic.ParseList(all, expect, readErr != nil)
		if done || err != nil {
			return all, entries, err
		}
	}
}

// readMore reads a list connection to its end. If more comes, what looked like
// the list's end was the beginning of somebody's name.
func (t *Transport) readMore(conn net.Conn, all []byte) {
	_ = conn.SetReadDeadline(time.Time{})
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		all = append(all, buf[:n]...)
		entries, done, err := classic.ParseList(all, classic.RawText, false)
		if err != nil {
			return // too much to be a list
		}
		if done {
			t.post(evList{entries})
		}
	}
}

// hold makes a list connection the one that is kept, and says whether Run goes
// on.
func (t *Transport) hold(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.held = conn
	return true
}

// release says whether the connection was still the kept one, and forgets it.
func (t *Transport) release(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != conn {
		return false
	}
	t.held = nil
	return true
}

// dropHeld closes the kept connection, if there is one.
func (t *Transport) dropHeld() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != nil {
		t.held.Close()
		t.held = nil
	}
}

// Chats are limited by source, so that a flood costs neither disk nor sight.
const (
	// Everyone behind one address shares these, as on a terminal server. A
	// sender of ours stays below them, see sendRate.
	chatsPerSecond = 200
	chatBurst      = 1000
	maxSources     = 4096
)

// rates limits by source address. Its memory is bounded: when it is full it
// starts anew.
type rates struct {
	rate    rate.Limit // of each source
	mu      sync.Mutex
	sources map[netip.Addr]*rate.Limiter
}

func newRates() *rates {
	return &rates{rate: chatsPerSecond, sources: make(map[netip.Addr]*rate.Limiter)}
}

func (r *rates) allow(source netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.sources[source]
	if limiter == nil {
		if len(r.sources) >= maxSources {
			clear(r.sources)
		}
		limiter = rate.NewLimiter(r.rate, chatBurst)
		r.sources[source] = limiter
	}
	return limiter.AllowN(now, 1)
}
