package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// WriteTTL sends one datagram that at most ttl-1 routers pass on (1 to 255);
// otherwise it is WriteTo. It may be called at the same time as the other
// methods of c, which is a socket of this package or has a method of this name.
func WriteTTL(c net.PacketConn, b []byte, to netip.AddrPort, ttl int) error {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if ttl <= 0 {
		_, err := c.WriteTo(b, net.UDPAddrFromAddrPort(to))
		return err
	}
	switch c := c.(type) {
	case interface {
		WriteTTL(b []byte, to netip.AddrPort, ttl int) error
	}:
		return c.WriteTTL(b, to, ttl)
	case *net.UDPConn:
		return writeTTL(c, b, to, min(ttl, 255))
	}
	return fmt.Errorf("a %T can't limit how far a datagram goes: %w", c, errors.ErrUnsupported)
}
