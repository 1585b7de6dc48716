package hostnet_test

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// segments are as many datagrams as are written, whatever the last one's size.
func segments(b bed) {
	to := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	c := b.connected(b.a, hostnet.AddrPort(to.LocalAddr()))
	for _, last := range []int{10, 3} {
		var all []byte
		for i := range hostnet.MaxSegments {
			all = append(all, fmt.Sprintf("number %03d", i)...)
		}
		all = all[:len(all)-10+last]
		b.ok(hostnet.WriteSegments(c, all, 10))
		for len(all) > 0 {
			n := min(10, len(all))
			b.read(to, string(all[:n]))
			all = all[n:]
		}
	}
	b.ok(hostnet.WriteSegments(c, []byte("one"), 10))
	b.read(to, "one")
	b.ok(hostnet.WriteSegments(c, nil, 10))
}

func segmentsRefused(b bed) {
	c := b.connected(b.a, b.closedPort())
	for deadline := time.Now().Add(5 * time.Second); ; {
		if err := hostnet.WriteSegments(c, make([]byte, 100), 10); err != nil {
			b.is(err, syscall.ECONNREFUSED)
			return
		}
		if time.Now().After(deadline) {
			b.Fatal("the closed port was never reported")
		}
		turn := time.NewTimer(time.Millisecond) // ICMP is on its way
		<-turn.C
	}
}

// BenchmarkSegments is 64 datagrams in one go, beside its floor, one at a time.
func BenchmarkSegments(b *testing.B) {
	datagrams := make([]byte, 64*45)
	for _, c := range []struct {
		name string
		size int
	}{{"one at a time", 45}, {"at once", len(datagrams)}} {
		b.Run(c.name, func(b *testing.B) {
			to, err := hostnet.OS.ListenPacket(b.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
			if err != nil {
				b.Fatal(err)
			}
			defer to.Close()
			conn, err := hostnet.OS.DialPacket(b.Context(), hostnet.AddrPort(to.LocalAddr()))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			for b.Loop() {
				for rest := datagrams; len(rest) > 0; rest = rest[min(c.size, len(rest)):] {
					if err := hostnet.WriteSegments(conn, rest[:c.size], 45); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/datagram")
		})
	}
}
