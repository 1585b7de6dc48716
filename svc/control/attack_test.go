package control

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/roster"
)

// connect opens a bare TCP connection from a host of that number.
func (w *world) connect(host int) net.Conn {
	w.Helper()
	conn, err := w.sim.Host(address(host)).Dial(context.Background(), w.addr)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	return conn
}

// undisturbed says that two people notice nothing: they are answered, are both
// on the roster, and see each other change.
func (w *world) undisturbed(ann, bo *client) {
	w.Helper()
	ann.ping()
	bo.ping()
	text := time.Now().String()
	ann.send(status(&wire.Status{Text: text}))
	bo.user(ann.name, "with a new text", func(u *wire.User) bool { return u.Status.Text == text })
}

// What is no frame ends the connection that it came on, and nothing else.
func TestBadFrames(t *testing.T) {
	unknown := func(payload string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	}
	for name, bad := range map[string][]byte{
		"no protobuf":       unknown("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"cut protobuf":      unknown("\x12\x7f\x00"),
		"text that isn't":   unknown("\x1a\x06\x0a\x04\x12\x02\xff\xfe"),
		"too large":         binary.BigEndian.AppendUint32(nil, wire.MaxToCoordinator+1),
		"as large as it is": binary.BigEndian.AppendUint32(nil, 1<<32-1),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				ann, bo, eve := w.login(1, "Ann"), w.login(2, "Bo"), w.login(3, "Eve")
				if _, err := eve.conn.Write(bad); err != nil {
					t.Fatal(err)
				}
				eve.isRefused(wire.Refused_CODE_MALFORMED)
				ann.sees("Ann", "Bo")
				stranger := w.dial(3, "Eve", eve.key)
				if _, err := stranger.conn.Write(bad); err != nil {
					t.Fatal(err)
				}
				stranger.isRefused(wire.Refused_CODE_MALFORMED)
				w.undisturbed(ann, bo)
			})
		})
	}
}

// Whatever somebody is slow with, there is an end to it.
func TestSlowLoris(t *testing.T) {
	hello := func() []byte {
		var b bytes.Buffer
		client := tls.Client(recorder{Writer: &b}, identity.ClientTLS(identity.NewKey().Certificate(), identity.ALPNControl, nil))
		_ = client.Handshake()
		return b.Bytes()
	}()
	ends := func(w *world, conn io.Reader, within time.Duration) (said []byte) {
		w.Helper()
		start := time.Now()
		said, _ = io.ReadAll(conn)
		if took := time.Since(start); took > within {
			w.Errorf("it took %v", took)
		}
		return said
	}
	// trickle writes a byte a second, until it is asked to stop or can't.
	trickle := func(conn io.Writer, b []byte) (stop func()) {
		var writing sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		writing.Go(func() {
			for i := range b {
				if _, err := conn.Write(b[i : i+1]); err != nil || ctx.Err() != nil {
					return
				}
				hostnet.Pause(ctx, time.Second)
			}
		})
		return func() { cancel(); writing.Wait() }
	}
	t.Run("silence", func(t *testing.T) {
		inWorld(t, func(w *world) {
			if said := ends(w, w.connect(1), plainTime+time.Second); string(said) != "plain words\r\n" {
				t.Errorf("it says %q", said)
			}
		})
	})
	t.Run("handshake", func(t *testing.T) {
		inWorld(t, func(w *world) {
			conn := w.connect(1)
			defer trickle(conn, hello)()
			ends(w, conn, handshakeTime+time.Second)
		})
	})
	t.Run("no hello", func(t *testing.T) {
		inWorld(t, func(w *world) {
			eve := w.dial(1, "Eve", identity.NewKey())
			start := time.Now()
			eve.until("the end", func() bool { return eve.err != nil })
			if took := time.Since(start); took > helloTime+time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("hello", func(t *testing.T) {
		inWorld(t, func(w *world) {
			eve := w.dial(1, "Eve", identity.NewKey())
			defer trickle(eve.conn, wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: eve.hello()}}))()
			start := time.Now()
			eve.until("the end", func() bool { return eve.err != nil })
			if took := time.Since(start); took > helloTime+lingerTime {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("frame", func(t *testing.T) {
		inWorld(t, func(w *world) {
			eve := w.login(1, "Eve")
			defer trickle(eve.conn, wire.Append(nil, status(&wire.Status{Text: strings.Repeat("x", 200)})))()
			time.Sleep(silentTime + time.Second)
			if w.roster.Len() != 0 {
				t.Error("who never ends a frame is still there")
			}
			eve.close()
		})
	})
}

// recorder is a connection on which one can only write.
type recorder struct {
	net.Conn
	io.Writer
}

func (r recorder) Write(b []byte) (int, error) { return r.Writer.Write(b) }
func (recorder) Read([]byte) (int, error)      { return 0, io.EOF }
func (recorder) Close() error                  { return nil }

// Who reads nothing is written to for a while, then gone, and costs no memory
// that grows.
func TestNeverReads(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo, eve := w.login(1, "Ann"), w.login(2, "Bo"), w.login(3, "Eve")
		gate := make(chan struct{})
		eve.mu.Lock()
		eve.gate = gate
		eve.mu.Unlock()
		large := strings.Repeat("x", maxStatusText)
		gone := func() bool { _, there := w.roster.Lookup("Eve"); return !there }
		start := time.Now()
		for i := 0; !gone(); i++ {
			if i > 20_000 {
				t.Fatal("who doesn't read stays")
			}
			u, _, err := w.roster.Add(roster.User{Name: "flicker", Secure: &roster.Secure{Status: roster.Status{Text: large}}})
			if err != nil {
				t.Fatal(err)
			}
			w.roster.Leave(u.ID)
			w.server.GroupTalk("flicker", large)
			time.Sleep(10 * time.Millisecond)
			if i%1000 == 0 {
				eve.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{}}) // alive it is
				w.undisturbed(ann, bo)
			}
		}
		if took := time.Since(start); took < writeTime {
			t.Errorf("gone after %v", took)
		}
		close(gate)
		ann.sees("Ann", "Bo")
		w.undisturbed(ann, bo)
	})
}

// A flood of logins from one address is held back; others come in meanwhile.
func TestLoginFlood(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		var flood sync.WaitGroup
		for range 600 {
			conn := w.connect(3)
			flood.Go(func() { _, _ = io.Copy(io.Discard, conn) })
		}
		synctest.Wait()
		w.server.mu.Lock()
		strange := w.server.sources[address(3)].strange
		w.server.mu.Unlock()
		if limit := w.server.cfg.Limits.MaxHandshakesPerAddress; strange > limit {
			t.Errorf("%d connections of one address wait, and %d may", strange, limit)
		}
		w.login(4, "Cho").sees("Ann", "Bo", "Cho")
		w.undisturbed(ann, bo)
		flood.Wait() // all of them end

		refused := 0
		for range 500 {
			eve := w.dial(5, "Eve", identity.NewKey())
			_, _ = eve.conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: eve.hello()}})) // or not even that
			eve.until("an answer", func() bool { return eve.refused != nil || eve.welcome != nil || eve.err != nil })
			if eve.refused.GetCode() == wire.Refused_CODE_TOO_FAST {
				refused++
			}
			eve.close()
			synctest.Wait()
		}
		if refused < 50 {
			t.Errorf("%d of 500 logins at once were too fast", refused)
		}
		w.undisturbed(ann, bo)
	}, func(c *Config) { c.Limits.MaxHandshakesPerAddress = 100 })
}

// A flood of requests slows down who floods.
func TestRequestFlood(t *testing.T) {
	for name, m := range map[string]func(bo *client) *wire.ToCoordinator{
		"introductions": func(bo *client) *wire.ToCoordinator {
			return &wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{Device: publicKey(bo.key)}}}
		},
		"changes": func(*client) *wire.ToCoordinator {
			return status(&wire.Status{Text: time.Now().String()})
		},
		"pings": func(*client) *wire.ToCoordinator { return &wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{}} },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				ann, bo, eve := w.login(1, "Ann"), w.login(2, "Bo"), w.login(3, "Eve")
				_, before := w.roster.Snapshot()
				start := time.Now()
				var flood sync.WaitGroup
				flood.Go(func() {
					for time.Since(start) < time.Minute {
						_ = eve.conn.SetWriteDeadline(start.Add(time.Minute))
						for range 10 {
							if _, err := eve.conn.Write(wire.Append(nil, m(bo))); err != nil {
								return
							}
						}
						time.Sleep(time.Millisecond)
					}
				})
				time.Sleep(30 * time.Second)
				_, after := w.roster.Snapshot()
				bo.mu.Lock()
				heard := len(bo.heard)
				bo.mu.Unlock()
				if changes := after.Seq - before.Seq; changes > 80 || heard > 400 {
					t.Errorf("30 s of it were %d changes and %d introductions", changes, heard)
				}
				w.undisturbed(ann, bo)
				eve.close()
				flood.Wait()
			})
		})
	}
}

// What a client once sent, sent again by somebody else, brings nobody in.
func TestReplay(t *testing.T) {
	inWorld(t, func(w *world) {
		raw, err := w.sim.Host(address(1)).Dial(context.Background(), w.addr)
		if err != nil {
			t.Fatal(err)
		}
		var sent bytes.Buffer
		tap := tapped{raw, &sent}
		key := identity.NewKey()
		conn := tls.Client(tap, identity.ClientTLS(key.Certificate(), identity.ALPNControl, nil))
		hello := (&client{name: "Ann"}).hello()
		if _, err := conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}})); err != nil {
			t.Fatal(err)
		}
		if err := wire.Read(conn, wire.MaxToClient, new(wire.ToClient)); err != nil {
			t.Fatal(err)
		}
		raw.Close()
		bo := w.login(2, "Bo")
		bo.sees("Bo")
		again := w.connect(3)
		if _, err := again.Write(sent.Bytes()); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(again)
		if w.roster.Len() != 1 {
			t.Error("a replay has come in")
		}
		bo.ping()
	})
}

// tapped keeps what is written.
type tapped struct {
	net.Conn
	sent *bytes.Buffer
}

func (c tapped) Write(b []byte) (int, error) {
	c.sent.Write(b)
	return c.Conn.Write(b)
}

// A certificate is no proof without its key.
func TestStolenCertificate(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		stolen := ann.key.Certificate()
		stolen.PrivateKey = identity.NewKey().Certificate().PrivateKey
		conn := tls.Client(w.connect(2), identity.ClientTLS(stolen, identity.ALPNControl, nil))
		hello := (&client{name: "Ann"}).hello()
		_, _ = conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}}))
		if err := wire.Read(conn, wire.MaxToClient, new(wire.ToClient)); err == nil {
			t.Error("somebody came in with Ann's certificate")
		}
		ann.ping() // and wasn't replaced
		ann.sees("Ann")
	})
}

// Whoever looks with another program learns what is here, or at least that this
// isn't for it.
func TestOtherPrograms(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, first := range []string{"GET / HTTP/1.1\r\n\r\n", "login,Ann,1.2.3.4:5", "\x00"} {
			conn := w.connect(1)
			if _, err := conn.Write([]byte(first)); err != nil {
				t.Fatal(err)
			}
			if said, _ := io.ReadAll(conn); !bytes.Equal(said, []byte("plain words\r\n")) {
				t.Errorf("%q is answered by %q", first, said)
			}
		}
		for _, config := range []*tls.Config{
			{InsecureSkipVerify: true},                                             // no protocol, no certificate
			{InsecureSkipVerify: true, NextProtos: []string{"h2"}},                 // another protocol
			{InsecureSkipVerify: true, NextProtos: []string{identity.ALPNControl}}, // no certificate
			{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		} {
			conn := tls.Client(w.connect(1), config)
			_, _ = conn.Write([]byte{0, 0, 0, 0})
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("TLS with %v is let in", slices.Concat(config.NextProtos, []string{tls.VersionName(config.MaxVersion)}))
			}
		}
		w.login(2, "Ann").sees("Ann")
	})
}
