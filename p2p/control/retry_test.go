package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Each refusal is told with the coordinator's sentence, and looked at again
// after a time that its reason asks for.
func TestRefusals(t *testing.T) {
	for code := range wire.Refused_Code_name {
		code := wire.Refused_Code(code)
		low, high := firstBackoff/2, firstBackoff
		switch code {
		case wire.Refused_CODE_AWAITING_APPROVAL:
			low, high = 10*time.Second, 10*time.Second
		case wire.Refused_CODE_REPLACED:
			low, high = lastBackoff/2, lastBackoff
		case wire.Refused_CODE_NAME_TAKEN, wire.Refused_CODE_INVITE_NEEDED, wire.Refused_CODE_INVITE_INVALID,
			wire.Refused_CODE_DEVICE_REMOVED, wire.Refused_CODE_VERSION, wire.Refused_CODE_OTHER_ACCOUNT,
			wire.Refused_CODE_JOIN_FAILED, wire.Refused_CODE_NAME_INVALID:
			low, high = time.Minute, time.Minute
		}
		t.Run(code.String(), func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.start()
				refusal(b, refused(code, "Ask Di.", 0), "Ask Di.", low, high)
				refusal(b, refused(code, "", 100), fmt.Sprintf("The coordinator refuses the login (%d).", code), 100*time.Second, 125*time.Second+time.Millisecond)
				refusal(b, refused(code, "Much later.", 1<<32-1), "Much later.", time.Hour, 75*time.Minute+time.Millisecond)
			})
		})
	}
}

// refusal has the coordinator refuse a login.
func refusal(b *bed, answer *wire.ToClient, sentence string, low, high time.Duration) {
	b.Helper()
	next[Connecting](b, 2*time.Hour)
	p := b.accept()
	p.say(answer)
	d := b.lost(time.Second)
	wait := time.Until(d.Retry)
	told, ok := errors.AsType[*RefusedError](d.Cause)
	if !ok || told.Code != answer.GetRefused().GetCode() || !errors.Is(d.Cause, p2p.ErrRefused) ||
		d.Cause.Error() != sentence || d.NotSecure || wait < low || wait > high {
		b.Errorf("%v after %v, NotSecure %v", d.Cause, wait, d.NotSecure)
	}
	b.quiet(wait - time.Millisecond)
}

// A refusal may come in the middle of a login, too.
func TestRefusedLater(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		p.say(refused(wire.Refused_CODE_DEVICE_REMOVED, "This device was removed.", 0))
		d := b.lost(time.Second)
		if !errors.Is(d.Cause, p2p.ErrRefused) || time.Until(d.Retry) != personRetry {
			t.Errorf("%+v", d)
		}
	})
}

func TestVersions(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		next[Connecting](b, time.Second)
		p := b.accept()
		w := welcome(7, false)
		w.GetWelcome().Version = 2
		p.say(w)
		if d := b.lost(time.Second); d.NotSecure || !errors.Is(d.Cause, p2p.ErrNoAnswer) {
			t.Errorf("%+v", d)
		}
	})
}

// What answers may be something else.
func TestWhoAnswers(t *testing.T) {
	stranger := identity.NewKey()
	for _, c := range []struct {
		name      string
		answer    func(b *bed, raw io.ReadWriteCloser, conn func(*tls.Config) error)
		notSecure bool
		want      error
	}{
		{"a greeting in plain text", func(_ *bed, raw io.ReadWriteCloser, _ func(*tls.Config) error) {
			_, _ = io.WriteString(raw, "This is a coordinator.\r\n")
			raw.Close()
		}, true, p2p.ErrNoAnswer},
		{"nothing", func(_ *bed, raw io.ReadWriteCloser, _ func(*tls.Config) error) { raw.Close() }, true, p2p.ErrNoAnswer},
		{"silence", func(b *bed, raw io.ReadWriteCloser, _ func(*tls.Config) error) { b.Cleanup(func() { raw.Close() }) }, true, p2p.ErrNoAnswer},
		{"another protocol", func(_ *bed, raw io.ReadWriteCloser, conn func(*tls.Config) error) {
			_ = conn(identity.ServerTLS(theirKey.Certificate(), "h2", nil))
			raw.Close()
		}, true, p2p.ErrNoAnswer},
		{"no protocol", func(_ *bed, raw io.ReadWriteCloser, conn func(*tls.Config) error) {
			_ = conn(&tls.Config{Certificates: []tls.Certificate{theirKey.Certificate()}})
			raw.Close()
		}, true, p2p.ErrNoAnswer},
		{"an old TLS", func(_ *bed, raw io.ReadWriteCloser, conn func(*tls.Config) error) {
			cfg := identity.ServerTLS(theirKey.Certificate(), identity.ALPNControl, nil)
			cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			_ = conn(cfg)
			raw.Close()
		}, true, p2p.ErrNoAnswer},
		{"a stranger", func(_ *bed, raw io.ReadWriteCloser, conn func(*tls.Config) error) {
			if conn(identity.ServerTLS(stranger.Certificate(), identity.ALPNControl, nil)) == nil {
				t.Error("the client completes a login at a stranger's")
			}
			raw.Close()
		}, false, p2p.ErrIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.start()
				next[Connecting](b, time.Second)
				raw, err := b.listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				go c.answer(b, raw, func(cfg *tls.Config) error {
					conn := tls.Server(raw, cfg)
					if err := conn.Handshake(); err != nil {
						return err
					}
					return wire.Read(conn, wire.MaxToCoordinator, new(wire.ToCoordinator))
				})
				d := b.lost(11 * time.Second)
				if d.NotSecure != c.notSecure || !errors.Is(d.Cause, c.want) {
					t.Errorf("%+v", d)
				}
				b.login(7, 40) // the true one, the next time
			})
		})
	}
}

// While nothing listens, attempts become rare; once something does, and holds,
// the next failure is the first.
func TestBackoff(t *testing.T) {
	inBed(t, func(b *bed) {
		b.listener.Close()
		b.start()
		nominal := firstBackoff
		for range 12 {
			next[Connecting](b, time.Minute)
			d := b.lost(time.Second)
			if wait := time.Until(d.Retry); !d.NotSecure || !errors.Is(d.Cause, p2p.ErrUnreachable) || wait < nominal/2 || wait > nominal {
				t.Errorf("%+v, in %v instead of %v", d, wait, nominal)
			}
			nominal = min(2*nominal, lastBackoff)
		}
		b.listen()
		p := b.login(7, 40)
		p.conn.Close() // at once
		if d := b.lost(time.Second); time.Until(d.Retry) < lastBackoff/2 {
			t.Errorf("a coordinator that falls over is run down: %+v", d)
		}
		p = b.login(7, 40)
		p.pong()
		b.quiet(heldLongEnough)
		p.conn.Close()
		if d := b.lost(time.Second); time.Until(d.Retry) > firstBackoff || !errors.Is(d.Cause, p2p.ErrUnreachable) {
			t.Errorf("%+v", d)
		}
	})
}

// Two clients that lose their coordinator together don't come back together.
func TestJitter(t *testing.T) {
	waits := map[time.Duration]bool{}
	for range 100 {
		waits[new(backoff).wait(io.EOF, 0)] = true
	}
	if len(waits) < 90 {
		t.Errorf("only %d different waits", len(waits))
	}
}

// Who finds its own network changed comes back at once, unless the login before
// was no better.
func TestMoved(t *testing.T) {
	var b backoff
	if d := b.wait(errMoved, heldLongEnough); d > movedWait {
		t.Errorf("waits %v", d)
	}
	if d := b.wait(errMoved, heldLongEnough/2); d < firstBackoff/2 {
		t.Errorf("waits only %v", d)
	}
	if d := b.wait(errSilent, heldLongEnough); d < firstBackoff/2 {
		t.Errorf("waits only %v for a coordinator that hangs", d)
	}
}

// Every address of the name is tried, and the name is looked up each time.
func TestAddresses(t *testing.T) {
	lookups := 0
	inBed(t, func(b *bed) {
		b.start()
		next[Connecting](b, time.Second)
		if d := b.lost(time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) {
			t.Errorf("%+v", d)
		}
		b.login(7, 40) // behind one that nobody has, and one where nothing listens
		same(b, lookups, 2)
	}, func(c *Config) {
		c.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			if lookups++; lookups == 1 {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.99"), ours, netip.MustParseAddr("::ffff:10.0.0.1")}, nil
		}
	})
}
