package hostnet_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"earshot/protocol/hostnet"

	"golang.org/x/sys/unix"
)

func udpConn(c net.PacketConn) *net.UDPConn { return c.(*net.UDPConn) }

func askForTTL(t *testing.T, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	level, option := unix.IPPROTO_IP, unix.IP_RECVTTL
	if hostnet.AddrPort(c.LocalAddr()).Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT
	}
	controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) })
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
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 || len(messages[0].Data) < 4 {
		t.Fatalf("%v, %v", messages, err)
	}
	return int(binary.NativeEndian.Uint32(messages[0].Data))
}
