package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// osNet speaks Winsock, whose errors have numbers of their own, and whose
// connected UDP sockets keep silent about closed ports until asked.
type osNet struct{ portable }

func (n osNet) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	c, err := n.portable.ListenPacket(ctx, local)
	if err != nil {
		return nil, portableError(err)
	}
	return packetConn{c}, nil
}

func (n osNet) DialPacket(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	return connected(n.portable.DialPacket(ctx, remote))
}

func (n osNet) DialPacketFrom(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return connected(n.portable.DialPacketFrom(ctx, local, remote))
}

func connected(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, portableError(err)
	}
	if err := reportClosedPorts(c.(*net.UDPConn)); err != nil {
		c.Close()
		return nil, &net.OpError{Op: "dial", Net: "udp", Addr: c.RemoteAddr(), Err: err}
	}
	return udpConn{c}, nil
}

func (n osNet) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	l, err := n.portable.Listen(ctx, local)
	if err != nil {
		return nil, portableError(err)
	}
	return listener{l}, nil
}

func (n osNet) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	c, err := n.portable.Dial(ctx, remote)
	if err != nil {
		return nil, portableError(err)
	}
	return tcpConn{c}, nil
}

// reportClosedPorts undoes what package net does for all UDP sockets.
func reportClosedPorts(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	on, returned := uint32(1), uint32(0)
	controlErr := raw.Control(func(fd uintptr) {
		err = windows.WSAIoctl(windows.Handle(fd), windows.SIO_UDP_CONNRESET,
			(*byte)(unsafe.Pointer(&on)), uint32(unsafe.Sizeof(on)), nil, 0, &returned, nil, 0)
	})
	return errors.Join(controlErr, os.NewSyscallError("wsaioctl", err))
}

type packetConn struct{ net.PacketConn }

// ReadFrom skips datagrams that b can't hold, which Winsock takes for an error
// and which must not end a receiving loop.
func (c packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if !errors.Is(err, windows.WSAEMSGSIZE) {
			return n, from, portableError(err)
		}
	}
}

func (c packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(b, to)
	return n, portableError(err)
}

// SetReadBuffer and SetWriteBuffer ask the system for room, in bytes.
func (c packetConn) SetReadBuffer(size int) error {
	return portableError(c.PacketConn.(*net.UDPConn).SetReadBuffer(size))
}

func (c packetConn) SetWriteBuffer(size int) error {
	return portableError(c.PacketConn.(*net.UDPConn).SetWriteBuffer(size))
}

type udpConn struct{ net.Conn }

// Read skips what ReadFrom of a packetConn skips.
func (c udpConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if !errors.Is(err, windows.WSAEMSGSIZE) {
			return n, udpError(err)
		}
	}
}

func (c udpConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, udpError(err)
}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, portableError(err)
	}
	return tcpConn{c}, nil
}

type tcpConn struct{ net.Conn }

// CloseWrite ends this direction and leaves the other open.
func (c tcpConn) CloseWrite() error { return portableError(c.Conn.(*net.TCPConn).CloseWrite()) }

func (c tcpConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, portableError(err)
}

func (c tcpConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, portableError(err)
}

// udpError renames what Winsock calls a reset: ICMP port unreachable.
func udpError(err error) error {
	if errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAENETRESET) {
		return rename(err, syscall.ECONNREFUSED)
	}
	return portableError(err)
}

var portableErrors = map[syscall.Errno]syscall.Errno{
	windows.WSAEADDRINUSE:    syscall.EADDRINUSE,
	windows.WSAEACCES:        syscall.EADDRINUSE, // the port is another program's, exclusively
	windows.WSAEADDRNOTAVAIL: syscall.EADDRNOTAVAIL,
	windows.WSAECONNABORTED:  syscall.ECONNRESET,
	windows.WSAECONNREFUSED:  syscall.ECONNREFUSED,
	windows.WSAECONNRESET:    syscall.ECONNRESET,
	windows.WSAEHOSTUNREACH:  syscall.EHOSTUNREACH,
	windows.WSAEMSGSIZE:      syscall.EMSGSIZE,
	windows.WSAENETUNREACH:   syscall.ENETUNREACH,
	windows.WSAETIMEDOUT:     syscall.ETIMEDOUT,
}

// portableError gives Winsock's errors the names that they have elsewhere.
func portableError(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		if name, ok := portableErrors[number]; ok {
			return rename(err, name)
		}
	}
	return err
}

// rename returns err, a *net.OpError, with another cause.
func rename(err error, cause syscall.Errno) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return err
	}
	renamed := *op
	renamed.Err = named{cause, op.Err}
	return &renamed
}

// named is an error that is a portable one and reads as the system's.
type named struct {
	syscall.Errno
	system error
}

func (e named) Error() string   { return e.system.Error() }
func (e named) Unwrap() []error { return []error{e.Errno, e.system} }
