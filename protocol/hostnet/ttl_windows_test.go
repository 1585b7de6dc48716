package hostnet_test

import (
	"encoding/binary"
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"earshot/protocol/hostnet"

	"golang.org/x/sys/windows"
)

// udpConn returns the socket below a socket of hostnet's.
func udpConn(c net.PacketConn) *net.UDPConn {
	return reflect.ValueOf(c).Field(0).Interface().(*net.UDPConn)
}

// Of ws2ipdef.h.
const (
	ipRecvTTL        = 21
	ipv6HopLimit     = 21
	controlHeaderLen = 16 // of a WSACMSGHDR on 64 bits: length, level, type
)

func askForTTL(t *testing.T, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	level, option := windows.IPPROTO_IP, ipRecvTTL
	if hostnet.AddrPort(c.LocalAddr()).Addr().Is6() {
		level, option = windows.IPPROTO_IPV6, ipv6HopLimit
	}
	controlErr := raw.Control(func(fd uintptr) { err = windows.SetsockoptInt(windows.Handle(fd), level, option, 1) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
}

func receivedTTL(t *testing.T, c *net.UDPConn) int {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	oob := make([]byte, 100)
	_, n, _, _, err := c.ReadMsgUDPAddrPort(make([]byte, 10), oob)
	if err != nil {
		t.Fatal(err)
	}
	if n < controlHeaderLen+4 {
		t.Fatalf("%d bytes of control data", n)
	}
	return int(binary.NativeEndian.Uint32(oob[controlHeaderLen:]))
}
