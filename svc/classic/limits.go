package classic

import (
	"net/netip"
	"time"
)

// maxSources bounds the addresses whose rates are told apart. Those beyond
// share one, so a flood from forged sources costs little memory.
const maxSources = 1 << 14

// rates are how fast an address may do what. They belong to the goroutine that
// reads datagrams.
type rates struct {
	datagrams, logins, groups limiter
}

func newRates(l Limits) rates {
	return rates{
		datagrams: newLimiter(l.DatagramsPerSecondPerAddress, 2*time.Second),
		logins:    newLimiter(l.LoginsPerSecondPerAddress, 4*time.Second),
		groups:    newLimiter(l.GroupMessagesPerSecondPerAddress, 4*time.Second),
	}
}

// limiter admits so many events a second from each address, and a burst. It
// keeps one time for each address: when all that was admitted would be done
// at the rate (the generic cell rate algorithm, ITU-T I.371).
type limiter struct {
	interval time.Duration // between two events
	burst    time.Duration // how far ahead of the rate an address may be
	done     map[netip.Addr]time.Time
	others   time.Time
	swept    time.Time
}

func newLimiter(perSecond int, burst time.Duration) limiter {
	return limiter{interval: time.Second / time.Duration(perSecond), burst: burst, done: make(map[netip.Addr]time.Time)}
}

func (l *limiter) allow(source netip.Addr, now time.Time) bool {
	source = host(source)
	done, known := l.done[source]
	if !known && len(l.done) >= maxSources {
		l.sweep(now)
	}
	shared := !known && len(l.done) >= maxSources
	if shared {
		done = l.others
	}
	if done.Before(now) {
		done = now
	}
	if done = done.Add(l.interval); done.Sub(now) > l.burst {
		return false
	}
	if shared {
		l.others = done
	} else {
		l.done[source] = done
	}
	return true
}

// sweep forgets the addresses that are within their rate, at most once a second.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for source, done := range l.done {
		if done.Before(now) {
			delete(l.done, source)
		}
	}
}
