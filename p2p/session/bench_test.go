package session

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"

	"github.com/quic-go/quic-go"
)

// BenchmarkRoundTrip is a message to another device over the loopback
// interface, until its acknowledgement is back; its floor is the same bytes
// echoed on a bare QUIC stream.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		stream := echoed(b)
		out, in := itemFrame("How are you?"), make([]byte, len(itemFrame("How are you?")))
		for b.Loop() {
			if _, err := stream.Write(out); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(stream, in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("earshot", func(b *testing.B) {
		ann, bo := loopbackPair(b)
		done := make(chan error, 1)
		for i := 0; b.Loop(); i++ {
			ann.Send(bo, message(fmt.Sprint(i)), func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMessages is as many messages to one device as go through, with the
// window full; its floor is as many bytes echoed on a bare QUIC stream, 64
// frames under way.
func BenchmarkMessages(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		stream := echoed(b)
		frame := itemFrame("How are you?")
		window := make(chan struct{}, windowItems)
		ended := make(chan error, 1)
		go func() {
			in := make([]byte, len(frame))
			for {
				if _, err := io.ReadFull(stream, in); err != nil {
					ended <- err
					return
				}
				<-window
			}
		}()
		for b.Loop() {
			window <- struct{}{}
			if _, err := stream.Write(frame); err != nil {
				b.Fatal(err)
			}
		}
		for range windowItems {
			window <- struct{}{} // the rest is back
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		stream.CancelRead(0)
		if err := <-ended; err == nil {
			b.Error("a stream that is read no more goes on")
		}
	})
	b.Run("earshot", func(b *testing.B) {
		ann, bo := loopbackPair(b)
		window := make(chan struct{}, windowItems)
		for i := 0; b.Loop(); i++ {
			window <- struct{}{}
			ann.Send(bo, message(fmt.Sprint(i)), func(err error) {
				if err != nil {
					b.Error(err)
				}
				<-window
			})
		}
		for range windowItems {
			window <- struct{}{}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

func itemFrame(text string) []byte {
	return wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: message(text)}})
}

// loopbackPair is two devices with a session, without limits. It returns one
// and the other's key.
func loopbackPair(b *testing.B) (*Endpoint, identity.PublicKey) {
	b.Helper()
	keys := newKeys(2)
	names := map[identity.PublicKey]string{keys[0].Public(): "Ann", keys[1].Public(): "Bo"}
	at := make(map[identity.PublicKey]netip.AddrPort)
	var conns [2]net.PacketConn
	for i, key := range keys {
		conn, err := hostnet.OS.ListenPacket(b.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			b.Fatal(err)
		}
		conns[i], at[key.Public()] = conn, hostnet.AddrPort(conn.LocalAddr())
	}
	var ends [2]*Endpoint
	for i, key := range keys {
		e, err := New(Config{Conn: conns[i], Key: key, Name: names[key.Public()],
			Lookup: func(k identity.PublicKey) (string, []netip.AddrPort, bool) {
				return names[k], []netip.AddrPort{at[k]}, names[k] != ""
			}})
		if err != nil {
			b.Fatal(err)
		}
		e.limits = limits{frames: 1e9, bytes: 1e12}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- e.Run(ctx, func(ev Event) {
				if item, ok := ev.(Item); ok {
					item.Done(nil)
				}
			})
		}()
		b.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
			conns[i].Close()
		})
		ends[i] = e
	}
	met := make(chan error, 1)
	ends[0].Send(keys[1].Public(), message("hello"), func(err error) { met <- err })
	if err := <-met; err != nil {
		b.Fatal(err)
	}
	return ends[0], keys[1].Public()
}

// echoed is a stream of a bare QUIC connection whose other end says everything
// again.
func echoed(b *testing.B) *quic.Stream {
	b.Helper()
	key := identity.NewKey()
	certificate := key.Certificate()
	listener, err := quic.ListenAddr("127.0.0.1:0", identity.ServerTLS(certificate, identity.ALPNPeer, nil), acceptConfig)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept(context.Background())
		if err != nil {
			return
		}
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		_, _ = io.Copy(stream, stream)
	}()
	conn, err := quic.DialAddr(b.Context(), listener.Addr().String(), identity.ClientTLS(certificate, identity.ALPNPeer, nil), dialConfig)
	if err != nil {
		b.Fatal(err)
	}
	stream, err := conn.OpenStream()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		closeConn(conn, codeShutdown)
		listener.Close()
		<-ended
	})
	return stream
}
