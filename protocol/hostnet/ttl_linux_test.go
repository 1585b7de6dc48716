package hostnet_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"earshot/protocol/hostnet"

	"golang.org/x/sys/unix"
)

// TestWriteTTL reads the hop limit off datagrams that arrived over loopback.
func TestWriteTTL(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	for _, c := range []struct {
		name     string
		from, to netip.Addr
	}{
		{"IPv4", four, four},
		{"IPv6", six, six},
		{"both families, to IPv4", netip.IPv6Unspecified(), four},
		{"both families, to IPv6", netip.IPv6Unspecified(), six},
		{"both families, to IPv4 as IPv6", netip.IPv6Unspecified(), netip.MustParseAddr("::ffff:127.0.0.1")},
		{"any IPv4", netip.IPv4Unspecified(), netip.MustParseAddr("::ffff:127.0.0.1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, err := hostnet.OS.ListenPacket(t.Context(), netip.AddrPortFrom(c.from, 0))
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			pc, err := hostnet.OS.ListenPacket(t.Context(), netip.AddrPortFrom(c.to.Unmap(), 0))
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			at := pc.(*net.UDPConn)
			askForTTL(t, at)
			to := netip.AddrPortFrom(c.to, hostnet.AddrPort(at.LocalAddr()).Port())
			for _, ttl := range []struct{ set, want int }{{0, 64}, {1, 1}, {2, 2}, {255, 255}, {1000, 255}, {0, 64}} {
				if err := hostnet.WriteTTL(from, []byte("x"), to, ttl.set); err != nil {
					t.Fatal(err)
				}
				if got := receivedTTL(t, at); got != ttl.want {
					t.Errorf("it arrived with TTL %d, want %d", got, ttl.want)
				}
			}
		})
	}
	if err := hostnet.WriteTTL(struct{ net.PacketConn }{}, nil, netip.AddrPort{}, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another kind of socket: %v", err)
	}
}

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
