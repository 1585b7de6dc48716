package control

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	"earshot/protocol/wire"
)

const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 10 * time.Second
	// defaultKeepalive is how often a ping is sent if the coordinator doesn't
	// say, and answerTimeout how long its answer may take.
	defaultKeepalive = 25 * time.Second
	answerTimeout    = 10 * time.Second
	// kickTimeout is how long a connection has to show that it lives after the
	// network has changed.
	kickTimeout  = 2 * time.Second
	writeTimeout = 20 * time.Second
	// maxQueued bounds what waits to be written.
	maxQueued = 256
)

// connect opens a connection to the first of the coordinator's addresses that
// takes one, and makes sure who is there.
func (c *Client) connect(ctx context.Context) (*tls.Conn, error) {
	lookup, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	addrs, err := c.cfg.Resolve(lookup, c.cfg.Host)
	if err != nil || len(addrs) == 0 {
		return nil, fmt.Errorf("%w: the name %s could not be looked up", p2p.ErrNoAnswer, c.cfg.Host)
	}
	var failure error
	for _, addr := range addrs {
		at := netip.AddrPortFrom(addr.Unmap(), c.cfg.Port)
		conn, err := c.connectTo(ctx, at)
		if err == nil {
			return conn, nil
		}
		if failure == nil || errors.Is(err, p2p.ErrIdentity) {
			failure = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failure
}

func (c *Client) connectTo(ctx context.Context, at netip.AddrPort) (*tls.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := c.cfg.Net.Dial(dial, at)
	if err != nil {
		return nil, fmt.Errorf("%w: no coordinator answers at %v: %w", p2p.ErrUnreachable, at, err)
	}
	handshake, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Client(raw, c.tls)
	err = conn.HandshakeContext(handshake)
	if err == nil {
		return conn, nil
	}
	raw.Close()
	if errors.Is(err, p2p.ErrTransport) {
		return nil, err // what verification says is for the person
	}
	return nil, fmt.Errorf("%w: what answers at %v does not speak the secure protocol: %w", p2p.ErrNoAnswer, at, err)
}

// link is one connection. read is for one goroutine, write for another; the
// rest may be called from any.
type link struct {
	conn net.Conn
	in   *bufio.Reader

	mu        sync.Mutex
	queue     []byte // frames that wait, encoded
	frames    int    // how many those are
	closed    bool
	keepalive time.Duration
	wake      chan struct{} // has one element while there is something to do
}

func newLink(conn net.Conn) *link {
	return &link{conn: conn, in: bufio.NewReader(conn), keepalive: defaultKeepalive, wake: make(chan struct{}, 1)}
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	// A farewell must not wait for a coordinator that doesn't read.
	_ = l.conn.SetWriteDeadline(time.Now().Add(time.Second))
	l.conn.Close()
	l.poke()
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) setKeepalive(d time.Duration) {
	if d < time.Second || d > time.Minute {
		return
	}
	l.mu.Lock()
	l.keepalive = d
	l.mu.Unlock()
}

func (l *link) pingEvery() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keepalive
}

// read reads one frame. A coordinator that doesn't even answer pings is
// ErrNoAnswer.
func (l *link) read(frame *wire.ToClient) error {
	_ = l.conn.SetReadDeadline(time.Now().Add(l.pingEvery() + answerTimeout))
	err := wire.Read(l.in, wire.MaxToClient, frame)
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, wire.ErrFrame):
		return err
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: the coordinator is silent", p2p.ErrNoAnswer)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: the coordinator has closed the connection", p2p.ErrUnreachable)
	}
	return fmt.Errorf("%w: the connection to the coordinator is lost: %w", p2p.ErrUnreachable, err)
}

// send puts a frame into the queue.
func (l *link) send(frame proto.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.frames >= maxQueued {
		return p2p.ErrNotConnected
	}
	l.queue = wire.Append(l.queue, frame)
	l.frames++
	l.poke()
	return nil
}

// write writes what is in the queue, and pings, until the link is closed. A
// kick makes the connection show that it lives.
func (l *link) write(kick <-chan struct{}) {
	defer l.close()
	ping := time.NewTimer(l.pingEvery())
	defer ping.Stop()
	var out []byte
	for {
		select {
		case <-l.wake:
		case <-ping.C:
			_ = l.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{Ping: &wire.Ping{}}})
			ping.Reset(l.pingEvery())
		case <-kick:
			_ = l.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{Ping: &wire.Ping{}}})
			_ = l.conn.SetReadDeadline(time.Now().Add(kickTimeout))
		}
		l.mu.Lock()
		out, l.queue, l.frames = l.queue, out[:0], 0
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		if len(out) == 0 {
			continue
		}
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := l.conn.Write(out); err != nil {
			return // the reader says why
		}
	}
}
