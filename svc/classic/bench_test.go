package classic

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/roster"
)

// benchUsers is how many are online in the fan-out benchmark.
const benchUsers = 1000

// BenchmarkLoginFanout is the cost of telling a thousand users, on sockets of
// the loopback interface, that somebody came and left; beside it is its floor, a bare
// write to each of a thousand connected sockets. Both report the time per
// datagram, in which the kernel's part is the larger: compare the two.
func BenchmarkLoginFanout(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		readers := newReaders(b, benchUsers)
		conns := make([]net.Conn, benchUsers)
		for i, at := range readers.at {
			conn, err := hostnet.OS.DialPacket(b.Context(), at)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			conns[i] = conn
		}
		datagram := wire.UTF16LE.Append(nil, wire.Login{Name: "newcomer", Endpoint: readers.at[0]}.String())
		b.ReportAllocs()
		for b.Loop() {
			for _, conn := range conns {
				if _, err := conn.Write(datagram); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchUsers, "ns/delivered")
	})
	b.Run("coordinator", func(b *testing.B) {
		readers := newReaders(b, benchUsers)
		s, r := benchServer(b)
		for i, at := range readers.at {
			joinOverLoopback(b, s, r, i, at)
		}
		f := &fan{server: s, told: make(map[uint64]roster.User)}
		_, f.at = r.Snapshot()
		s.mu.Lock()
		for _, u := range s.online {
			u.held = false
		}
		s.mu.Unlock()
		newcomer := netip.MustParseAddrPort("127.0.0.1:9")
		b.ReportAllocs()
		for b.Loop() {
			user, _, err := r.Join("newcomer", newcomer)
			if err != nil {
				b.Fatal(err)
			}
			f.round(b.Context())
			r.Leave(user.ID)
			f.round(b.Context())
		}
		// Two changes an operation: a login, and its logout.
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchUsers/2, "ns/delivered")
		if len(s.online) != benchUsers {
			b.Fatalf("%d of %d users are left", len(s.online), benchUsers)
		}
	})
}

// benchServer is a server whose loops the benchmark turns itself.
func benchServer(b *testing.B) (*Server, *roster.Roster) {
	b.Helper()
	any0 := netip.MustParseAddrPort("127.0.0.1:0")
	packet, err1 := hostnet.OS.ListenPacket(b.Context(), any0)
	raw, err2 := hostnet.OS.Listen(b.Context(), any0)
	dotNet, err3 := hostnet.OS.Listen(b.Context(), any0)
	if err1 != nil || err2 != nil || err3 != nil {
		b.Fatal(err1, err2, err3)
	}
	for _, c := range []io.Closer{packet, raw, dotNet} {
		b.Cleanup(func() { c.Close() })
	}
	r := roster.New()
	s, err := New(Config{
		Packet: packet, RawList: raw, DotNetList: dotNet, Net: hostnet.OS, Roster: r, Log: discard,
		Limits: Limits{LoginsPerSecondPerAddress: 1e6},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.farewell(time.Now()) })
	return s, r
}

// joinOverLoopback brings a user online as a login datagram and a list
// connection do.
func joinOverLoopback(b *testing.B, s *Server, r *roster.Roster, i int, at netip.AddrPort) {
	b.Helper()
	login := wire.Login{Name: fmt.Sprintf("user %d", i), Endpoint: at}
	s.login(context.Background(), at.Addr(), wire.Encoding(i%3), login, time.Now())
	where := place{at.Addr(), wire.FramingFor(wire.Encoding(i % 3))}
	f, encoding, _ := s.claim(where, time.Now())
	if f == nil || r.Len() != i+1 {
		b.Fatalf("user %d did not come online", i)
	}
	s.listFor(f, where.framing, encoding)
}

// readers are UDP listeners that read all they get.
type readers struct{ at []netip.AddrPort }

func newReaders(b *testing.B, n int) *readers {
	b.Helper()
	r := new(readers)
	var reading sync.WaitGroup
	var sockets []net.PacketConn
	for range n {
		c, err := hostnet.OS.ListenPacket(b.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			b.Fatal(err)
		}
		sockets = append(sockets, c)
		r.at = append(r.at, hostnet.AddrPort(c.LocalAddr()))
		reading.Go(func() {
			read := datagramReader(c)
			buf := make([]byte, 2048)
			for {
				if _, _, err := read(buf); err != nil {
					return
				}
			}
		})
	}
	b.Cleanup(func() {
		for _, c := range sockets {
			c.Close()
		}
		reading.Wait()
	})
	return r
}
