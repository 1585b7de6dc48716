//go:build !linux

package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// ttlMu makes writes with a limit one after the other: the limit is a property
// of the socket here. Another write of the same moment may go as far only, which
// is a lost datagram.
var ttlMu sync.Mutex

// writeTTL changes the socket's limit for the time of the write.
func writeTTL(c *net.UDPConn, b []byte, to netip.AddrPort, ttl int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	ttlMu.Lock()
	defer ttlMu.Unlock()
	six := AddrPort(c.LocalAddr()).Addr().Is6()
	var before int
	if controlErr := raw.Control(func(fd uintptr) { before, err = swapTTL(fd, six, to.Addr().Is6(), ttl) }); controlErr != nil || err != nil {
		return errors.Join(controlErr, err)
	}
	_, writeErr := c.WriteToUDPAddrPort(b, to)
	controlErr := raw.Control(func(fd uintptr) { _, err = swapTTL(fd, six, to.Addr().Is6(), before) })
	return errors.Join(writeErr, controlErr, err)
}
