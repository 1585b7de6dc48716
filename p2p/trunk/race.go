package trunk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"earshot/p2p"
)

// race makes n attempts, of which each has a head start over the next, until
// one of them has a connection. An attempt that fails has the next begin at
// once; one that calls hold, because it is half done, keeps the next from
// beginning as long as it runs. Nothing is left of those that lost when race
// returns. Without a connection the errors are those of the attempts; one that
// was never made has none.
func race(ctx context.Context, n int, headStart time.Duration, attempt func(ctx context.Context, i int, hold func()) (net.Conn, error)) (won int, conn net.Conn, errs []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		i    int
		conn net.Conn
		err  error
	}
	outcomes, held := make(chan outcome, n), make(chan struct{}, n)
	begun, running := 0, 0
	next := time.NewTimer(headStart)
	defer next.Stop()
	begin := func() {
		if begun == n || ctx.Err() != nil {
			return
		}
		i := begun
		begun++
		running++
		next.Reset(headStart)
		go func() {
			conn, err := attempt(ctx, i, func() { held <- struct{}{} })
			outcomes <- outcome{i, conn, err}
		}()
	}
	errs = make([]error, n)
	for begin(); running > 0; {
		select {
		case <-next.C:
			begin()
		case <-held:
			next.Stop()
		case o := <-outcomes:
			running--
			switch {
			case o.err != nil:
				errs[o.i] = o.err
				begin()
			case conn != nil:
				o.conn.Close() // a moment too late
			default:
				won, conn = o.i, o.conn
				cancel()
			}
		}
	}
	if conn == nil && begun == 0 {
		errs[0] = fmt.Errorf("%w: %w", p2p.ErrTransport, context.Cause(ctx))
	}
	return won, conn, errs
}

// lookupError is a name that nobody knows an address of.
type lookupError struct{ host string }

func (e lookupError) Error() string {
	return fmt.Sprintf("%v: the name %s could not be looked up", p2p.ErrNoAnswer, e.host)
}

func (e lookupError) Unwrap() error { return p2p.ErrNoAnswer }

// lookup returns the addresses of a host in the order in which to try them: as
// the system sorts them (RFC 6724), IPv6 and IPv4 by turns (RFC 8305, 4).
func (t *Trunk) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := t.cfg.Resolve(ctx, host)
	if err != nil || len(found) == 0 {
		return nil, lookupError{host}
	}
	var same, other []netip.Addr // of the first one's family
	for _, a := range found {
		if a = a.Unmap(); a.Is4() == found[0].Unmap().Is4() {
			same = append(same, a)
		} else {
			other = append(other, a)
		}
	}
	var addrs []netip.Addr
	for i := range max(len(same), len(other)) {
		addrs = append(addrs, same[min(i, len(same)):min(i+1, len(same))]...)
		addrs = append(addrs, other[min(i, len(other)):min(i+1, len(other))]...)
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// lookup is a lookup of one host.
type lookup func(context.Context) ([]netip.Addr, error)

// ownLookup is a lookup of the coordinator's name that is made once, for
// whoever needs it first.
func (t *Trunk) ownLookup() lookup {
	var (
		begun atomic.Bool
		done  = make(chan struct{})
		addrs []netip.Addr
		err   error
	)
	return func(ctx context.Context) ([]netip.Addr, error) {
		if !begun.Swap(true) {
			addrs, err = t.lookup(ctx, t.cfg.Host)
			close(done)
		}
		select {
		case <-done:
			return addrs, err
		case <-ctx.Done():
			return nil, lookupError{t.cfg.Host}
		}
	}
}

// tcp connects to the main port at whichever of the coordinator's addresses
// takes it first.
func (t *Trunk) tcp(ctx context.Context, own lookup, config func() *tls.Config) (net.Conn, error) {
	addrs, err := own(ctx)
	if err != nil {
		return nil, err
	}
	return t.connect(ctx, addrs, t.cfg.Port, tcpTime, func(ctx context.Context, raw net.Conn, at string) (net.Conn, error) {
		return shake(ctx, raw, config, at)
	})
}

// connect connects to one of several addresses, in limit each, and finishes the
// connection.
func (t *Trunk) connect(ctx context.Context, addrs []netip.Addr, port uint16, limit time.Duration,
	finish func(ctx context.Context, raw net.Conn, at string) (net.Conn, error),
) (net.Conn, error) {
	_, conn, errs := race(ctx, len(addrs), addressHeadStart, func(ctx context.Context, i int, hold func()) (net.Conn, error) {
		at := netip.AddrPortFrom(addrs[i], port)
		dial, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		raw, err := t.cfg.Net.Dial(dial, at)
		if err != nil {
			return nil, fmt.Errorf("%w: no coordinator answers at %v: %w", p2p.ErrUnreachable, at, err)
		}
		hold()
		return finish(ctx, raw, at.String())
	})
	if conn != nil {
		return conn, nil
	}
	for _, err := range errs {
		if errors.Is(err, p2p.ErrIdentity) { // the most that anybody has said
			return nil, err
		}
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %w", p2p.ErrTransport, context.Cause(ctx))
}
