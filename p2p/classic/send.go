package classic

import (
	"context"
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
	"earshot/protocol/identity"
)

const (
	// refusalWait is how long a sender waits for word that nobody listens
	// (ICMP port unreachable), the only answer that a datagram ever gets.
	refusalWait = 100 * time.Millisecond
	// freshFor is how long such a wait that brought nothing is good for: a
	// row of messages is not slowed down by it.
	freshFor = time.Second
	// maxOutlets bounds the sockets kept for people, idleOutlet their rest.
	maxOutlets = 256
	idleOutlet = 45 * time.Second
	// Long texts leave in bursts, so that the receiver's socket buffer holds
	// them: some systems give a socket no more than 200 kB.
	burst      = 16
	burstPause = 5 * time.Millisecond
	// A row of messages leaves no faster than its receiver is willing to take,
	// for what that drops, nobody hears of.
	sendRate  = 150 // datagrams a second
	sendBurst = 128 // at once: a socket buffer may hold no more small ones
)

// clock is the time field of a chat, as .NET's ToLongTimeString writes it.
const clock = time.TimeOnly

// Send implements p2p.Transport. Of items only texts can go.
func (t *Transport) Send(to p2p.Target, item p2p.Item, done func(error)) {
	text, ok := item.Body.(p2p.Text)
	if !ok {
		done(p2p.ErrNotSupported)
		return
	}
	t.lanes.add(to.Person.Name, func(ctx context.Context) { done(t.send(ctx, to.Person, text.Text)) })
}

func (t *Transport) send(ctx context.Context, to p2p.Person, text string) error {
	encoding := t.peers.encodingOf(ctx, to, t.cfg.Encoding, func(q classic.SpeaksQuery) { t.sendToCoordinator(q) })
	return t.outlets.send(ctx, to.Addr, talks(t.cfg.Name, text, encoding))
}

// talks are the datagrams of one text.
func talks(sender, text string, encoding classic.Encoding) (datagrams [][]byte) {
	for _, talk := range classic.SplitTalk(time.Now().Format(clock), sender, text, encoding) {
		datagrams = append(datagrams, encoding.Append(nil, talk.String()))
	}
	return datagrams
}

// SendToAll implements p2p.Transport.
func (t *Transport) SendToAll(ctx context.Context, text string) error {
	if !t.peers.isConnected() {
		return p2p.ErrNotConnected
	}
	for _, talk := range classic.SplitTalk(time.Now().Format(clock), t.cfg.Name, text, t.cfg.Encoding) {
		t.sendToCoordinator(classic.Group(talk))
	}
	return ctx.Err()
}

// Typing implements p2p.Transport: the protocol has nothing for it.
func (t *Transport) Typing(p2p.Target, bool) {}

// SetStatus implements p2p.Transport: the protocol has nothing for it.
func (t *Transport) SetStatus(p2p.Status) {}

// OfferJoin implements p2p.Transport: the protocol knows no accounts.
func (t *Transport) OfferJoin() (identity.JoinCode, time.Time, error) {
	return identity.JoinCode{}, time.Time{}, p2p.ErrNotSupported
}

// RemoveDevice implements p2p.Transport: the protocol knows no devices.
func (t *Transport) RemoveDevice(context.Context, identity.PublicKey) error {
	return p2p.ErrNotSupported
}

// outlets are the sockets through which messages leave, one for each listener
// that was written to lately. One mutex guards the table, each outlet has one
// for its order.
type outlets struct {
	net  hostnet.Net
	rate rate.Limit // of each outlet

	mu     sync.Mutex
	closed bool
	to     map[netip.AddrPort]*outlet
}

type outlet struct {
	mu      sync.Mutex // held while a message is written
	conn    net.Conn
	pace    *rate.Limiter
	checked time.Time // when a wait for a refusal last brought none
	used    time.Time // guarded by outlets.mu
}

func newOutlets(n hostnet.Net) *outlets {
	return &outlets{net: n, rate: sendRate, to: make(map[netip.AddrPort]*outlet)}
}

// send writes the datagrams of one message in order.
func (o *outlets) send(ctx context.Context, to netip.AddrPort, datagrams [][]byte) error {
	out, err := o.get(ctx, to)
	if err != nil {
		return err
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	for i, d := range datagrams {
		if i > 0 && i%burst == 0 {
			pause := time.NewTimer(burstPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return ctx.Err()
			}
		}
		if err := out.pace.Wait(ctx); err != nil {
			return err
		}
		if err := out.write(d); err != nil {
			return sendError(to, err)
		}
	}
	if time.Since(out.checked) < freshFor {
		return nil
	}
	if err := out.refused(); err != nil {
		return sendError(to, err)
	}
	out.checked = time.Now()
	return nil
}

// write sends one datagram. An error may be the answer to an earlier one, in
// which case this one has not left, and goes now.
func (o *outlet) write(d []byte) error {
	if _, err := o.conn.Write(d); err == nil {
		return nil
	}
	o.checked = time.Time{}
	_, err := o.conn.Write(d)
	return err
}

// refused waits for word that nobody listens.
func (o *outlet) refused() error {
	_ = o.conn.SetReadDeadline(time.Now().Add(refusalWait))
	var scrap [1]byte
	if _, err := o.conn.Read(scrap[:]); isUnreachable(err) {
		return err
	}
	return nil
}

func sendError(to netip.AddrPort, err error) error {
	switch {
	case isUnreachable(err):
		return fmt.Errorf("%w: nobody listens at %v: %w", p2p.ErrUnreachable, to, err)
	case errors.Is(err, net.ErrClosed):
		return p2p.ErrNotConnected
	}
	return fmt.Errorf("%w: %w", p2p.ErrTransport, err)
}

// get returns the outlet to a listener. Those that rest are closed meanwhile.
func (o *outlets) get(ctx context.Context, to netip.AddrPort) (*outlet, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, p2p.ErrNotConnected
	}
	now := time.Now()
	o.sweep(now, to)
	out := o.to[to]
	if out == nil {
		conn, err := o.net.DialPacket(ctx, to)
		if err != nil {
			return nil, sendError(to, err)
		}
		out = &outlet{conn: conn, pace: rate.NewLimiter(o.rate, sendBurst)}
		o.to[to] = out
	}
	out.used = now
	return out, nil
}

// sweep closes the outlets that rest, and the one that was used longest ago if
// there are too many. o.mu is held.
func (o *outlets) sweep(now time.Time, keep netip.AddrPort) {
	var oldest netip.AddrPort
	for addr, out := range o.to {
		switch {
		case addr == keep:
		case now.Sub(out.used) > idleOutlet:
			o.drop(addr)
		case !oldest.IsValid() || out.used.Before(o.to[oldest].used):
			oldest = addr
		}
	}
	if len(o.to) >= maxOutlets && oldest.IsValid() {
		o.drop(oldest)
	}
}

// drop closes an outlet, unless somebody writes to it. o.mu is held.
func (o *outlets) drop(addr netip.AddrPort) {
	if out := o.to[addr]; out.mu.TryLock() {
		defer out.mu.Unlock()
		out.conn.Close()
		delete(o.to, addr)
	}
}

// close ends all sending.
func (o *outlets) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, out := range o.to {
		out.conn.Close()
	}
	clear(o.to)
}
