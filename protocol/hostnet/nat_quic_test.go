package hostnet_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"earshot/protocol/hostnet"

	"github.com/quic-go/quic-go"
)

// testTLS returns what both ends of a QUIC connection need here.
func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"test"}, InsecureSkipVerify: true,
	}
}

// TestNATQUIC: quic-go runs from behind one NAT to behind another, through
// losses, on the sockets that punched the holes; and dies with the mapping.
func TestNATQUIC(t *testing.T) {
	inPair(t, hostnet.OpenInputNAT(), hostnet.EasyNAT(), func(p pairs) {
		p.sim.Latency(20 * time.Millisecond)
		p.sayTTL(p.a, p.toB, "\x04opener", 2)
		p.say(p.b, p.toA, "\x04probe")
		p.heard(p.a, "\x04probe", true, "a probe")
		p.ra.Lossy(0.05, 0.2)
		conf := &quic.Config{MaxIdleTimeout: 10 * time.Second, HandshakeIdleTimeout: 20 * time.Second}
		ends := [2]*quic.Transport{{Conn: p.a}, {Conn: p.b}}
		defer ends[0].Close()
		defer ends[1].Close()
		listener, err := ends[1].Listen(testTLS(p), conf)
		if err != nil {
			p.Fatal(err)
		}
		defer listener.Close()
		sum := make(chan int64, 1)
		go func() {
			conn, err := listener.Accept(p.Context())
			if err != nil {
				return
			}
			stream, err := conn.AcceptStream(p.Context())
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, stream)
			sum <- n
			_, _ = stream.Write([]byte("got it"))
			_ = stream.Close()
		}()
		ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
		defer cancel()
		conn, err := ends[0].Dial(ctx, net.UDPAddrFromAddrPort(p.toB), testTLS(p), conf)
		if err != nil {
			p.Fatal(err)
		}
		stream, err := conn.OpenStreamSync(ctx)
		if err != nil {
			p.Fatal(err)
		}
		if _, err := stream.Write(make([]byte, 200_000)); err != nil {
			p.Fatal(err)
		}
		if err := stream.Close(); err != nil {
			p.Fatal(err)
		}
		if answer, err := io.ReadAll(stream); err != nil || string(answer) != "got it" || <-sum != 200_000 {
			p.Fatalf("%q, %v", answer, err)
		}
		// Not even packets of this side open B's filter again: they come from
		// another port.
		p.ra.Rebind()
		if stream, err = conn.OpenStreamSync(ctx); err == nil {
			_, _ = stream.Write([]byte("anybody there?"))
			_, err = io.ReadAll(stream)
		}
		if _, ok := errors.AsType[*quic.IdleTimeoutError](err); !ok {
			p.Errorf("after a power cycle: %v", err)
		}
	})
}

// BenchmarkSimThroughNATs is what a datagram costs from behind one NAT to behind
// another.
func BenchmarkSimThroughNATs(b *testing.B) {
	sim := hostnet.NewSim()
	ra, rb := sim.NAT(natPublic, hostnet.EasyNAT()), sim.NAT(netip.MustParseAddr("198.51.100.20"), hostnet.EasyNAT())
	from, at := sock(b, ra.Host(natInsideA), 5000), sock(b, rb.Host(natInsideA), 5000)
	toA, toB := net.UDPAddrFromAddrPort(netip.AddrPortFrom(ra.Public(), 5000)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(rb.Public(), 5000))
	if _, err := at.WriteTo(nil, toA); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.WriteTo(buf, toB); err != nil {
			b.Fatal(err)
		}
		if _, _, err := at.ReadFrom(buf); err != nil {
			b.Fatal(err)
		}
	}
}
