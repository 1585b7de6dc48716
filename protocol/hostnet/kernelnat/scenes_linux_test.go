package kernelnat

import (
	"fmt"
	"net/netip"
	"testing"

	"earshot/protocol/hostnet"
)

// TestPorts: a port is kept as long as nobody else speaks from it to the same
// address and port, or is another one for everybody.
func TestPorts(t *testing.T) {
	for _, kind := range []string{"easy", "open-input"} {
		inBoth(t, kind, "easy", func(l lab) {
			at, at1, at2 := l.sock(l.pub, pub1, 7000), l.sock(l.pub, pub1, 7001), l.sock(l.pub, pub2, 7100)
			c, second := l.sock(l.la, la, 5000), l.sock(l.la2, la2, 5000)
			own := netip.AddrPortFrom(na, 5000)
			for _, from := range []netip.AddrPort{l.seen(c, at), l.seen(c, at2), l.seen(second, at1)} {
				if from != own {
					l.Errorf("seen as %v", from)
				}
			}
			if from := l.seen(second, at); from == own || from.Addr() != na {
				l.Errorf("the second host is seen as %v", from)
			}
		})
	}
	inBoth(t, "hard", "easy", func(l lab) {
		at, at1, at2 := l.sock(l.pub, pub1, 7000), l.sock(l.pub, pub1, 7001), l.sock(l.pub, pub2, 7100)
		c := l.sock(l.la, la, 5000)
		if a, b, c := l.seen(c, at), l.seen(c, at1), l.seen(c, at2); a == b && b == c || a.Addr() != na {
			l.Errorf("seen as %v, %v and %v", a, b, c)
		}
	})
}

// TestFilter: only answers come in.
func TestFilter(t *testing.T) {
	for _, kind := range []string{"easy", "hard", "open-input"} {
		inBoth(t, kind, "easy", func(l lab) {
			at, at1, at2 := l.sock(l.pub, pub1, 7000), l.sock(l.pub, pub1, 7001), l.sock(l.pub, pub2, 7100)
			c, neighbour := l.sock(l.la, la, 5000), l.sock(l.la2, la2, 6000)
			to := l.seen(c, at)
			l.say(at1, to, "another port", 0)
			l.say(at2, to, "another address", 0)
			l.heard(c, "", false, "a stranger's packet")
			l.say(at, to, "answer", 0)
			l.heard(c, "answer", true, "an answer")
			l.say(neighbour, to, "round the corner", 0)
			l.heard(c, "", false, "a packet from inside to the outer port")
		})
	}
}

// TestForward: a port that is open to everybody.
func TestForward(t *testing.T) {
	inBoth(t, "forwarding", "hard", func(l lab) {
		at, far := l.sock(l.pub, pub2, 7100), l.sock(l.lb, lb, 5000)
		c := l.sock(l.la, la, 5000)
		l.say(far, netip.AddrPortFrom(na, 40000), "hello", 0)
		from := l.heard(c, "hello", true, "the first packet")
		l.say(c, from, "back", 0)
		if from := l.heard(far, "back", true, "the answer"); from != netip.AddrPortFrom(na, 40000) {
			l.Errorf("it came from %v", from)
		}
		if from := l.seen(c, at); from != netip.AddrPortFrom(na, 40000) {
			l.Errorf("seen as %v", from)
		}
	})
}

// TestBlocked: no datagram, but TCP, from the router's address.
func TestBlocked(t *testing.T) {
	inBoth(t, "blocked", "easy", func(l lab) {
		at, c := l.sock(l.pub, pub1, 7000), l.sock(l.la, la, 5000)
		l.say(c, netip.AddrPortFrom(pub1, 7000), "x", 0)
		l.heard(at, "", false, "a datagram")
		_, far := l.pair()
		if from := hostnet.AddrPort(far.RemoteAddr()); from.Addr() != na {
			l.Errorf("it comes from %v", from)
		}
	})
}

// TestTimeout: who says nothing for a while hears no answers any more.
func TestTimeout(t *testing.T) {
	inBoth(t, "forgetful", "easy", func(l lab) {
		at, c := l.sock(l.pub, pub1, 7000), l.sock(l.la, la, 5000)
		to := l.seen(c, at)
		l.say(at, to, "in time", 0)
		l.heard(c, "in time", true, "an answer in time")
		l.heard(c, "", false, "nothing, for a while")
		l.say(at, to, "late", 0)
		l.heard(c, "", false, "an answer too late")
	})
}

// TestPunching: what an unsolicited packet does to a router depends on whether
// its own input accepts; a packet that ends before it arrives is the remedy.
func TestPunching(t *testing.T) {
	for _, kinds := range [][2]string{{"easy", "easy"}, {"open-input", "easy"}, {"easy", "open-input"}, {"open-input", "open-input"}} {
		inBoth(t, kinds[0], kinds[1], func(l lab) {
			a, b, at := l.sock(l.la, la, 5000), l.sock(l.lb, lb, 5000), l.sock(l.pub, pub1, 7000)
			toA, toB := netip.AddrPortFrom(na, 5000), netip.AddrPortFrom(nb, 5000)
			works := kinds[0] == "easy"
			l.seen(a, at)
			l.say(b, toA, "first", 0)
			l.heard(a, "", false, "an unsolicited packet")
			l.say(a, toB, "second", 0)
			if !works && kinds[1] == "open-input" {
				// B's router has a mapping for A's usual port, and knows nothing
				// of the other.
				l.heard(b, "", false, "a packet from another port")
			} else {
				l.heard(b, "second", works, "a packet after the other's")
			}
			l.say(b, toA, "third", 0)
			l.heard(a, "third", works, "a packet after both")
			if from := l.seen(a, at); from != toA {
				l.Errorf("the core sees %v", from)
			}

			a, b = l.sock(l.la, la, 5001), l.sock(l.lb, lb, 5001)
			toA, toB = netip.AddrPortFrom(na, 5001), netip.AddrPortFrom(nb, 5001)
			l.say(a, toB, "opener", 2)
			l.heard(b, "", false, "an opener")
			l.say(b, toA, "solicited", 0)
			l.heard(a, "solicited", true, "a packet after the opener")
			l.say(a, toB, "answer", 0)
			l.heard(b, "answer", true, "its answer")
		})
	}
}

// TestLateOpener: an opener that gets as far as the other router's own input
// does the harm itself.
func TestLateOpener(t *testing.T) {
	inBoth(t, "easy", "open-input", func(l lab) {
		for ttl := 1; ttl <= 4; ttl++ {
			port := uint16(5000 + ttl)
			a, b := l.sock(l.la, la, port), l.sock(l.lb, lb, port)
			toA, toB := netip.AddrPortFrom(na, port), netip.AddrPortFrom(nb, port)
			l.say(a, toB, "opener", ttl)
			l.heard(b, "", false, fmt.Sprintf("an opener of %d hops", ttl))
			l.say(b, toA, "from inside", 0)
			// One hop opens nothing; two are right; three and more reach B's
			// router, which takes another port then.
			l.heard(a, "from inside", ttl == 2, fmt.Sprintf("a packet after an opener of %d hops", ttl))
		}
	})
}

// TestHops counts the routers on the way.
func TestHops(t *testing.T) {
	inBoth(t, "easy", "easy", func(l lab) {
		a, b, at := l.sock(l.la, la, 5000), l.sock(l.lb, lb, 5000), l.sock(l.pub, pub1, 7000)
		toB := netip.AddrPortFrom(nb, 5000)
		for ttl := 1; ttl <= 2; ttl++ {
			l.say(a, netip.AddrPortFrom(pub1, 7000), "up", ttl)
			l.heard(at, "up", ttl == 2, fmt.Sprintf("TTL %d to the core", ttl))
		}
		l.say(b, netip.AddrPortFrom(na, 5000), "opens B", 2)
		for ttl := 1; ttl <= 4; ttl++ {
			l.say(a, toB, "across", ttl)
			l.heard(b, "across", ttl == 4, fmt.Sprintf("TTL %d to behind the other router", ttl))
		}
	})
}

// TestIPv6: addresses are everybody's, only answers come in.
func TestIPv6(t *testing.T) {
	inBoth(t, "easy", "easy", func(l lab) {
		l.reach(pub6)
		a, b, other := l.sock(l.la, la6, 5000), l.sock(l.lb, lb6, 5000), l.sock(l.lb, lb6, 5001)
		toA, toB := netip.AddrPortFrom(la6, 5000), netip.AddrPortFrom(lb6, 5000)
		l.say(a, toB, "opens A", 2)
		l.heard(b, "", false, "an opener")
		l.say(other, toA, "stranger", 0)
		l.heard(a, "", false, "a stranger's packet")
		l.say(b, toA, "opens B", 0)
		if from := l.heard(a, "opens B", true, "a packet after the opener"); from != toB {
			l.Errorf("it came from %v", from)
		}
		for ttl := 1; ttl <= 4; ttl++ {
			l.say(a, toB, "across", ttl)
			l.heard(b, "across", ttl == 4, fmt.Sprintf("hop limit %d", ttl))
		}
	})
}
