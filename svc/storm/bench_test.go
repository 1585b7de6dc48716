package storm

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	peerrelay "earshot/p2p/relay"
	"earshot/protocol/identity"
	"earshot/svc/relay"
)

// BenchmarkHandshake is how long it takes two devices on this computer to have a
// connection on which a byte has gone there and back: directly, and through the
// relay. Its floor is the same over TLS and TCP.
func BenchmarkHandshake(b *testing.B) {
	ann, bo := identity.NewKey(), identity.NewKey()
	server := identity.ServerTLS(bo.Certificate(), "bench", nil)
	client := identity.ClientTLS(ann.Certificate(), "bench", nil)
	b.Run("floor/tls", func(b *testing.B) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", server)
		if err != nil {
			b.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() { echoAll(func() (io.ReadWriteCloser, error) { return l.Accept() }) })
		for b.Loop() {
			conn, err := tls.Dial("tcp", l.Addr().String(), client)
			if err != nil {
				b.Fatal(err)
			}
			thereAndBack(b, conn)
			conn.Close()
		}
		l.Close()
		serving.Wait()
	})
	b.Run("direct", func(b *testing.B) {
		near, far := loopback(b), loopback(b)
		handshakes(b, near, far, far.LocalAddr(), client, server)
	})
	b.Run("relayed", func(b *testing.B) {
		near, far := relayPair(b, ann, bo)
		handshakes(b, near.PacketConn(), far.PacketConn(), near.Addr(bo.Public()), client, server)
	})
}

func loopback(b *testing.B) net.PacketConn {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// handshakes makes QUIC connections from one socket to another.
func handshakes(b *testing.B, near, far net.PacketConn, to net.Addr, client, server *tls.Config) {
	from, at := &quic.Transport{Conn: near}, &quic.Transport{Conn: far}
	l, err := at.Listen(server, nil)
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			serving.Go(func() {
				if stream, err := conn.AcceptStream(context.Background()); err == nil {
					_, _ = io.Copy(stream, stream) // until the other side closes
				}
			})
		}
	})
	for b.Loop() {
		conn, err := from.Dial(b.Context(), to, client, nil)
		if err != nil {
			b.Fatal(err)
		}
		stream, err := conn.OpenStreamSync(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		thereAndBack(b, stream)
		_ = conn.CloseWithError(0, "")
	}
	l.Close()
	from.Close()
	at.Close()
	serving.Wait()
}

func thereAndBack(b *testing.B, conn io.ReadWriter) {
	one := []byte{1}
	if _, err := conn.Write(one); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(conn, one); err != nil {
		b.Fatal(err)
	}
}

func echoAll(accept func() (io.ReadWriteCloser, error)) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			_, _ = io.Copy(conn, conn) // until the other side closes
			conn.Close()
		})
	}
}

// relayPair are two devices' ends at a relay that has a connection of TLS to
// each.
func relayPair(b *testing.B, ann, bo identity.Key) (near, far *peerrelay.Client) {
	server, err := relay.New(relay.Config{Limits: relay.Limits{BytesPerSecond: 1 << 40, BytesPerDay: 1 << 60}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", identity.ServerTLS(identity.NewKey().Certificate(), identity.ALPNRelay, nil))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() {
		cancel()
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if conn.(*tls.Conn).HandshakeContext(ctx) != nil {
					return
				}
				key, err := identity.PeerKey(conn.(*tls.Conn).ConnectionState())
				if err != nil {
					return
				}
				_ = server.Serve(ctx, conn, key)
			})
		}
	})
	ready := make(chan struct{}, 16)
	end := func(own, other identity.Key) *peerrelay.Client {
		client := peerrelay.New(peerrelay.Config{
			Dial: func(ctx context.Context) (net.Conn, error) {
				d := tls.Dialer{Config: identity.ClientTLS(own.Certificate(), identity.ALPNRelay, nil)}
				return d.DialContext(ctx, "tcp", l.Addr().String())
			},
			OnState: func(_ identity.PublicKey, on bool) {
				if on {
					ready <- struct{}{}
				}
			},
		})
		running.Go(func() { _ = client.Run(ctx) })
		client.Open(other.Public())
		return client
	}
	near, far = end(ann, bo), end(bo, ann)
	<-ready
	<-ready
	return near, far
}
