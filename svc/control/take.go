package control

import (
	"context"
	"net"
	"sync"
)

// Take serves a connection that came in by another way than the listener, under
// the same limits, and returns when it is closed. ctx is Run's. It may be called
// from any goroutine.
func (s *Server) Take(ctx context.Context, conn net.Conn) {
	taken := &takenConn{Conn: conn, ended: make(chan struct{})}
	s.admit(ctx, taken)
	<-taken.ended
}

// takenConn tells when it is closed.
type takenConn struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

// Close implements net.Conn.
func (c *takenConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.ended) })
	return err
}
