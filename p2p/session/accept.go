package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"

	"github.com/quic-go/quic-go"
)

const (
	// maxConnections bounds those that others have made, and maxHalf those of
	// them whose handshake is not done, of which one source may have
	// maxHalfOfOne.
	maxConnections = 4096
	maxHalf        = 256
	maxHalfOfOne   = 32
	// retryAbove is how many handshakes are under way before a newcomer has to
	// show that its address is its own (RFC 9000, 8.1.2), so that nobody has
	// this device answer somebody who never asked.
	retryAbove = 32
	// helloWithin is how long a device has for its hello.
	helloWithin = 5 * time.Second
)

var (
	errBusy   = errors.New("too many connections")
	errSocket = errors.New("the socket for other devices has failed")
)

// baseConfig bounds what one connection holds in memory: a frame and a window.
func baseConfig(streams int64) *quic.Config {
	return &quic.Config{
		Versions:             []quic.Version{quic.Version1},
		HandshakeIdleTimeout: 4 * time.Second,
		MaxIdleTimeout:       quietLimit, KeepAlivePeriod: probeEvery,
		InitialStreamReceiveWindow: 256 << 10, MaxStreamReceiveWindow: 2 << 20,
		InitialConnectionReceiveWindow: 384 << 10, MaxConnectionReceiveWindow: 3 << 20,
		MaxIncomingStreams: streams, MaxIncomingUniStreams: -1,
	}
}

var (
	acceptConfig = baseConfig(1) // the dialler opens the one stream
	dialConfig   = baseConfig(-1)
)

type tlsConfigs struct {
	certificate tls.Certificate
	server      *tls.Config
}

func newTLS(key identity.Key) tlsConfigs {
	certificate := key.Certificate()
	// Strangers are turned away after the handshake, where they can be told.
	return tlsConfigs{certificate, identity.ServerTLS(certificate, identity.ALPNPeer, nil)}
}

// admission counts the connections that others make.
type admission struct {
	mu    sync.Mutex
	half  map[netip.Addr]int
	halfs int // sum of half
	total int
}

// ticket is one connection's place.
type ticket struct {
	admission *admission
	source    netip.Addr
	half      bool // guarded by admission.mu
}

type ticketKey struct{}

func newAdmission() *admission { return &admission{half: make(map[netip.Addr]int)} }

// verify implements quic.Transport.VerifySourceAddress.
func (a *admission) verify(net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.halfs >= retryAbove
}

// arrive implements quic.Transport.ConnContext.
func (a *admission) arrive(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	source := hostnet.AddrPort(info.RemoteAddr).Addr()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxConnections || a.halfs >= maxHalf || a.half[source] >= maxHalfOfOne {
		return nil, errBusy
	}
	a.total++
	a.halfs++
	a.half[source]++
	t := &ticket{a, source, true}
	context.AfterFunc(ctx, t.gone)
	return context.WithValue(ctx, ticketKey{}, t), nil
}

// greeted says that a connection's handshake and hello are done.
func (t *ticket) greeted() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	t.greetedLocked()
}

func (t *ticket) greetedLocked() {
	if !t.half {
		return
	}
	t.half = false
	t.admission.halfs--
	if t.admission.half[t.source]--; t.admission.half[t.source] == 0 {
		delete(t.admission.half, t.source)
	}
}

func (t *ticket) gone() {
	t.admission.mu.Lock()
	defer t.admission.mu.Unlock()
	t.greetedLocked()
	t.admission.total--
}

// accept takes connections until ctx ends or the socket fails.
func (e *Endpoint) accept(ctx context.Context, on *lane, listener *quic.Listener) error {
	for {
		conn, err := listener.Accept(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errSocket, err)
		}
		e.running.Go(func() { e.welcome(ctx, on, conn) })
	}
}

// welcome hands a connection to the device that made it, if it is known.
func (e *Endpoint) welcome(ctx context.Context, on *lane, conn *quic.Conn) {
	key, err := identity.PeerKey(conn.ConnectionState().TLS)
	if err != nil {
		closeConn(conn, codeStranger)
		return
	}
	name, _, ok := e.cfg.Lookup(key)
	if !ok || key == e.cfg.Key.Public() {
		e.log.Info("a device that is unknown here was turned away", "device", key.ID().Short(), "at", conn.RemoteAddr())
		closeConn(conn, codeStranger)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, helloWithin)
	defer cancel()
	l, err := e.greet(ctx, on, conn, name, false)
	if err != nil {
		e.log.Info("a device said no proper hello", "device", key.ID().Short(), "name", name, "error", err)
		return
	}
	if t, ok := conn.Context().Value(ticketKey{}).(*ticket); ok {
		t.greeted()
	}
	if !e.post(key, l) {
		closeConn(conn, codeShutdown)
	}
}
