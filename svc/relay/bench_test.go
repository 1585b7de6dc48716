//go:build unix

package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

// line is two devices' connections to this computer, TLS over the loopback.
type line struct {
	ann, bo         identity.Key
	left, right     *tls.Conn // the devices' ends: packets go from left to right
	inLeft, inRight *tls.Conn // ours
}

func newLine(b *testing.B) *line {
	b.Helper()
	listener, err := hostnet.OS.Listen(b.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	l := &line{ann: identity.NewKey(), bo: identity.NewKey()}
	config := identity.ServerTLS(identity.NewKey().Certificate(), identity.ALPNRelay, nil)
	config.DynamicRecordSizingDisabled = true // as the coordinator's
	connect := func(key identity.Key) (near, far *tls.Conn) {
		raw, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		theirs, err := listener.Accept()
		if err != nil {
			b.Fatal(err)
		}
		near, far = tls.Server(theirs, config), tls.Client(raw, identity.ClientTLS(key.Certificate(), identity.ALPNRelay, nil))
		var shaking sync.WaitGroup
		shaking.Go(func() { _ = near.Handshake() })
		if err := far.Handshake(); err != nil {
			b.Fatal(err)
		}
		shaking.Wait()
		b.Cleanup(func() { theirs.Close(); raw.Close() })
		return near, far
	}
	l.inLeft, l.left = connect(l.ann)
	l.inRight, l.right = connect(l.bo)
	return l
}

// relay has the line carried by a Server, until the test ends.
func (l *line) relay(b *testing.B) {
	b.Helper()
	server, err := New(Config{Limits: Limits{BytesPerSecond: 1 << 40, BytesPerDay: 1 << 60}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ctx, l.inLeft, l.ann.Public()) })
	serving.Go(func() { _ = server.Serve(ctx, l.inRight, l.bo.Public()) })
	b.Cleanup(func() { cancel(); serving.Wait() })
	ask := func(conn *tls.Conn, key identity.Key, want wire.Status) {
		if _, err := conn.Write(wire.AppendOpen(nil, key.Public())); err != nil {
			b.Fatal(err)
		}
		answer := make([]byte, len(wire.AppendState(nil, key.Public(), want)))
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, wire.AppendState(nil, key.Public(), want)) {
			b.Fatalf("got %x, %v", answer, err)
		}
	}
	ask(l.left, l.bo, wire.Gone)
	ask(l.right, l.ann, wire.Ready)
}

// plain has the line carried by a copy of bytes, until the test ends.
func (l *line) plain(b *testing.B) {
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.CopyBuffer(struct{ io.Writer }{l.inRight}, struct{ io.Reader }{l.inLeft}, make([]byte, 16<<10))
	})
	b.Cleanup(func() { l.inLeft.NetConn().Close(); copying.Wait() })
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkForward is the cost of a packet of 1,280 bytes from one device to
// another. Its floor is a copy of the same bytes over the same TLS connections.
// Processor time is that of the relay and of both devices' TLS. "single" is one
// packet after the other has arrived; "row" is ten packets to a record of TLS,
// with up to eight of those under way.
func BenchmarkForward(b *testing.B) {
	const size = 1280
	for _, c := range []struct {
		name        string
		row, window int
	}{{"single", 1, 1}, {"row", 10, 8}} {
		for _, way := range []struct {
			name  string
			start func(*line, *testing.B)
		}{{"floor", (*line).plain}, {"relay", (*line).relay}} {
			b.Run(fmt.Sprint(c.name, "/", way.name), func(b *testing.B) {
				l := newLine(b)
				way.start(l, b)
				to := l.bo.Public()
				row := bytes.Repeat(wire.AppendPacket(nil, &to, make([]byte, size)), c.row)
				window := make(chan struct{}, c.window)
				arrived := make(chan error, 1)
				go func() {
					buffer := make([]byte, len(row))
					for {
						if _, err := io.ReadFull(l.right, buffer); err != nil {
							arrived <- err
							return
						}
						<-window
					}
				}()
				b.SetBytes(int64(size * c.row))
				b.ReportAllocs()
				before, n := cpu(b), 0
				for b.Loop() {
					select {
					case window <- struct{}{}:
					case err := <-arrived:
						b.Fatal(err)
					}
					if _, err := l.left.Write(row); err != nil {
						b.Fatal(err)
					}
					n++
				}
				for range c.window { // all have arrived
					window <- struct{}{}
				}
				used := cpu(b) - before
				b.ReportMetric(float64(b.Elapsed())/float64(n*c.row), "ns/packet")
				b.ReportMetric(used.Seconds()*1e9/float64(n*c.row*size), "cpu-s/GB")
				l.right.NetConn().Close()
				if err := <-arrived; err == nil {
					b.Error("the line has no end")
				}
			})
		}
	}
}
