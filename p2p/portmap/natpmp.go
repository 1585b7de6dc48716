package portmap

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// natPMPWithin is how long the library tries: 250 ms, and then 500 ms, as PCP.
const natPMPWithin = 750 * time.Millisecond

// natPMP asks by NAT-PMP. The library has sockets of its own, which hear nobody
// but the router, and knows no context: its calls are left to themselves when
// nobody wants to know any more, and end soon after.
type natPMP struct{ running *sync.WaitGroup }

func (p *natPMP) method() Method { return NATPMP }

func (p *natPMP) find(ctx context.Context, where place) (opener, error) {
	o := &natPMPOpener{p, natpmp.NewClientWithLocalAndTimeout(where.gateway.AsSlice(), where.local.AsSlice(), natPMPWithin)}
	_, err := o.external(ctx)
	return o, err
}

// natPMPOpener is a router that speaks NAT-PMP.
type natPMPOpener struct {
	*natPMP
	client *natpmp.Client
}

func (o *natPMPOpener) external(ctx context.Context) (netip.Addr, error) {
	got, err := leave(ctx, o.running, o.client.GetExternalAddress)
	if err != nil {
		return netip.Addr{}, natPMPError(err)
	}
	return netip.AddrFrom4(got.ExternalIPAddress), nil
}

func (o *natPMPOpener) open(ctx context.Context, port, external uint16) (grant, error) {
	got, err := o.add(ctx, port, external, lifetime)
	if err != nil {
		return grant{}, err
	}
	at, err := o.external(ctx)
	if err != nil {
		return grant{}, err
	}
	return grant{netip.AddrPortFrom(at, got.MappedExternalPort), time.Duration(got.PortMappingLifetimeInSeconds) * time.Second}, nil
}

func (o *natPMPOpener) close(ctx context.Context, port uint16, _ netip.AddrPort) error {
	_, err := o.add(ctx, port, 0, 0)
	return err
}

func (o *natPMPOpener) add(ctx context.Context, port, external uint16, d time.Duration) (*natpmp.AddPortMappingResult, error) {
	got, err := leave(ctx, o.running, func() (*natpmp.AddPortMappingResult, error) {
		return o.client.AddPortMapping("udp", int(port), int(external), int(d/time.Second))
	})
	if err != nil {
		return nil, natPMPError(err)
	}
	if got.InternalPort != port {
		return nil, because(ErrBadAnswer, "NAT-PMP: an answer about port %d instead of %d", got.InternalPort, port)
	}
	return got, nil
}

// natPMPError tells a router that refuses from one that isn't there. The library
// has texts for that only.
func natPMPError(err error) error {
	switch {
	case strings.Contains(err.Error(), "result code 3"):
		return because(ErrNoExternal, "NAT-PMP: %w", err)
	case strings.Contains(err.Error(), "result code 2"), strings.Contains(err.Error(), "result code 4"):
		return because(ErrRefused, "NAT-PMP: %w", err)
	}
	return because(ErrNoAnswer, "NAT-PMP: %w", err)
}

// leave returns what a call does, or leaves it to itself when ctx ends.
func leave[T any](ctx context.Context, running *sync.WaitGroup, call func() (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	running.Go(func() {
		v, err := call()
		done <- result{v, err}
	})
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}
