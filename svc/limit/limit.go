// Package limit bounds what one address can make the coordinator do. Nothing
// here does I/O or reads a clock.
package limit

import (
	"fmt"
	"net/netip"
	"time"
)

// maxSources bounds the addresses whose rates are told apart. Those beyond
// share one, so a flood from many sources, or forged ones, costs little memory.
const maxSources = 1 << 14

// Host is what the limits of an address are counted by: for IPv6 the /64, of
// which one machine can use every address.
func Host(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		return netip.PrefixFrom(a.WithZone(""), 64).Masked().Addr()
	}
	return a
}

// Pace admits events at a rate, and a burst. It is the time at which all that
// was admitted would be done at the rate (the generic cell rate algorithm,
// ITU-T I.371). The zero Pace has admitted nothing.
type Pace struct{ done time.Time }

// Wait returns how long an event that takes interval at the rate must wait so
// that no more than burst is ahead of it, and admits it.
func (p *Pace) Wait(now time.Time, interval, burst time.Duration) time.Duration {
	if p.done.Before(now) {
		p.done = now
	}
	p.done = p.done.Add(interval)
	return max(0, p.done.Sub(now)-burst)
}

// Allow admits an event only if it need not wait.
func (p *Pace) Allow(now time.Time, interval, burst time.Duration) bool {
	admitted := *p
	if admitted.Wait(now, interval, burst) > 0 {
		return false
	}
	*p = admitted
	return true
}

// Rate is a Pace for each host. It belongs to one goroutine, or to whoever
// holds a mutex.
type Rate struct {
	interval, burst time.Duration
	paces           map[netip.Addr]Pace
	others          Pace
	swept           time.Time
}

// NewRate returns a rate of so many events a second, with burst's worth at once.
func NewRate(perSecond int, burst time.Duration) Rate {
	return Rate{interval: time.Second / time.Duration(perSecond), burst: burst, paces: make(map[netip.Addr]Pace)}
}

// Allow admits an event of an address, or doesn't.
func (r *Rate) Allow(source netip.Addr, now time.Time) bool {
	source = Host(source)
	p, known := r.paces[source]
	if !known && len(r.paces) >= maxSources {
		r.sweep(now)
	}
	if !known && len(r.paces) >= maxSources {
		return r.others.Allow(now, r.interval, r.burst)
	}
	allowed := p.Allow(now, r.interval, r.burst)
	r.paces[source] = p
	return allowed
}

// sweep forgets the addresses that are within their rate, at most once a second.
func (r *Rate) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	for source, p := range r.paces {
		if p.done.Before(now) {
			delete(r.paces, source)
		}
	}
}

// Default is a limit of a configuration: a zero means its fallback.
type Default struct {
	Name     string
	Value    *int
	Fallback int
}

// SetDefaults replaces zeros. A negative limit is an error of the family.
func SetDefaults(family error, limits ...Default) error {
	for _, l := range limits {
		switch {
		case *l.Value < 0:
			return fmt.Errorf("%w: the limit %s is %d; it must be positive, or 0 for its default of %d", family, l.Name, *l.Value, l.Fallback)
		case *l.Value == 0:
			*l.Value = l.Fallback
		}
	}
	return nil
}
