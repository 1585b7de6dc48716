// Package relay is the client's end of the coordinator's relay: a
// net.PacketConn whose addresses are devices. QUIC runs over it as over UDP, so
// that the relay sees ciphertext only.
//
//	client.go   Client: which devices are open, and one connection after the other
//	link.go     one connection
//	socket.go   the net.PacketConn
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

const (
	// firstBackoff is the wait after a connection has failed; it doubles up to
	// lastBackoff. A wait is between half of its length and all of it.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// heldLongEnough is how long a connection must have held for the next
	// failure to count as the first: two programs with one key throw each
	// other out at once.
	heldLongEnough = 10 * time.Second
	// unusedFor is how long a connection stays on which no device is open.
	unusedFor = 30 * time.Second
	// dialTime is how long a connection may take to be made.
	dialTime = 10 * time.Second
)

// Config is what New needs.
type Config struct {
	// Dial makes a connection to the coordinator: TLS with the ALPN
	// identity.ALPNRelay, its handshake done. It returns soon after ctx ends.
	Dial func(ctx context.Context) (net.Conn, error)
	// OnState says that packets go to and from a device from now on, because
	// both have opened each other, or no longer. It is called by Run's
	// goroutine only, and may call the Client; while it blocks nothing else is
	// reported. What was told last is true, but for what is about to be told.
	// nil is for those who don't want to know.
	OnState func(device identity.PublicKey, ready bool)
	Log     *slog.Logger // nil for none
}

// Client is a device's end of the relay. Its methods may be called from any
// goroutine, also before Run and after it.
type Client struct {
	cfg    Config
	socket *socket
	wake   chan struct{} // has one element when Run is to look
	kicked chan struct{} // has one element when Kick was called
	// told are the devices that were reported to be ready. It is Run's.
	told map[identity.PublicKey]*peer

	mu   sync.Mutex // guards what follows
	open map[identity.PublicKey]*peer
	link *link // nil while there is none
}

// peer is a device that is open, from Open to Close. Client.mu guards it.
type peer struct {
	addr   net.Addr    // an Addr, in a box for everyone
	status wire.Status // zero until the relay has said something
}

func (p *peer) ready() bool { return p != nil && p.status == wire.Ready }

// New starts nothing.
func New(cfg Config) *Client {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnState == nil {
		cfg.OnState = func(identity.PublicKey, bool) {}
	}
	c := &Client{
		cfg: cfg, wake: make(chan struct{}, 1), kicked: make(chan struct{}, 1),
		told: make(map[identity.PublicKey]*peer), open: make(map[identity.PublicKey]*peer),
	}
	c.socket = newSocket(c)
	return c
}

// Run keeps a connection while some device is open, and half a minute longer,
// until ctx ends; then it returns nil. It may be called once.
func (c *Client) Run(ctx context.Context) error {
	var b backoff
	for c.await(ctx) {
		conn, err := c.connect(ctx)
		held := time.Duration(0)
		if err == nil {
			began := time.Now()
			err = c.carry(ctx, conn)
			held = time.Since(began)
		}
		c.report()
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errUnused):
			c.cfg.Log.Debug("nobody needs the relay any more")
		default:
			wait := b.wait(held)
			c.cfg.Log.Info("the relay is out of reach", "cause", err, "held", held, "retry", wait)
			c.pause(ctx, wait)
		}
	}
	c.report()
	return nil
}

// Open asks for packets to and from a device, and returns at once. To open a
// device that is open does nothing.
func (c *Client) Open(device identity.PublicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[device] != nil {
		return
	}
	c.open[device] = &peer{addr: Addr{device}}
	if c.link != nil {
		c.link.request(device, true)
	}
	poke(c.wake)
}

// Close asks for no more packets to and from a device, and returns at once. To
// close a device that is not open does nothing.
func (c *Client) Close(device identity.PublicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[device] == nil {
		return
	}
	delete(c.open, device)
	if c.link != nil {
		c.link.request(device, false)
		for other, p := range c.open {
			if p.status == wire.Full { // there is room now
				c.link.request(other, true)
			}
		}
	}
	poke(c.wake)
}

// Kick says that the network has changed: the connection must show soon
// that it lives, or is replaced. One that is being made is begun anew,
// and no attempt waits any longer.
func (c *Client) Kick() { poke(c.kicked) }

// PacketConn returns the socket, which is always the same one. Its addresses
// are of type Addr. A write never waits: while there is no connection, or the
// device isn't ready, or too much is queued, the packet is dropped. One
// goroutine reads.
func (c *Client) PacketConn() net.PacketConn { return c.socket }

// Addr is a device's address for PacketConn.
func (c *Client) Addr(device identity.PublicKey) net.Addr { return Addr{device} }

// Connected says that there is a connection to the relay.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil
}

// await waits until some device is open, and is false if ctx ends before that.
func (c *Client) await(ctx context.Context) bool {
	for ctx.Err() == nil {
		c.report()
		if c.wanted() {
			select {
			case <-c.kicked: // whatever has changed, what begins now is new
			default:
			}
			return true
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
		}
	}
	return false
}

func (c *Client) wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0
}

// connect makes a connection, with a new attempt when the network changes.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, dialTime)
		dialled := make(chan result, 1)
		go func() {
			conn, err := c.cfg.Dial(attempt)
			dialled <- result{conn, err}
		}()
		select {
		case r := <-dialled:
			cancel()
			return r.conn, r.err
		case <-c.kicked:
		case <-ctx.Done():
		}
		cancel()
		if r := <-dialled; r.err == nil {
			farewell(r.conn)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// errUnused is why a connection was left that is not needed.
var errUnused = fmt.Errorf("%w: no device is open", p2p.ErrTransport)

// carry has a connection carry packets until it or ctx ends, or nobody needs
// it.
func (c *Client) carry(ctx context.Context, conn net.Conn) error {
	l := newLink(c, conn)
	c.mu.Lock()
	c.link = l
	for device := range c.open {
		l.request(device, true)
	}
	c.mu.Unlock()
	c.cfg.Log.Info("the relay is connected")
	var running sync.WaitGroup
	running.Go(func() { l.end(l.read()) })
	running.Go(func() { l.end(l.write()) })
	l.end(c.watch(ctx, l))

	c.mu.Lock()
	c.link = nil
	for _, p := range c.open {
		p.status = 0
	}
	c.mu.Unlock()
	farewell(conn)
	running.Wait()
	return l.cause
}

// watch reports what happens on a connection, until it is to end.
func (c *Client) watch(ctx context.Context, l *link) error {
	unused := time.NewTimer(unusedFor)
	defer unused.Stop()
	used := false
	unused.Stop()
	for first := true; ; first = false {
		c.report()
		if now := c.wanted(); first || now != used {
			if used = now; used {
				unused.Stop()
			} else {
				unused.Reset(unusedFor)
			}
		}
		select {
		case <-c.wake:
		case <-c.kicked:
			l.prove()
		case <-unused.C:
			return errUnused
		case <-l.done:
			return nil // it has its cause
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pause waits for the next attempt.
func (c *Client) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-c.kicked:
			return
		case <-ctx.Done():
			return
		case <-c.wake:
			c.report()
			if !c.wanted() {
				return
			}
		}
	}
}

// state is what a STATE says on a link, which may be about to end.
func (c *Client) state(l *link, device identity.PublicKey, status wire.Status) {
	c.mu.Lock()
	p := c.open[device]
	if p == nil || c.link != l {
		c.mu.Unlock()
		return
	}
	p.status = status
	c.mu.Unlock()
	switch status {
	case wire.OverQuota:
		c.cfg.Log.Warn("the relay carries no more today", "device", device.ID().Short())
	case wire.Full:
		c.cfg.Log.Warn("the relay carries to no more devices at once", "device", device.ID().Short())
	}
	poke(c.wake)
}

// report tells what has changed. A device that was closed and opened again is
// another one, so that whoever closed it is told anew.
func (c *Client) report() {
	type change struct {
		device identity.PublicKey
		ready  bool
	}
	var news []change
	c.mu.Lock()
	for device, p := range c.told {
		if now := c.open[device]; now != p || !now.ready() {
			delete(c.told, device)
			if !now.ready() {
				news = append(news, change{device, false})
			}
		}
	}
	for device, p := range c.open {
		if p.ready() && c.told[device] != p {
			c.told[device] = p
			news = append(news, change{device, true})
		}
	}
	c.mu.Unlock()
	for _, n := range news {
		c.cfg.OnState(n.device, n.ready)
	}
}

// deliver takes a packet of the relay.
func (c *Client) deliver(device identity.PublicKey, packet []byte) {
	c.mu.Lock()
	p := c.open[device]
	c.mu.Unlock()
	if p != nil {
		c.socket.put(p.addr, packet)
	}
}

// send queues a packet, or drops it.
func (c *Client) send(device *identity.PublicKey, packet []byte) {
	c.mu.Lock()
	l, ready := c.link, c.open[*device].ready()
	c.mu.Unlock()
	if l != nil && ready && l.queue.Put(device, packet) {
		poke(l.wake)
	}
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// farewellTime is how long the end of a connection may take.
const farewellTime = 500 * time.Millisecond

// farewell closes a connection. TLS says good-bye, for which it would wait.
func farewell(conn net.Conn) {
	if under, ok := conn.(interface{ NetConn() net.Conn }); ok {
		hurry := time.AfterFunc(farewellTime, func() { under.NetConn().Close() })
		defer hurry.Stop()
	}
	conn.Close()
}

// backoff says when to try again. It is pure but for its dice.
type backoff struct{ next time.Duration }

// wait returns how long to wait after an attempt that failed, or after a
// connection that held for some time.
func (b *backoff) wait(held time.Duration) time.Duration {
	if held >= heldLongEnough {
		b.next = 0
	}
	b.next = min(max(2*b.next, firstBackoff), lastBackoff)
	return b.next/2 + rand.N(b.next/2)
}
