package control

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/p2p/trunk"
	"earshot/p2p/trunk/trunktest"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// onWeb closes the main port and puts a web port in its place.
func (b *bed) onWeb(port uint16) {
	b.Helper()
	b.listener.Close()
	l, err := b.sim.Host(theirs).Listen(b.Context(), netip.AddrPortFrom(theirs, port))
	if err != nil {
		b.Fatal(err)
	}
	b.listener = trunktest.NewFront(l, identity.NewKey().Certificate())
}

// All of a login goes through a WebSocket as it does through TCP.
func TestLoginThroughTheWeb(t *testing.T) {
	inBed(t, func(b *bed) {
		b.onWeb(trunk.DefaultWebPort)
		b.start()
		next[Connecting](b, time.Second)
		p := b.accept()
		if key, err := identity.PeerKey(p.conn.ConnectionState()); err != nil || key != ourKey.Public() {
			t.Errorf("the client proves to be %v, %v", key, err)
		}
		p.say(welcome(7, false), snapshot(7, 40, false, user(1, "Ann")))
		c := next[Connected](b, time.Second)
		same(b, c.Local.Addr(), ours)
		same(b, c.Remote, netip.AddrPortFrom(theirs, trunk.DefaultWebPort))
		same(b, c.Way, trunk.Web)
		pings, ended := p.pong()
		b.quiet(time.Hour)
		if n := pings.Load(); n < 140 || n > 145 {
			t.Errorf("%d pings in an hour", n)
		}
		b.client.Kick()
		b.quiet(10 * time.Second)
		b.sim.Down(theirs, true)
		b.client.Kick()
		if d := b.lost(kickTimeout + time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) || !strings.Contains(d.Cause.Error(), "silent") {
			t.Errorf("%+v", d)
		}
		b.sim.Down(theirs, false)
		<-ended
		next[Connecting](b, time.Second)
		p = b.accept()
		same(b, p.hello.GetSequence(), uint64(40))
		p.say(welcome(7, true))
		next[Connected](b, time.Second)
		p.conn.Close()
		if d := b.lost(time.Second); !errors.Is(d.Cause, p2p.ErrUnreachable) || !strings.Contains(d.Cause.Error(), "has closed") {
			t.Errorf("%+v", d)
		}
		b.login(7, 41)
		b.sim.CutTCP(ours)
		if d := b.lost(time.Second); !errors.Is(d.Cause, p2p.ErrUnreachable) {
			t.Errorf("%+v", d)
		}
	})
}

// The coordinator says where its WebSocket is, for the next time.
func TestWebPortIsLearned(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		next[Connecting](b, time.Second)
		p := b.accept()
		w := welcome(7, false)
		w.GetWelcome().WebPort = 8443
		p.say(w, snapshot(7, 40, false))
		same(b, next[Connected](b, time.Second).Way, trunk.TCP)
		b.onWeb(8443)
		b.sim.CutTCP(theirs)
		b.lost(time.Second)
		next[Connecting](b, time.Second)
		w.GetWelcome().Epoch = 8
		p = b.accept()
		p.say(w, snapshot(8, 40, false))
		same(b, next[Connected](b, time.Second).Way, trunk.Web)
	})
	for _, port := range []uint32{0, 1 << 16, 1<<32 - 1} {
		if got := webPort(&wire.Welcome{WebPort: port}); got != 0 {
			t.Errorf("%d is taken for %d", port, got)
		}
	}
}

// A coordinator that does not read is left by way of the WebSocket, too, and
// the client's end waits for nobody.
func TestWebThatNeverReads(t *testing.T) {
	large := &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{
		Status: &wire.Status{Text: strings.Repeat("x", 10_000)},
	}}}
	for name, end := range map[string]func(*bed){
		"left": func(b *bed) {
			if d := b.lost(writeTimeout + time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) {
				b.Errorf("%+v", d)
			}
			b.login(7, 40)
		},
		"ended": func(b *bed) {
			began := time.Now()
			b.end()
			if took := time.Since(began); took > farewellTimeout {
				b.Errorf("the end took %v", took)
			}
			b.cancel = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.onWeb(trunk.DefaultWebPort)
				b.start()
				b.login(7, 40)
				for taken := 0; b.client.Send(large) == nil; taken++ {
					synctest.Wait() // the writer takes what it can
				}
				end(b)
			})
		})
	}
}

// Other protocols of the coordinator's have connections of their own, to the
// same place and as well verified.
func TestDial(t *testing.T) {
	for name, prepare := range map[string]func(*bed){"tcp": func(*bed) {}, "web": func(b *bed) { b.onWeb(trunk.DefaultWebPort) }} {
		inBed(t, func(b *bed) {
			prepare(b)
			serve := func(key identity.Key, alpn string) (ended chan struct{}) {
				ended = make(chan struct{})
				go func() {
					defer close(ended)
					raw, err := b.listener.Accept()
					if err != nil {
						return
					}
					conn := tls.Server(raw, identity.ServerTLS(key.Certificate(), alpn, nil))
					_, _ = io.Copy(conn, conn)
					raw.Close()
				}()
				return ended
			}
			ended := serve(theirKey, identity.ALPNRelay)
			conn, err := b.client.Dial(b.Context(), identity.ALPNRelay)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			hello := make([]byte, 5)
			if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "hello" || conn.ConnectionState().NegotiatedProtocol != identity.ALPNRelay {
				t.Errorf("%s: %q, %v", name, hello, err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := conn.Read(hello); !isTimeout(err) {
				t.Errorf("%s: %v", name, err)
			}
			conn.NetConn().Close()
			<-ended

			for _, c := range []struct {
				key  identity.Key
				alpn string
				want error
			}{{identity.NewKey(), identity.ALPNRelay, p2p.ErrIdentity}, {theirKey, identity.ALPNControl, p2p.ErrTransport}} {
				ended = serve(c.key, c.alpn)
				if _, err := b.client.Dial(b.Context(), identity.ALPNRelay); !errors.Is(err, c.want) {
					t.Errorf("%s: %v", name, err)
				}
				<-ended
			}

			works, broken := trunk.TCP, trunk.Web
			if name == "web" {
				works, broken = broken, works
			}
			ended = serve(theirKey, identity.ALPNControl)
			if err := b.client.Try(b.Context(), works); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			<-ended
			if err := b.client.Try(b.Context(), broken); !errors.Is(err, p2p.ErrUnreachable) || !strings.HasSuffix(err.Error(), ".") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
