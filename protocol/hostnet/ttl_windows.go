package hostnet

import (
	"net"
	"net/netip"

	"golang.org/x/sys/windows"
)

// WriteTTL is what the function of that name does.
func (c packetConn) WriteTTL(b []byte, to netip.AddrPort, ttl int) error {
	return portableError(writeTTL(c.PacketConn.(*net.UDPConn), b, to, min(ttl, 255)))
}

// swapTTL sets how many hops a socket's datagrams to one family go, and returns
// what it was. A socket that takes both families has a limit for each.
func swapTTL(fd uintptr, _, to6 bool, ttl int) (before int, err error) {
	level, option := windows.IPPROTO_IP, windows.IP_TTL
	if to6 {
		level, option = windows.IPPROTO_IPV6, windows.IPV6_UNICAST_HOPS
	}
	before, err = windows.GetsockoptInt(windows.Handle(fd), level, option)
	if err != nil {
		return 0, err
	}
	return before, windows.SetsockoptInt(windows.Handle(fd), level, option, ttl)
}
