package stun

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// nowhere is a socket that takes everything at once.
type nowhere struct{ catcher }

func (*nowhere) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// BenchmarkAnswer is what an answer costs without its two system calls.
func BenchmarkAnswer(b *testing.B) {
	for name, request := range map[string]string{"padded": paddedRequest, "token": tokenRequest} {
		b.Run(name, func(b *testing.B) {
			s, err := New(Config{Main: new(nowhere), Second: new(nowhere)})
			if err != nil {
				b.Fatal(err)
			}
			datagram, now := unhex(b, request), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond) // below the rate
				s.Handle(datagram, seen4, now)
			}
		})
	}
}

// BenchmarkRoundTrip is a request over the loopback interface; its floor is the
// same bytes, echoed.
func BenchmarkRoundTrip(b *testing.B) {
	request := unhex(b, tokenRequest)
	trips := func(b *testing.B, handle func(net.PacketConn, *Server, []byte, netip.AddrPort)) {
		open := func() *net.UDPConn {
			c, err := hostnet.OS.ListenPacket(b.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			return c.(*net.UDPConn)
		}
		server, client := open(), open()
		s, err := New(Config{Main: server, Second: open()})
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			buf := make([]byte, 2048)
			for {
				n, from, err := server.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				handle(server, s, buf[:n], from)
			}
		}()
		at, buf := hostnet.AddrPort(server.LocalAddr()), make([]byte, 2048)
		for b.Loop() {
			if _, err := client.WriteToUDPAddrPort(request, at); err != nil {
				b.Fatal(err)
			}
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			if _, _, err := client.ReadFromUDPAddrPort(buf); err != nil {
				b.Fatal(err)
			}
		}
		server.Close()
		<-ended
	}
	b.Run("floor", func(b *testing.B) {
		trips(b, func(c net.PacketConn, _ *Server, datagram []byte, from netip.AddrPort) {
			_, _ = c.WriteTo(datagram, net.UDPAddrFromAddrPort(from))
		})
	})
	b.Run("stun", func(b *testing.B) {
		now := time.Now()
		trips(b, func(_ net.PacketConn, s *Server, datagram []byte, from netip.AddrPort) {
			now = now.Add(time.Millisecond) // below the rate
			s.Handle(datagram, from, now)
		})
	})
}
