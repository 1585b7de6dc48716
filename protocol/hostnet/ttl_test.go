//go:build linux || windows

package hostnet_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"earshot/protocol/hostnet"
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
			at := udpConn(pc)
			askForTTL(t, at)
			const usual = 0 // whatever the system has
			to := netip.AddrPortFrom(c.to, hostnet.AddrPort(at.LocalAddr()).Port())
			for _, ttl := range []struct{ set, want int }{{0, usual}, {1, 1}, {2, 2}, {255, 255}, {1000, 255}, {0, usual}} {
				if err := hostnet.WriteTTL(from, []byte("x"), to, ttl.set); err != nil {
					t.Fatal(err)
				}
				if got := receivedTTL(t, at); got != ttl.want && !(ttl.want == usual && got >= 64) {
					t.Errorf("it arrived with TTL %d, want %d", got, ttl.want)
				}
			}
		})
	}
	if err := hostnet.WriteTTL(struct{ net.PacketConn }{}, nil, netip.AddrPort{}, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another kind of socket: %v", err)
	}
}
