// Package webconn is a WebSocket (RFC 6455) as a pipe for bytes: a net.Conn on
// which another protocol, with a TLS of its own, runs where a network lets
// nothing but HTTPS out. Both ends of it are here.
package webconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Path is where a coordinator's WebSocket is.
const Path = "/earshot"

// conn is one end. The library's own net.Conn says of a deadline that has
// passed that a context was cancelled, waits up to ten seconds in Close for the
// other side's farewell, and doesn't know its addresses; so deadlines, Close
// and addresses are those of the TCP connection below.
type conn struct {
	ws     *websocket.Conn
	raw    net.Conn
	remote net.Addr
	closed atomic.Bool

	message io.Reader // Read's: what is left of the message that was begun
	broken  error     // Read's: messages don't begin any more where they seem to
}

// New makes a net.Conn of a WebSocket that was just opened or accepted. raw is
// the TCP connection below it, and belongs to the net.Conn from here on, as ws
// does; remote is what RemoteAddr says. It is for one reader and one writer at
// a time, as TLS is above it. A deadline that passes in the middle of a message
// ends the connection.
func New(ws *websocket.Conn, raw net.Conn, remote net.Addr) net.Conn {
	ws.SetReadLimit(-1) // messages are read piece by piece, and mean nothing
	return &conn{ws: ws, raw: raw, remote: remote}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if c.message == nil {
			kind, message, err := c.ws.Reader(context.Background())
			if err != nil {
				return 0, c.explain("read", err)
			}
			if kind != websocket.MessageBinary {
				c.broken = c.opError("read", errText)
				return 0, c.broken
			}
			c.message = message
		}
		n, err := c.message.Read(b)
		switch {
		case err == io.EOF: // the message's end is this very one, the connection's wraps it
			c.message = nil
		case err != nil: // what came with it is still masked
			c.broken = c.explain("read", err)
			return 0, c.broken
		}
		if n > 0 {
			return n, nil
		}
	}
}

// errText is a peer that sends text.
var errText = errors.New("a message is text, where only bytes are expected")

// Write implements net.Conn. Each call is a message.
func (c *conn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, b); err != nil {
		return 0, c.explain("write", err)
	}
	return len(b), nil
}

// Close implements net.Conn. It waits for nobody: what runs above has its own
// farewell.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return c.opError("close", net.ErrClosed)
	}
	err := c.raw.Close() // wakes who reads and writes
	_ = c.ws.CloseNow()
	return err
}

// explain is an error of the library's as package net would tell it.
func (c *conn) explain(op string, err error) error {
	closure := websocket.CloseStatus(err)
	switch {
	case c.closed.Load():
		return c.opError(op, net.ErrClosed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.opError(op, os.ErrDeadlineExceeded)
	case errors.Is(err, io.EOF), closure == websocket.StatusNormalClosure, closure == websocket.StatusGoingAway:
		return io.EOF
	}
	return c.opError(op, err)
}

func (c *conn) opError(op string, err error) error {
	if below, ok := errors.AsType[*net.OpError](err); ok {
		return below
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.remote, Err: err}
}

func (c *conn) LocalAddr() net.Addr                { return c.raw.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) SetDeadline(t time.Time) error      { return c.raw.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.raw.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }
