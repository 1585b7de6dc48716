package hostnet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cannot are the errors of a system that doesn't know this (EINVAL), of a card
// that has it done by nobody (EIO), and of datagrams that would have to be taken
// apart on the way (EMSGSIZE).
var cannot = []error{unix.EINVAL, unix.EIO, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENOPROTOOPT}

// writeAtOnce is false, and nothing has left, if this can't be done.
func writeAtOnce(conn net.Conn, b []byte, size int) (done bool, err error) {
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return false, nil
	}
	var control [24]byte // CMSG_SPACE(2)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(size))
	_, _, err = udp.WriteMsgUDPAddrPort(b, control[:unix.CmsgSpace(2)], netip.AddrPort{})
	for _, e := range cannot {
		if errors.Is(err, e) {
			return false, nil
		}
	}
	return true, err
}
