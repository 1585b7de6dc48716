package hostnet_test

import (
	"net/netip"
	"slices"
)

// Every address that a host names can be listened at, and none is the
// loopback's.
func ownAddresses(b bed) {
	addrs, err := b.a.Addrs()
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range addrs {
		if a.IsLoopback() || a.IsLinkLocalUnicast() || a.Is4In6() {
			b.Errorf("%v is among them", a)
		}
		c, err := b.a.ListenPacket(b.Context(), netip.AddrPortFrom(a, 0))
		if err != nil {
			b.Errorf("%v: %v", a, err)
			continue
		}
		c.Close()
	}
	if !b.aAddr.IsLoopback() && !slices.Contains(addrs, b.aAddr) {
		b.Errorf("%v is not among %v", b.aAddr, addrs)
	}
}
