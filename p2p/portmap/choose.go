package portmap

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// lifetime is what a mapping is asked for: whoever crashes leaves it behind
	// for no longer.
	lifetime = time.Hour
	// longest is what a router is believed at most (RFC 6887, 15).
	longest = 24 * time.Hour
	// shortest is the shortest time between two questions that nothing but
	// time has caused.
	shortest = 20 * time.Second
	// retryFirst and retryLast are after how long a router that opened nothing
	// is asked again.
	retryFirst, retryLast = time.Minute, time.Hour
	// settle is how long a changed network is given to come to rest.
	settle = 2 * time.Second
)

// grant is what a router has opened.
type grant struct {
	external netip.AddrPort
	lifetime time.Duration
}

// notGlobal are networks that reach nobody from the Internet (RFC 6890), besides
// those that package netip knows.
var notGlobal = func() (list []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// isGlobal says whether an address may be reached from the Internet.
func isGlobal(a netip.Addr) bool {
	return a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(notGlobal, func(p netip.Prefix) bool { return p.Contains(a) })
}

// judge says whether a grant is of use to somebody whom the coordinator sees at
// an address.
func judge(g grant, seen netip.Addr) error {
	at := g.external.Addr()
	switch {
	case g.external.Port() == 0 || g.lifetime <= 0:
		return because(ErrBadAnswer, "a mapping to %v for %v", g.external, g.lifetime)
	case !at.Is4() || at.IsUnspecified():
		return because(ErrNoExternal, "the external address is %v", at)
	case at == seen: // of whatever network: that is where the others come from
		return nil
	case !isGlobal(at):
		return because(ErrDoubleNAT, "the router's external address is %v, and the coordinator sees %v", at, seen)
	}
	return nil
}

// renewal is after how long to ask again for a mapping that ends after left:
// half of that, and half of what is then left if nobody answers (RFC 6887, 11.2.1).
func renewal(left time.Duration) time.Duration {
	return max(min(left, longest)/2, shortest)
}

// retry is after how long to ask again when the last few searches, at least
// one, have found nothing.
func retry(failures int) time.Duration {
	return min(retryFirst<<min(failures-1, 10), retryLast)
}
