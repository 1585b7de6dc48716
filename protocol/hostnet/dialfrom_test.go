package hostnet_test

import (
	"net/netip"
	"syscall"
	"time"

	"earshot/protocol/hostnet"
)

// dialFrom is a conformance case: a connected socket speaks from the address
// that it was given, and none that isn't the host's is taken.
func dialFrom(b bed) {
	peer := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	c, err := b.a.DialPacketFrom(b.Context(), b.aAddr, hostnet.AddrPort(peer.LocalAddr()))
	b.ok(err)
	defer c.Close()
	b.ok(c.SetDeadline(time.Now().Add(5 * time.Second)))
	if _, err := c.Write([]byte("hello")); err != nil {
		b.Fatal(err)
	}
	if from := b.read(peer, "hello"); from != hostnet.AddrPort(c.LocalAddr()) || from.Addr() != b.aAddr {
		b.Errorf("it came from %v, not from %v", from, b.aAddr)
	}
	_, err = b.a.DialPacketFrom(b.Context(), netip.MustParseAddr("192.0.2.7"), hostnet.AddrPort(peer.LocalAddr()))
	b.is(err, syscall.EADDRNOTAVAIL)
}
