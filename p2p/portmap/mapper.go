package portmap

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"earshot/protocol/hostnet"
)

const (
	// searchWithin bounds a search with all protocols, openWithin one request
	// to open a port, and closeWithin the request to close it.
	searchWithin = 6 * time.Second
	openWithin   = 2 * time.Second
	closeWithin  = time.Second
)

// Config is what New needs.
type Config struct {
	Net hostnet.Net
	// Port is the local UDP port to which the mapping is to lead.
	Port uint16
	// Outside says what is known of the way out; it must not call the Mapper.
	// Whoever learns something new calls Changed.
	Outside func() Outside
	// OnChange is told, on Run's goroutine, that Mapping returns something else
	// now; nil is told nothing.
	OnChange func()
	// Gateway returns the next router on the way to an address, and the address
	// that this host has toward it; nil asks the system. An error is one of
	// this package's.
	Gateway func(toward netip.Addr) (gateway, local netip.Addr, err error)
	Log     *slog.Logger // nil for none
}

// Mapper gets a mapping and keeps it. Run's goroutine is the only one that
// touches held, last and failures; status has a mutex and may be read by all.
type Mapper struct {
	cfg       Config
	protocols []protocol
	changed   chan struct{}
	ask       chan chan<- struct{} // of Ask, closed after the round
	library   sync.WaitGroup       // calls that know no context

	held     *lease
	last     Outside // with which held was asked for
	failures int     // searches that found nothing, since the last change

	mu     sync.Mutex
	status Status
}

// New starts nothing.
func New(cfg Config) *Mapper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Gateway == nil {
		cfg.Gateway = route
	}
	m := &Mapper{cfg: cfg, changed: make(chan struct{}, 1), ask: make(chan chan<- struct{}), status: Status{Err: ErrNotKnown}}
	m.protocols = []protocol{newPCP(cfg.Net), &natPMP{running: &m.library}, &upnp{cfg.Net}}
	return m
}

// Changed says that the network, or what Outside returns, may have changed.
func (m *Mapper) Changed() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Ask has the router asked now, and returns how the Mapper stands then, or when
// ctx ends. Run must be running.
func (m *Mapper) Ask(ctx context.Context) Status {
	done := make(chan struct{})
	select {
	case m.ask <- done:
	case <-ctx.Done():
		return m.Status()
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	return m.Status()
}

// Mapping returns where a router leads others to this host, and by which
// protocol; ok is false while there is no such place.
func (m *Mapper) Mapping() (at netip.AddrPort, by Method, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status.External, m.status.Method, m.status.Err == nil
}

// Status returns how the Mapper stands.
func (m *Mapper) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Run keeps a mapping until ctx ends, and gives it back within two seconds. It
// returns nil.
func (m *Mapper) Run(ctx context.Context) error {
	defer m.library.Wait()
	defer m.giveBack(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var asked chan<- struct{}
	for {
		begun := time.Now()
		if wait := m.round(ctx); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()        // until something changes
			begun = time.Time{} // nobody was asked
		}
		if asked != nil {
			close(asked)
			asked = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			continue
		case asked = <-m.ask:
			m.failures = 0
			continue
		case <-m.changed:
			m.failures = 0
		}
		timer.Reset(settle - time.Since(begun)) // at once if that is past
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// round gets, or renews, the mapping, and returns after how long to do so
// again; 0 is when something has changed.
func (m *Mapper) round(ctx context.Context) time.Duration {
	outside := m.cfg.Outside()
	switch {
	case !outside.Seen.IsValid() && m.held != nil:
		outside = m.last // the coordinator is away, and comes back
	case !outside.Seen.IsValid():
		m.publish(Status{Err: ErrNotKnown})
		return 0
	case !outside.NAT:
		m.giveBack(ctx)
		m.publish(Status{Err: ErrNotNeeded})
		return 0
	}
	m.last = outside
	where, err := m.find(outside.Toward)
	if err != nil {
		return m.fail(where, err)
	}
	if m.held != nil && m.held.place != where {
		m.held = nil // that router can't be reached any more
	}
	if m.held != nil {
		renewed, err := m.held.renew(ctx, m.cfg.Port, outside.Seen)
		if err == nil {
			return m.keep(renewed)
		}
		m.cfg.Log.Debug("the router didn't renew the open port", "error", err)
	}
	found, err := m.search(ctx, where, outside.Seen)
	if err != nil {
		return m.fail(where, err)
	}
	return m.keep(found)
}

// keep takes a mapping.
func (m *Mapper) keep(l *lease) time.Duration {
	m.held, m.failures = l, 0
	m.publish(Status{Method: l.method, External: l.external, Gateway: l.place.gateway, Until: l.until})
	return renewal(time.Until(l.until))
}

// fail goes on without a mapping, or with the one that is held as long as the
// router has promised it, unless it is known to be of no use.
func (m *Mapper) fail(where place, err error) time.Duration {
	useless := errors.Is(err, ErrDoubleNAT) || errors.Is(err, ErrNoGateway) || errors.Is(err, ErrNoExternal)
	if l := m.held; l != nil && time.Now().Before(l.until) && !useless {
		return min(renewal(time.Until(l.until)), retryLast)
	}
	m.held = nil
	m.failures++
	m.publish(Status{Gateway: where.gateway, Err: err})
	return retry(m.failures)
}

// publish is what others learn.
func (m *Mapper) publish(s Status) {
	m.mu.Lock()
	before := m.status
	m.status = s
	m.mu.Unlock()
	if s.Err != nil && ReasonOf(s.Err) != ReasonOf(before.Err) {
		m.cfg.Log.Info("no port is open on the router", "gateway", s.Gateway, "reason", string(ReasonOf(s.Err)), "error", s.Err)
	}
	if before.External == s.External && before.Method == s.Method {
		return
	}
	if s.Err == nil {
		m.cfg.Log.Info("a port is open on the router", "at", s.External, "by", s.Method.String(), "gateway", s.Gateway, "until", s.Until)
	}
	if m.cfg.OnChange != nil {
		m.cfg.OnChange()
	}
}

// giveBack closes what the router has opened.
func (m *Mapper) giveBack(ctx context.Context) {
	l := m.held
	if l == nil {
		return
	}
	m.held = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if err := l.opener.close(ctx, m.cfg.Port, l.external); err != nil {
		m.cfg.Log.Debug("the router didn't close the port", "at", l.external, "error", err)
	}
	m.publish(Status{Gateway: l.place.gateway, Err: ErrNotKnown})
}
