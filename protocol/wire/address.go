package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ErrAddress is bytes that are no address.
var ErrAddress = fmt.Errorf("%w: not an address", ErrFrame)

// Address returns an address as Candidate.address and Classic.endpoint hold it:
//
//	offset  size     field
//	0       4 or 16  IPv4 or IPv6 address
//	4 or 16 2        port, big-endian
//
// An IPv4 address mapped into IPv6 is the IPv4 address; a zone is left out. An
// address that isn't valid is empty.
func Address(a netip.AddrPort) []byte {
	if !a.IsValid() {
		return nil
	}
	return binary.BigEndian.AppendUint16(a.Addr().Unmap().AsSlice(), a.Port())
}

// ParseAddress reads what Address returned. An empty one is ErrAddress too.
func ParseAddress(b []byte) (netip.AddrPort, error) {
	n := len(b) - 2
	if n != 4 && n != 16 {
		return netip.AddrPort{}, ErrAddress
	}
	addr, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[n:])), nil
}
