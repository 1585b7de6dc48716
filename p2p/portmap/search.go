package portmap

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// protocol is one that a router may speak.
type protocol interface {
	method() Method
	// find looks whether the router speaks it, and has it change nothing.
	find(ctx context.Context, where place) (opener, error)
}

// opener is a router that speaks a protocol.
type opener interface {
	// open has the router lead an external port to this host's, or renew that.
	// The external port is a wish; 0 is none.
	open(ctx context.Context, port, external uint16) (grant, error)
	close(ctx context.Context, port uint16, external netip.AddrPort) error
}

// lease is a mapping that is held.
type lease struct {
	opener   opener
	method   Method
	place    place
	external netip.AddrPort
	until    time.Time
}

// take opens a port, or renews the mapping of an external one, and closes what
// is of no use.
func take(ctx context.Context, o opener, by Method, where place, port, external uint16, seen netip.Addr) (*lease, error) {
	// What is begun is finished, so that it is known what to close.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openWithin)
	defer cancel()
	g, err := o.open(ctx, port, external)
	if err != nil {
		return nil, err
	}
	g.lifetime = min(g.lifetime, longest)
	if err := judge(g, seen); err != nil {
		return nil, errors.Join(err, o.close(ctx, port, g.external))
	}
	return &lease{o, by, where, g.external, time.Now().Add(g.lifetime)}, nil
}

func (l *lease) renew(ctx context.Context, port uint16, seen netip.Addr) (*lease, error) {
	return take(ctx, l.opener, l.method, l.place, port, l.external.Port(), seen)
}

// search looks for protocols that the router speaks, for all of them at once,
// and has the first one that is found open a port. While it does so no other
// one may: to a router they are all the same port of the same host, so whoever
// came second and closed his mapping would close the first one's.
func (m *Mapper) search(ctx context.Context, where place, seen netip.Addr) (*lease, error) {
	ctx, cancel := context.WithTimeout(ctx, searchWithin)
	defer cancel()
	var (
		searching sync.WaitGroup
		turn      = make(chan struct{}, 1)
		found     = make(chan *lease, 1)
		errs      = make([]error, len(m.protocols))
	)
	for i, p := range m.protocols {
		searching.Go(func() {
			o, err := p.find(ctx, where)
			if err != nil {
				errs[i] = err
				return
			}
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				errs[i] = ctx.Err()
				return
			}
			l, err := take(ctx, o, p.method(), where, m.cfg.Port, m.cfg.Port, seen)
			if err != nil {
				errs[i] = err
				<-turn
				return
			}
			found <- l // and it stays this one's turn
			cancel()
		})
	}
	searching.Wait()
	select {
	case l := <-found:
		return l, nil
	default:
		for i, err := range errs {
			m.cfg.Log.Debug("the router opened no port", "by", m.protocols[i].method().String(), "gateway", where.gateway, "error", err)
		}
		return nil, worst(errs)
	}
}

// worst is the error that says most: of a router that speaks, rather than of
// one that doesn't.
func worst(errs []error) error {
	for _, r := range []Reason{ErrDoubleNAT, ErrNoExternal, ErrRefused, ErrBadAnswer} {
		if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, r) }); i >= 0 {
			return because(r, "%w", errors.Join(errs...))
		}
	}
	return because(ErrNoAnswer, "%w", errors.Join(errs...))
}
