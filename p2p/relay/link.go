package relay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

const (
	// pingEvery is how often the relay is asked for a sign of life, and
	// answerTime how long that may take.
	pingEvery  = 25 * time.Second
	answerTime = 10 * time.Second
	// kickTime is how long it may take after the network has changed.
	kickTime = 1200 * time.Millisecond
	// writeTime is how long the connection may take nothing.
	writeTime = 10 * time.Second
)

// link is one connection. It has a reader and a writer.
type link struct {
	c     *Client
	conn  net.Conn
	queue wire.Queue
	wake  chan struct{} // has one element when write is to look
	done  chan struct{} // closed with the link's end

	mu       sync.Mutex // guards what follows
	requests map[identity.PublicKey]bool
	pings    uint64 // how many were asked for
	sent     uint64 // how many of those were sent
	// proveBy is when the last of them must be answered; zero if there is no
	// hurry.
	proveBy time.Time
	ended   bool
	cause   error // why it ended; may be read once both have
}

func newLink(c *Client, conn net.Conn) *link {
	return &link{
		c: c, conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{}),
		requests: make(map[identity.PublicKey]bool),
	}
}

// end ends the link; the first cause counts.
func (l *link) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended, l.cause = true, cause
	close(l.done)
	l.queue.Close()
	_ = l.conn.SetDeadline(time.Unix(1, 0)) // wakes both
}

// request has a device opened, or closed. Of several only the last is sent.
func (l *link) request(device identity.PublicKey, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests[device] = open
	poke(l.wake)
}

// prove has the relay answer soon.
func (l *link) prove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pings++
	l.proveBy = time.Now().Add(kickTime)
	if !l.ended {
		_ = l.conn.SetReadDeadline(l.proveBy)
	}
	poke(l.wake)
}

// expect sets by when the relay must be heard.
func (l *link) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	by := l.proveBy
	if by.IsZero() {
		by = time.Now().Add(pingEvery + answerTime)
	}
	if !l.ended {
		_ = l.conn.SetReadDeadline(by)
	}
}

// pong is an answer. Only that to the last ping shows that the connection lived
// after it had to show that.
func (l *link) pong(data [8]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if binary.BigEndian.Uint64(data[:]) == l.pings {
		l.proveBy = time.Time{}
	}
}

// read takes what the relay says until the link ends, and returns why.
func (l *link) read() error {
	in := bufio.NewReaderSize(l.conn, 16<<10)
	var f wire.Frame
	for {
		if !wire.Buffered(in) {
			l.expect()
		}
		switch err := wire.Read(in, &f); {
		case errors.Is(err, wire.ErrFrame):
			return fmt.Errorf("%w: the relay said something that makes no sense: %w", p2p.ErrNoAnswer, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w: the relay is silent", p2p.ErrNoAnswer)
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: the relay has closed the connection", p2p.ErrUnreachable)
		case err != nil:
			return fmt.Errorf("%w: the connection to the relay is lost: %w", p2p.ErrUnreachable, err)
		}
		switch f.Type {
		case wire.Packet:
			l.c.deliver(f.Device, f.Packet)
		case wire.State:
			l.c.state(l, f.Device, f.Status)
		case wire.Pong:
			l.pong(f.Data)
		}
	}
}

// write writes what is there to be written, and pings, until the link ends.
func (l *link) write() error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	var requests []byte
	var batch wire.Batch
	for {
		select {
		case <-l.wake:
		case <-tick.C:
			l.mu.Lock()
			l.pings++
			l.mu.Unlock()
		case <-l.done:
			return nil
		}
		if requests = l.asked(requests[:0]); len(requests) > 0 {
			if err := l.send(requests); err != nil {
				return err
			}
		}
		l.queue.Take(&batch)
		for row := batch.Next(); row != nil; row = batch.Next() {
			if err := l.send(row); err != nil {
				return err
			}
			batch.Drop()
		}
	}
}

// asked appends the frames that are no packets.
func (l *link) asked(dst []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for device, open := range l.requests {
		if !open {
			dst = wire.AppendClose(dst, device)
		}
	}
	for device, open := range l.requests { // for which there is more room now
		if open {
			dst = wire.AppendOpen(dst, device)
		}
	}
	clear(l.requests)
	if l.sent != l.pings {
		l.sent = l.pings
		dst = wire.AppendPing(dst, [8]byte(binary.BigEndian.AppendUint64(nil, l.pings)))
	}
	return dst
}

func (l *link) send(b []byte) error {
	l.mu.Lock()
	if !l.ended {
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTime))
	}
	l.mu.Unlock()
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("%w: the connection to the relay is lost: %w", p2p.ErrUnreachable, err)
	}
	return nil
}
