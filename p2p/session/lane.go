package session

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"

	"github.com/quic-go/quic-go"
)

// lane is something that carries QUIC: the main socket, the relay, or a socket
// that birthday probing has won, which goes with its last connection.
type lane struct {
	e     *Endpoint
	tr    *quic.Transport
	conn  net.PacketConn
	relay bool
	extra bool

	uses int // connections of an extra one; guarded by Endpoint.mu
	gone context.CancelFunc
}

// extraUnused is how long an extra lane waits for its connection.
const extraUnused = 8 * time.Second

func (e *Endpoint) newLane(conn net.PacketConn) *lane {
	return &lane{e: e, conn: conn, tr: &quic.Transport{
		Conn: conn, ConnectionIDLength: 8, StatelessResetKey: &e.reset,
		VerifySourceAddress: e.admit.verify, ConnContext: e.admit.arrive,
	}}
}

// serve takes connections until ctx ends, or the socket fails.
func (l *lane) serve(ctx context.Context) error {
	listener, err := l.tr.Listen(l.e.tls.server, acceptConfig)
	if err != nil {
		return fmt.Errorf("%w: %w", errSocket, err)
	}
	defer listener.Close()
	return l.e.accept(ctx, l, listener)
}

// carry reads what is not QUIC until ctx ends, ends all connections then, and
// calls after, if there is one.
func (l *lane) carry(ctx context.Context, after func()) {
	l.e.carrying.Go(func() {
		l.others(ctx)
		<-ctx.Done()
		l.tr.Close()
		if after != nil {
			after()
		}
	})
}

// others reads what is not QUIC.
func (l *lane) others(ctx context.Context) {
	buf := make([]byte, 2048)
	for {
		n, from, err := l.tr.ReadNonQUICPacket(ctx, buf)
		if err != nil {
			return
		}
		if !l.relay { // through the relay nobody asks for anything but QUIC
			l.e.datagram(l, 0, buf[:n], hostnet.AddrPort(from))
		}
	}
}

// dial makes a connection to a device.
func (l *lane) dial(ctx context.Context, at net.Addr, device identity.PublicKey) (*quic.Conn, error) {
	config := identity.ClientTLS(l.e.tls.certificate, identity.ALPNPeer, identity.Expect(device))
	return l.tr.Dial(ctx, at, config, dialConfig)
}

// addExtra makes a lane of a socket, which it owns from now on. It is called by
// the goroutine of a device, whose ctx is Run's.
func (e *Endpoint) addExtra(ctx context.Context, conn net.PacketConn) *lane {
	l := e.newLane(conn)
	l.extra = true
	carry, gone := context.WithCancel(e.lanes)
	l.gone = gone
	serve, stop := context.WithCancel(ctx)
	unused := time.AfterFunc(extraUnused, func() { l.use(0) })
	context.AfterFunc(carry, stop)
	l.carry(carry, func() {
		unused.Stop()
		conn.Close()
	})
	e.running.Go(func() {
		if err := l.serve(serve); serve.Err() == nil {
			e.log.Debug("a socket for one device has failed", "error", err)
			gone()
		}
	})
	return l
}

// use counts a lane's connections, and ends an extra one that has none.
func (l *lane) use(change int) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	l.useLocked(change)
}

func (l *lane) useLocked(change int) {
	if !l.extra {
		return
	}
	if l.uses += change; l.uses == 0 {
		l.gone()
	}
}

// Relay carries QUIC through the coordinator; *relay.Client is one.
type Relay interface {
	// PacketConn's addresses are those that Addr returns.
	PacketConn() net.PacketConn
	Addr(identity.PublicKey) net.Addr
	// Open asks for packets to and from a device, Close for no more. Whoever
	// made the relay tells Endpoint.Relayed when the device has asked, too.
	Open(identity.PublicKey)
	Close(identity.PublicKey)
}

// write sends a datagram that is not QUIC.
func (l *lane) write(b []byte, to netip.AddrPort, ttl int) error {
	return hostnet.WriteTTL(l.conn, b, to, ttl)
}
