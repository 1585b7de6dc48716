//go:build unix && !linux

package hostnet

import "golang.org/x/sys/unix"

// swapTTL sets how many hops a socket's datagrams go, and returns what it was.
// A socket of the IPv6 family (six) that takes both families has one limit for
// both.
func swapTTL(fd uintptr, six, _ bool, ttl int) (before int, err error) {
	level, option := unix.IPPROTO_IP, unix.IP_TTL
	if six {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	before, err = unix.GetsockoptInt(int(fd), level, option)
	if err != nil {
		return 0, err
	}
	if before <= 0 { // the system's default, which can't be set by that name for IPv4
		before = 64
	}
	return before, unix.SetsockoptInt(int(fd), level, option, ttl)
}
