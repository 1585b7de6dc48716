// Package hostnet is the network as one host sees it, behind an interface: the
// operating system's (OS), or a host of an in-memory network (Sim), which runs
// in testing/synctest's fake time. The same conformance test holds for both.
package hostnet

import (
	"context"
	"net"
	"net/netip"
)

// Net opens sockets on one host. Errors are *net.OpError as package net
// returns them: a port in use is syscall.EADDRINUSE, and a connected UDP socket
// whose peer's port is closed reports syscall.ECONNREFUSED on a later read or
// write (ICMP port unreachable).
type Net interface {
	// ListenPacket opens a UDP socket. An unspecified address listens on all
	// of the host's addresses, port 0 on any free port. The addresses that
	// ReadFrom returns, and that WriteTo takes, are *net.UDPAddr. A datagram
	// that is larger than the reader's buffer is cut short, or lost.
	ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error)
	// DialPacket opens a connected UDP socket on any free port.
	DialPacket(ctx context.Context, remote netip.AddrPort) (net.Conn, error)
	// DialPacketFrom is DialPacket with the address that the remote end sees:
	// one of the host's. An address that is none of them is
	// syscall.EADDRNOTAVAIL.
	DialPacketFrom(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	// Listen opens a TCP listener, with ListenPacket's rules for the address.
	Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error)
	// Dial opens a TCP connection.
	Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error)
	// Addrs returns the host's own addresses now, the loopback's left out, and
	// those that mean nothing beyond one link (RFC 3927, RFC 4291 2.5.6).
	Addrs() ([]netip.Addr, error)
	// Watch calls changed after each Change until ctx ends, one call at a time,
	// and then returns nil. It may tell of more than there was, and of several
	// at once. An error of ErrWatch comes at once.
	Watch(ctx context.Context, changed func(Change)) error
}

// OS is the operating system's network.
var OS Net = osNet{}

// portable is package net.
type portable struct{}

func (portable) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, "udp", local.String())
}

func (portable) DialPacket(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "udp", remote.String())
}

func (portable) DialPacketFrom(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	return d.DialContext(ctx, "udp", remote.String())
}

func (portable) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", local.String())
}

func (portable) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", remote.String())
}

func (portable) Addrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs() // of interfaces that are up
	var addrs []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && matters(prefix.Addr()) {
			addrs = append(addrs, prefix.Addr().Unmap())
		}
	}
	return addrs, err
}

// matters says whether others may reach a host at an address.
func matters(a netip.Addr) bool {
	return a.IsGlobalUnicast() // neither loopback, link-local, multicast nor unspecified
}

// AddrPort returns the address of a socket of this package, with an IPv4
// address mapped into IPv6 as the IPv4 address. It is the zero AddrPort for an
// address of any other kind.
func AddrPort(a net.Addr) netip.AddrPort {
	ap, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	v := ap.AddrPort()
	return netip.AddrPortFrom(v.Addr().Unmap(), v.Port())
}
