package control

import (
	"net/netip"
	"time"
)

// maxSources bounds the addresses whose rates are told apart. Those beyond
// share one, so a flood from many sources costs little memory.
const maxSources = 1 << 14

// host is what the limits of an address are counted by: for IPv6 the /64, of
// which one machine can use every address.
func host(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		return netip.PrefixFrom(a.WithZone(""), 64).Masked().Addr()
	}
	return a
}

// pace admits events at a rate, and a burst. It is the time at which all that
// was admitted would be done at the rate (the generic cell rate algorithm,
// ITU-T I.371).
type pace struct{ done time.Time }

// wait returns how long an event that takes interval at the rate must wait so
// that no more than burst is ahead of it, and admits it.
func (p *pace) wait(now time.Time, interval, burst time.Duration) time.Duration {
	if p.done.Before(now) {
		p.done = now
	}
	p.done = p.done.Add(interval)
	return max(0, p.done.Sub(now)-burst)
}

// allow admits an event only if it need not wait.
func (p *pace) allow(now time.Time, interval, burst time.Duration) bool {
	admitted := *p
	if admitted.wait(now, interval, burst) > 0 {
		return false
	}
	*p = admitted
	return true
}

// limiter has a pace for each address.
type limiter struct {
	interval, burst time.Duration
	paces           map[netip.Addr]*pace
	others          pace
	swept           time.Time
}

func newLimiter(perSecond int, burst time.Duration) limiter {
	return limiter{interval: time.Second / time.Duration(perSecond), burst: burst, paces: make(map[netip.Addr]*pace)}
}

func (l *limiter) allow(source netip.Addr, now time.Time) bool {
	p := l.paces[source]
	if p == nil {
		if len(l.paces) >= maxSources {
			l.sweep(now)
		}
		if p = &l.others; len(l.paces) < maxSources {
			p = new(pace)
			l.paces[source] = p
		}
	}
	return p.allow(now, l.interval, l.burst)
}

// sweep forgets the addresses that are within their rate, at most once a second.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for source, p := range l.paces {
		if p.done.Before(now) {
			delete(l.paces, source)
		}
	}
}
