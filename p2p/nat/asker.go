package nat

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v3"
)

// ErrNoServer is that there is no coordinator, or none that answers STUN.
var ErrNoServer = errors.New("there is no coordinator to ask for this computer's address")

// Config is what an Asker stands on. None of it may be nil but Early and Log, and
// none of it is called with locks held.
type Config struct {
	// Write sends a datagram through the peer socket. A ttl of 0 is the
	// system's default; a hop limit for IPv6.
	Write func(b []byte, to netip.AddrPort, ttl int) error
	// Servers are the coordinator's ports that answer STUN, for each of its
	// addresses the main one first; at most eight are asked.
	Servers func() []netip.AddrPort
	// Token is the USERNAME by which the coordinator knows this device; empty
	// if it gave none.
	Token func() string
	// Local are the peer socket's own addresses, with its port.
	Local func() []netip.AddrPort
	// Early is told what the beginning of a full look has shown, long before
	// that is over; nil is told nothing.
	Early func(Report)
	Log   *slog.Logger
}

// Asker asks the coordinator. Its methods may be called by several goroutines;
// it has none of its own.
type Asker struct {
	cfg Config

	mu      sync.Mutex // guards what follows; held for no I/O and no call of cfg
	flight  *flight    // nil if nobody asks
	cookies map[netip.Addr]cookie
	last    Report
	known   bool
}

// flight is an asking that several callers may wait for. round is guarded by the
// Asker's mutex.
type flight struct {
	full  bool
	round *round
	wake  chan struct{} // buffered: the round has changed, or is void
	void  bool          // guarded by the Asker's mutex: the answers are of a network that may be no more

	settled chan struct{} // closed when quick is written: what a quick look tells
	quick   Report
	done    chan struct{} // closed when the following are
	report  Report
	err     error // of the context of the caller that ran it, not of an answer
}

// New returns an Asker. It asks when Ask is called.
func New(cfg Config) *Asker {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Asker{cfg: cfg}
}

// Packet takes a datagram of the peer socket, and says whether it was a STUN
// message: whatever it was good for, nobody else needs it. It keeps nothing of
// it and does not wait. An answer counts only if its transaction is under way
// and it comes from where the question went (RFC 8489, 6.3).
func (a *Asker) Packet(b []byte, from netip.AddrPort) bool {
	if !isSTUN(b) {
		return false
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flight
	if f == nil || f.round.byID[transaction(b[8:headerSize])] == nil {
		return true
	}
	answer, err := parseAnswer(b)
	if err == nil && f.round.heard(answer, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now) {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// errVoid is an asking that Doubt has ended.
var errVoid = errors.New("the network may have changed meanwhile")

// Doubt says that the network may have become another one: what is being asked
// is asked anew. What was found out before stays the last report.
func (a *Asker) Doubt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flight == nil {
		return
	}
	a.flight.void = true
	select {
	case a.flight.wake <- struct{}{}:
	default:
	}
}

// Last returns what was found out last.
func (a *Asker) Last() (Report, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last, a.known
}

// Ask finds out now, within 1.5 seconds: usually in one round trip to the
// coordinator, or two if it has not yet seen this device at its address. full
// also measures filtering and hops, for which answers are waited for that may
// never come, at least 0.9 seconds. Calls at the same time share one asking.
//
// That nothing answered is a Report, of kind Blocked. Errors are ErrNoServer and
// ctx's.
func (a *Asker) Ask(ctx context.Context, full bool) (Report, error) {
	for {
		f, mine, void, err := a.join(full)
		if err != nil {
			return Report{}, err
		}
		if mine {
			if a.run(ctx, f); errors.Is(f.err, errVoid) {
				continue
			}
			return f.report, f.err
		}
		settled := f.settled
		if full || void {
			settled = nil
		}
		select {
		case <-settled:
			return f.quick, nil
		case <-f.done:
		case <-ctx.Done():
			return Report{}, ctx.Err()
		}
		// Who gave up did so for itself, and a quick look is no full one.
		if f.err == nil && (f.full || !full) {
			return f.report, nil
		}
	}
}

// join returns the asking that is under way, which may be void, or a new one
// that is the caller's to run.
func (a *Asker) join(full bool) (f *flight, mine, void bool, err error) {
	a.mu.Lock()
	f, cookies := a.flight, a.cookies
	void = f != nil && f.void
	a.mu.Unlock()
	if f != nil {
		return f, false, void, nil
	}
	servers, token := a.cfg.Servers(), a.cfg.Token()
	if len(servers) == 0 {
		return nil, false, false, ErrNoServer
	}
	r, err := newRound(servers, token, cookies, full, stun.NewTransactionID, time.Now())
	if err != nil {
		return nil, false, false, err
	}
	if len(r.questions) == 0 {
		return nil, false, false, ErrNoServer
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flight != nil {
		return a.flight, false, a.flight.void, nil
	}
	a.flight = &flight{full: full, round: r, wake: make(chan struct{}, 1), settled: make(chan struct{}), done: make(chan struct{})}
	return a.flight, true, false, nil
}

// run asks until all is said, and publishes it.
func (a *Asker) run(ctx context.Context, f *flight) {
	err := a.exchange(ctx, f)
	local := unmapped(a.cfg.Local())
	a.mu.Lock()
	if f.void && err == nil {
		err = errVoid
	}
	f.err = err
	if err == nil {
		f.report = a.conclude(f, local, f.full)
	}
	a.cookies = f.round.cookies
	a.flight = nil
	a.mu.Unlock()
	close(f.done)
	if err == nil {
		a.cfg.Log.Debug("asked the coordinator how the network behaves", "kind", f.report.Kind, "filtering", f.report.Filtering,
			"v4", f.report.V4, "v6", f.report.V6, "hops", f.report.Hops, "rtt", f.report.RTT)
	}
}

// conclude makes what is known the last report, and returns it. mu is held.
func (a *Asker) conclude(f *flight, local []netip.AddrPort, full bool) Report {
	r := classify(f.round.questions, local, full)
	if last := a.last; !full && a.known && last.Kind == r.Kind && last.V4.Addr() == r.V4.Addr() && last.V6.Addr() == r.V6.Addr() {
		// A whole round has measured these better than the beginning of one.
		if last.Filtering != FilteringUnknown {
			r.Filtering = last.Filtering
		}
		if last.Hops != 0 {
			r.Hops = last.Hops
		}
	}
	r.RTT, r.At = f.round.rtt, f.round.began
	a.last, a.known = r, true
	return r
}

// settle tells those whom a quick look is enough for, once a full one has come
// so far.
func (a *Asker) settle(f *flight) {
	local := unmapped(a.cfg.Local())
	a.mu.Lock()
	f.quick = a.conclude(f, local, false)
	quick := f.quick
	a.mu.Unlock()
	close(f.settled)
	if a.cfg.Early != nil {
		a.cfg.Early(quick)
	}
}

// exchange sends what the round wants to be sent, until it is done or ctx ends.
func (a *Asker) exchange(ctx context.Context, f *flight) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	settled := !f.full
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		a.mu.Lock()
		out, wake, done := f.round.due(time.Now())
		now, void := f.round.settled(), f.void
		a.mu.Unlock()
		if void {
			return errVoid
		}
		if done {
			return nil
		}
		if now && !settled {
			settled = true
			a.settle(f)
		}
		for _, s := range out {
			if err := a.cfg.Write(s.bytes, s.to, s.ttl); err != nil {
				a.cfg.Log.Debug("a question to the coordinator could not be sent", "to", s.to, "err", err)
				a.mu.Lock()
				f.round.unsent(s.id)
				a.mu.Unlock()
			}
		}
		if len(out) > 0 {
			continue // what could not be sent may end the round
		}
		timer.Reset(time.Until(wake))
		select {
		case <-f.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// unmapped are addresses with IPv4 as IPv4.
func unmapped(addrs []netip.AddrPort) []netip.AddrPort {
	addrs = slices.Clone(addrs)
	for i, a := range addrs {
		addrs[i] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return addrs
}
