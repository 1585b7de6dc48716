// Package dual is a peer that speaks the secure protocol where the coordinator
// does, and the classic one where it can't: one p2p.Transport over two.
package dual

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
)

const (
	// Retries are jittered: a wait is between half of its length and all of it.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

// Config is what New needs.
type Config struct {
	// Secure and Classic make a transport for one login each.
	Secure, Classic func() (p2p.Transport, error)
	// Secured says that the coordinator was once seen to speak the secure
	// protocol, or has to: the classic one is then never tried, since anybody
	// between could otherwise take the proofs away.
	Secured func() bool
}

// Transport tries the secure protocol first, at every attempt.
//
// The goroutine of Run decides which transport is in use; the others read it
// under mu.
type Transport struct {
	cfg Config

	mu     sync.Mutex
	now    p2p.Transport      // nil between two
	again  context.CancelFunc // ends what runs now; nil while nothing does
	status *p2p.Status
	admit  func(p2p.Person, identity.PublicKey) bool
}

var (
	_ p2p.Transport = (*Transport)(nil)
	_ p2p.Examiner  = (*Transport)(nil)
	_ p2p.Gated     = (*Transport)(nil)
)

// New starts nothing.
func New(cfg Config) *Transport { return &Transport{cfg: cfg} }

// Renew has transports made anew, because something has changed that they
// were made with. Whatever is under way is broken off, as if the connection
// were lost. It may be called at any time.
func (t *Transport) Renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.again != nil {
		t.again()
	}
}

// Run implements p2p.Transport. What can never work may after Renew, so it waits
// for that until ctx ends, and returns nil.
func (t *Transport) Run(ctx context.Context, on func(p2p.Event)) error {
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		t.mu.Lock()
		t.again = cancel
		t.mu.Unlock()
		err := t.login(round, on)
		if err != nil {
			if !errors.Is(err, p2p.ErrTransport) {
				// No transport was made that could have said it.
				on(p2p.Disconnected{Cause: fmt.Errorf("%w: %w", p2p.ErrTransport, err)})
			}
			<-round.Done()
		}
		cancel()
		if err == nil && ctx.Err() == nil {
			on(p2p.Disconnected{Cause: p2p.ErrNotConnected, Retry: time.Now()})
		}
	}
	return nil
}

// login runs one transport after the other until ctx ends.
func (t *Transport) login(ctx context.Context, on func(p2p.Event)) error {
	backoff := firstBackoff
	for ctx.Err() == nil {
		if err := t.runSecure(ctx, on); err != nil || ctx.Err() != nil {
			return err
		}
		// What answers, if anything does, is no secure coordinator.
		connected, lost, err := t.runClassic(ctx, on)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if connected {
			backoff = firstBackoff
		}
		wait := backoff/2 + rand.N(backoff/2)
		backoff = min(2*backoff, lastBackoff)
		if errors.Is(lost.Cause, p2p.ErrRefused) {
			wait = max(time.Until(lost.Retry), wait)
		}
		lost.Retry = time.Now().Add(wait)
		on(lost)
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return nil
}

// runSecure runs the secure transport, until ctx ends or the coordinator is
// found not to speak it.
func (t *Transport) runSecure(ctx context.Context, on func(p2p.Event)) error {
	network, err := t.cfg.Secure()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return t.run(ctx, network, func(e p2p.Event) {
		if lost, ok := e.(p2p.Disconnected); ok && errors.Is(lost.Cause, p2p.ErrNotSecure) && !t.cfg.Secured() {
			cancel()
			return
		}
		if ctx.Err() == nil {
			on(e)
		}
	})
}

// runClassic runs the classic transport until it loses its coordinator, which
// may speak the secure protocol when it is back.
func (t *Transport) runClassic(ctx context.Context, on func(p2p.Event)) (connected bool, lost p2p.Disconnected, err error) {
	network, err := t.cfg.Classic()
	if err != nil {
		return false, lost, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = t.run(ctx, network, func(e p2p.Event) {
		switch e := e.(type) {
		case p2p.Connecting:
			return // the secure attempt has said so
		case p2p.Connected:
			connected = true
		case p2p.Disconnected:
			if ctx.Err() == nil {
				lost = e
			}
			cancel()
			return
		}
		if ctx.Err() == nil {
			on(e)
		}
	})
	return connected, lost, err
}

// run runs a transport as the one in use.
func (t *Transport) run(ctx context.Context, network p2p.Transport, on func(p2p.Event)) error {
	t.mu.Lock()
	t.now = network
	if t.status != nil {
		network.SetStatus(*t.status)
	}
	if gated, ok := network.(p2p.Gated); ok {
		gated.AskBefore(t.admit)
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.now = nil
		t.mu.Unlock()
	}()
	return network.Run(ctx, on)
}

func (t *Transport) current() p2p.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// Send implements p2p.Transport.
func (t *Transport) Send(to p2p.Target, item p2p.Item, done func(error)) {
	if now := t.current(); now != nil {
		now.Send(to, item, done)
	} else {
		done(p2p.ErrNotConnected)
	}
}

// SendToAll implements p2p.Transport.
func (t *Transport) SendToAll(ctx context.Context, text string) error {
	if now := t.current(); now != nil {
		return now.SendToAll(ctx, text)
	}
	return p2p.ErrNotConnected
}

// Typing implements p2p.Transport.
func (t *Transport) Typing(to p2p.Target, active bool) {
	if now := t.current(); now != nil {
		now.Typing(to, active)
	}
}

// SetStatus implements p2p.Transport.
func (t *Transport) SetStatus(s p2p.Status) {
	t.mu.Lock()
	t.status = &s
	now := t.now
	t.mu.Unlock()
	if now != nil {
		now.SetStatus(s)
	}
}

// AskBefore implements p2p.Gated. The classic protocol tells everybody.
func (t *Transport) AskBefore(admit func(p2p.Person, identity.PublicKey) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admit = admit
}

// OfferJoin implements p2p.Transport.
func (t *Transport) OfferJoin() (identity.JoinCode, time.Time, error) {
	if now := t.current(); now != nil {
		return now.OfferJoin()
	}
	return identity.JoinCode{}, time.Time{}, p2p.ErrNotConnected
}

// RemoveDevice implements p2p.Transport.
func (t *Transport) RemoveDevice(ctx context.Context, device identity.PublicKey) error {
	if now := t.current(); now != nil {
		return now.RemoveDevice(ctx, device)
	}
	return p2p.ErrNotConnected
}

// Examine implements p2p.Examiner; p2p.ErrNotSupported is the classic protocol.
func (t *Transport) Examine(ctx context.Context) (p2p.Network, error) {
	examiner, err := t.examiner()
	if err != nil {
		return p2p.Network{}, err
	}
	return examiner.Examine(ctx)
}

// Try implements p2p.Examiner, as Examine does.
func (t *Transport) Try(ctx context.Context, device identity.PublicKey) (p2p.Route, error) {
	examiner, err := t.examiner()
	if err != nil {
		return p2p.RouteNone, err
	}
	return examiner.Try(ctx, device)
}

func (t *Transport) examiner() (p2p.Examiner, error) {
	now := t.current()
	if now == nil {
		return nil, p2p.ErrNotConnected
	}
	examiner, ok := now.(p2p.Examiner)
	if !ok {
		return nil, p2p.ErrNotSupported
	}
	return examiner, nil
}
