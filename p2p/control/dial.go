package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"earshot/p2p"
)

const (
	lookupTimeout    = 10 * time.Second
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 10 * time.Second
)

// errKicked is why a connect is given up that began before the network changed.
var errKicked = errors.New("the network has changed")

// reach connects, and begins again whenever the network changes meanwhile.
func (c *Client) reach(ctx context.Context) (*tls.Conn, error) {
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
		conn, err := c.connect(dial)
		cancel(nil)
		watch.Wait()
		if kicked := errors.Is(context.Cause(dial), errKicked); !kicked || ctx.Err() != nil {
			return conn, err
		}
		if conn != nil { // it is as old as the network
			conn.Close()
		}
	}
}

// connect opens a connection to the first of the coordinator's addresses that
// takes one, and makes sure who is there.
func (c *Client) connect(ctx context.Context) (*tls.Conn, error) {
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := c.cfg.Resolve(lookup, c.cfg.Host)
	if err != nil || len(addrs) == 0 {
		return nil, fmt.Errorf("%w: the name %s could not be looked up", p2p.ErrNoAnswer, c.cfg.Host)
	}
	var failure error
	for _, addr := range addrs {
		conn, err := c.connectTo(ctx, netip.AddrPortFrom(addr.Unmap(), c.cfg.Port))
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
