package load

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"earshot/protocol/identity"
)

// Newcomer is one client that is looked at closely: when it was connected, and
// when it knew everybody. It is best in a process of its own, which the
// system lets run as soon as something has come; in a crowd's it would wait for
// the crowd.
type Newcomer struct {
	client *secureClient
}

// NewNewcomer makes the key of the client with an index that no crowd uses.
func NewNewcomer(to netip.AddrPort, index int) *Newcomer {
	s := &Secure{to: to, ledgers: make(map[uint64]*ledger), online: make(map[int]uint64)}
	return &Newcomer{&secureClient{
		crowd: s, index: index, certificate: identity.NewKey().Certificate(), text: firstText, awake: make(chan struct{}, 1),
	}}
}

// Login logs in without a position, and returns how long that took until the
// Welcome had come, and until the whole roster had.
func (n *Newcomer) Login(ctx context.Context) (welcome, whole time.Duration, err error) {
	c := n.client
	began := time.Now()
	raw, err := dial(ctx, c.index, c.crowd.to)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	first, in, err := c.greet(ctx, raw)
	if err != nil {
		raw.Close()
		return 0, 0, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	welcome = time.Since(began)
	c.raw, c.ended, c.led = raw, make(chan struct{}), new(ledger)
	if first.Epoch == 0 {
		return 0, 0, fmt.Errorf("%w: the roster has no epoch", ErrLoad)
	}
	c.sequence.Store(0)
	for c.sequence.Load() == 0 {
		body, err := c.frame(in)
		if err == nil {
			err = c.take(body)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("%w: %w", ErrLoad, err)
		}
	}
	whole = time.Since(began)
	c.crowd.running.Go(func() {
		defer close(c.ended)
		_ = c.follow(in)
	})
	return welcome, whole, nil
}

// Logout logs out.
func (n *Newcomer) Logout() error {
	err := n.client.conn.Load().Close()
	n.client.crowd.running.Wait()
	return err
}
