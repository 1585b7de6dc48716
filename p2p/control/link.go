package control

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/wire"
)

const (
	// defaultKeepalive is how often a ping is sent if the coordinator doesn't
	// say, and answerTimeout how long its answer may take: as long as it is to
	// the next ping, so that what ends a wait doesn't wake the computer by itself.
	defaultKeepalive = 25 * time.Second
	answerTimeout    = 25 * time.Second
	// What a coordinator may say of it. More than mostUnguarded is too long where
	// the system doesn't find out by itself, within vanishTime, that the
	// coordinator's host or the way there is gone.
	leastKeepalive = time.Second
	mostKeepalive  = 60 * time.Minute
	mostUnguarded  = 100 * time.Second
	vanishTime     = time.Minute
	// kickTimeout is how long a connection has to show that it lives after the
	// network has changed.
	kickTimeout = 1200 * time.Millisecond
	// writeTimeout is how long a write may take, for the same reason.
	writeTimeout = defaultKeepalive
	// farewellTimeout is how long the end of a connection may take.
	farewellTimeout = time.Second
	// loginTimeout bounds the time until the roster is whole. Another device
	// of the account may be asked meanwhile, which takes up to ten seconds.
	loginTimeout = time.Minute
	// maxQueued bounds what waits to be written, in frames.
	maxQueued = 256
)

var (
	errSilent = fmt.Errorf("%w: the coordinator is silent", p2p.ErrNoAnswer)
	// errMoved is a connection that did not outlive a change of the network.
	errMoved = fmt.Errorf("%w, and the network has changed", errSilent)
)

// link is one connection. read is for one goroutine, write for another; the
// rest may be called from any.
type link struct {
	conn    *tls.Conn
	in      *bufio.Reader // read's
	loginBy time.Time     // read's; zero once the login is done
	guarded bool          // the system watches the other host

	mu        sync.Mutex
	queue     []byte // frames that wait, encoded
	frames    int    // how many those are
	closed    bool
	failed    error // why write gave up
	keepalive time.Duration
	loggedIn  bool
	pings     int           // that are not answered yet
	proveBy   time.Time     // when all of these must be; zero if there is no hurry
	wake      chan struct{} // has one element while there is something to do
}

func newLink(conn *tls.Conn) *link {
	return &link{
		conn: conn, in: bufio.NewReader(conn), loginBy: time.Now().Add(loginTimeout),
		guarded:   hostnet.Guard(conn.NetConn(), vanishTime),
		keepalive: defaultKeepalive, wake: make(chan struct{}, 1),
	}
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	// The farewell of TLS waits for a coordinator that doesn't read.
	hurry := time.AfterFunc(farewellTimeout, func() { l.conn.NetConn().Close() })
	l.conn.Close()
	hurry.Stop()
	l.poke()
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// setKeepalive takes the coordinator's word, within reason.
func (l *link) setKeepalive(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeKeepalive(d)
}

// takeKeepalive is setKeepalive with the mutex held.
func (l *link) takeKeepalive(d time.Duration) {
	if d < leastKeepalive || d > mostKeepalive {
		return
	}
	if !l.guarded {
		d = min(d, mostUnguarded)
	}
	l.keepalive = d
	l.poke()
}

// done says that the login is, to read's goroutine.
func (l *link) done() {
	l.loginBy = time.Time{}
	l.mu.Lock()
	l.loggedIn = true
	l.mu.Unlock()
}

func (l *link) pingEvery() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keepalive
}

// expect sets until when the coordinator must be heard.
func (l *link) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A ping is sent once in a keepalive, whatever else is.
	by := time.Now().Add(l.keepalive + answerTimeout)
	if !l.proveBy.IsZero() {
		by = l.proveBy
	}
	if !l.loginBy.IsZero() && l.loginBy.Before(by) {
		by = l.loginBy
	}
	_ = l.conn.SetReadDeadline(by)
}

// read reads one frame. A coordinator that doesn't even answer pings is
// ErrNoAnswer.
func (l *link) read(frame *wire.ToClient) error {
	l.expect()
	err := wire.Read(l.in, wire.MaxToClient, frame)
	if err == nil {
		err = wire.Decompress(frame)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		// Only the last answer shows that the connection lived after it had to
		// show that: another one may have been on its way for an hour.
		if pong := frame.GetPong(); pong != nil {
			l.takeKeepalive(time.Duration(pong.KeepaliveSeconds) * time.Second)
			if l.pings = max(0, l.pings-1); l.pings == 0 {
				l.proveBy = time.Time{}
			}
		}
		return nil
	}
	if l.failed != nil {
		err = l.failed
	}
	switch {
	case errors.Is(err, wire.ErrFrame):
		return fmt.Errorf("%w: the coordinator said something that makes no sense: %w", p2p.ErrNoAnswer, err)
	case errors.Is(err, os.ErrDeadlineExceeded) && !l.proveBy.IsZero():
		return errMoved
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT): // by our clock, or the system's
		return errSilent
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

// ping asks for an answer.
func (l *link) ping() {
	if l.send(pingFrame) != nil {
		return // nothing more leaves
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pings++
}

var pingFrame = &wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{Ping: &wire.Ping{}}}

// prove makes the connection show that it lives. A login has its own time.
func (l *link) prove() {
	// It is counted before the time is set, so that the answer to an earlier
	// one, coming now, is not taken for the last.
	l.ping()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loggedIn {
		l.proveBy = time.Now().Add(kickTimeout)
		_ = l.conn.SetReadDeadline(l.proveBy)
	}
}

// write writes what is in the queue, and pings, until the link is closed.
func (l *link) write(kick <-chan struct{}) {
	defer l.close()
	every := l.pingEvery()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var out []byte
	for {
		select {
		case <-l.wake:
		case <-tick.C:
			l.ping()
		case <-kick:
			l.prove()
		}
		if now := l.pingEvery(); now != every {
			every = now
			tick.Reset(every)
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
			l.mu.Lock()
			l.failed = err // which the reader tells
			l.mu.Unlock()
			l.conn.NetConn().Close()
			return
		}
	}
}
