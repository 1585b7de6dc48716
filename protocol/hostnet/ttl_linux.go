package hostnet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeTTL gives the limit along with the datagram, so that nothing else that
// is written at the same time is touched. A socket for both families takes the
// IPv4 form for IPv4 addresses.
func writeTTL(c *net.UDPConn, b []byte, to netip.AddrPort, ttl int) error {
	level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TTL)
	if to.Addr().Is6() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	oob := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(oob[unix.CmsgLen(0):], uint32(ttl))
	_, _, err := c.WriteMsgUDPAddrPort(b, oob, to)
	return err
}
