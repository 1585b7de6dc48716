package control

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	"earshot/p2p/trunk"
	"earshot/protocol/identity"
)

// errKicked is why a connect is given up that began before the network changed.
var errKicked = errors.New("the network has changed")

// reach connects, and begins again whenever the network changes meanwhile.
func (c *Client) reach(ctx context.Context) (*tls.Conn, trunk.Way, error) {
	for {
		dial, cancel := context.WithCancelCause(ctx)
		var watch sync.WaitGroup
		watch.Go(func() {
			select {
			case <-c.kick:
				cancel(errKicked)
			case <-dial.Done():
			}
		})
		conn, way, err := c.connect(dial)
		cancel(nil)
		watch.Wait()
		if kicked := errors.Is(context.Cause(dial), errKicked); !kicked || ctx.Err() != nil {
			return conn, way, err
		}
		if conn != nil { // it is as old as the network
			conn.Close()
		}
	}
}

// connect opens the connection for a login and makes sure who is there.
func (c *Client) connect(ctx context.Context) (*tls.Conn, trunk.Way, error) {
	return c.trunk.DialTLS(ctx, c.tls(identity.ALPNControl))
}

// Dial opens another connection to the coordinator, for a protocol of its own,
// by whichever way works, and makes sure who is there as for a login. The error
// belongs to p2p.ErrTransport. It may be called from any goroutine.
func (c *Client) Dial(ctx context.Context, alpn string) (*tls.Conn, error) {
	conn, _, err := c.trunk.DialTLS(ctx, c.tls(alpn))
	return conn, err
}

// Try says whether one way to the coordinator works now; if not, the error
// reads as a sentence, and belongs to p2p.ErrTransport. It may be called from
// any goroutine.
func (c *Client) Try(ctx context.Context, way trunk.Way) error {
	return c.trunk.TryTLS(ctx, way, c.tls(identity.ALPNControl))
}

// tls makes configurations for connections to the coordinator.
func (c *Client) tls(alpn string) func() *tls.Config {
	return func() *tls.Config {
		config := identity.ClientTLS(c.certificate, alpn, nil)
		config.ServerName = c.cfg.Host // which a coordinator with several certificates wants to know
		config.VerifyConnection = func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != alpn {
				return errNotSecure
			}
			return c.cfg.Verify(state)
		}
		// A ticket whose coordinator doesn't pass Verify is dropped by package tls.
		identity.Resuming(config, c.sessions)
		return config
	}
}
