package trunk

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// TCP is taken where it works, and the web port is left alone.
func TestTCP(t *testing.T) {
	inBed(t, func(b *bed) {
		b.main()
		b.web()
		for range 3 {
			conn := b.reaches(TCP, 10*latency)
			if at := hostnet.AddrPort(conn.RemoteAddr()); at != mainAt {
				t.Errorf("it leads to %v", at)
			}
		}
		if slices.Contains(b.filter.tried, webAt) {
			t.Errorf("it tried %v", b.filter.tried)
		}
		raw, way, err := b.trunk.Dial(b.Context())
		if err != nil || way != TCP {
			t.Fatalf("%v, %v", way, err)
		}
		raw.Close()
	})
}

// The WebSocket is found whatever is done to TCP, and is begun with from then
// on, until the network is another one.
func TestWeb(t *testing.T) {
	for name, c := range map[string]struct {
		obstruct func(*bed)
		within   time.Duration
	}{
		"refused":     {func(*bed) {}, 40 * latency},
		"unreachable": {func(b *bed) { b.filter.drop[mainAt] = true }, headStart + 40*latency},
		"accepted and thrown away": {func(b *bed) {
			l := b.listen(mainAt)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.Close()
				}
			}()
			b.closing(func() { l.Close() })
		}, 40 * latency},
		"accepted and left alone": {func(b *bed) {
			l := b.listen(mainAt) // the backlog takes everybody
			b.closing(func() { l.Close() })
		}, headStart + 40*latency},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.web()
				c.obstruct(b)
				conn := b.reaches(Web, c.within)
				if at := hostnet.AddrPort(conn.RemoteAddr()); at != webAt {
					t.Errorf("it leads to %v", at)
				}
				tried := len(b.filter.tried)
				b.reaches(Web, 40*latency)
				if got := b.filter.tried[tried:]; !slices.Equal(got, []netip.AddrPort{webAt}) {
					t.Errorf("then it tried %v", got)
				}
				b.trunk.Forget()
				b.reaches(Web, c.within)
			})
		})
	}
}

// Where the WebSocket has gone and TCP is back, TCP is found.
func TestBackToTCP(t *testing.T) {
	inBed(t, func(b *bed) {
		front := b.front(webAt)
		b.serve(front, theirKey)
		b.reaches(Web, 40*latency)
		b.main()
		front.Close()
		b.reaches(TCP, 20*latency)
		tried := len(b.filter.tried)
		b.reaches(TCP, 10*latency)
		if got := b.filter.tried[tried:]; !slices.Equal(got, []netip.AddrPort{mainAt}) {
			t.Errorf("then it tried %v", got)
		}
	})
}

// The coordinator says where its WebSocket is.
func TestWebPort(t *testing.T) {
	inBed(t, func(b *bed) {
		at := netip.AddrPortFrom(theirs, 8443)
		b.serve(b.front(at), theirKey)
		_ = b.fails(40 * latency)
		b.trunk.SetWebPort(8443)
		b.reaches(Web, 40*latency)
		b.trunk.SetWebPort(0)
		_ = b.fails(40 * latency)
	})
}

// Who answers in plain words is there, and no other way leads to anybody else.
func TestPlainWords(t *testing.T) {
	inBed(t, func(b *bed) {
		l := b.listen(mainAt)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "This is a coordinator.\r\n")
				conn.Close()
			}
		}()
		b.closing(func() { l.Close() })
		b.web()
		if err := b.fails(20 * latency); !errors.Is(err, p2p.ErrNoAnswer) {
			t.Error(err)
		}
		if slices.Contains(b.filter.tried, webAt) {
			t.Errorf("it tried %v", b.filter.tried)
		}
	})
}

// A stranger is worse news than silence, whichever way leads there; and one in
// the middle of one way doesn't keep anybody from the other.
func TestStranger(t *testing.T) {
	inBed(t, func(b *bed) {
		b.serve(b.listen(mainAt), identity.NewKey())
		if err := b.fails(40 * latency); !errors.Is(err, errStranger) {
			t.Error(err)
		}
		b.web()
		b.reaches(Web, 60*latency)
	})
	inBed(t, func(b *bed) {
		b.serve(b.front(webAt), identity.NewKey())
		if err := b.fails(60 * latency); !errors.Is(err, errStranger) {
			t.Error(err)
		}
		b.trunk = nil
		b.cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{ours, theirs}, nil }
		b.serve(b.listen(mainAt), identity.NewKey())
		if err := b.fails(time.Second); !errors.Is(err, errStranger) {
			t.Error(err)
		}
	})
}

// An address that doesn't answer costs a quarter of a second, one that refuses
// nothing; both families take turns.
func TestAddresses(t *testing.T) {
	inBed(t, func(b *bed) {
		six := netip.MustParseAddr("2001:db8::99")
		b.cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{six, netip.MustParseAddr("2001:db8::98"), nobody, ours, netip.MustParseAddr("::ffff:10.0.0.1")}, nil
		}
		for _, a := range []netip.Addr{six, netip.MustParseAddr("2001:db8::98"), nobody} {
			b.filter.drop[netip.AddrPortFrom(a, mainAt.Port())] = true
		}
		b.main()
		b.reaches(TCP, 3*addressHeadStart+20*latency)
		var order []string
		for _, at := range b.filter.tried {
			order = append(order, at.Addr().String())
		}
		if got, want := strings.Join(order, " "), "2001:db8::99 10.0.0.99 2001:db8::98 10.0.0.2 10.0.0.1"; got != want {
			t.Errorf("it tries %s, not %s", got, want)
		}
		for i, want := range []time.Duration{0, addressHeadStart, 2 * addressHeadStart, 3 * addressHeadStart} {
			if got := b.filter.when[i].Sub(b.filter.when[0]); got != want {
				t.Errorf("address %d is tried after %v, not %v", i, got, want)
			}
		}
	})
	inBed(t, func(b *bed) {
		b.cfg.Host = theirs.String() // is not looked up
		b.cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no names here") }
		b.main()
		b.reaches(TCP, 10*latency)
		b.trunk, b.cfg.Port = nil, 1
		b.web()
		b.reaches(Web, 40*latency)
	})
}

// One that has connected is not raced by the next while TLS takes its time.
func TestNoHurryWithinTLS(t *testing.T) {
	inBed(t, func(b *bed) {
		b.sim.Latency(100 * time.Millisecond) // TLS is not done when the next would begin
		b.cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{theirs, nobody, ours}, nil }
		b.main()
		b.reaches(TCP, 2*time.Second)
		if slices.Contains(b.filter.tried, netip.AddrPortFrom(ours, mainAt.Port())) {
			t.Errorf("it tried %v", b.filter.tried)
		}
	})
}

// Of two that come at once, one is closed.
func TestTooLate(t *testing.T) {
	inBed(t, func(b *bed) {
		b.sim.Latency(headStart / 3) // both are done at about the same time
		b.main()
		b.web()
		b.reaches(TCP, time.Minute)
		b.closes[len(b.closes)-1]()
		time.Sleep(time.Minute)
		// The bed's end fails if a connection is left.
	})
}

// Nothing is left of what was given up, whatever it was at.
func TestCancel(t *testing.T) {
	for name, prepare := range map[string]func(*bed){
		"while it dials": func(b *bed) { b.filter.drop[mainAt], b.filter.drop[webAt] = true, true },
		"while the web shakes hands": func(b *bed) {
			l := b.listen(webAt)
			b.closing(func() { l.Close() })
		},
		"while TLS shakes hands": func(b *bed) {
			l := b.listen(mainAt)
			b.closing(func() { l.Close() })
		},
		"while TLS shakes hands within the WebSocket": func(b *bed) {
			l := b.front(webAt)
			b.closing(func() { l.Close() })
		},
		"while it looks up": func(b *bed) {
			b.cfg.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				prepare(b)
				ctx, cancel := context.WithCancel(b.Context())
				failed := make(chan error)
				go func() {
					_, _, err := b.use().DialTLS(ctx, config)
					failed <- err
				}()
				time.Sleep(headStart + time.Second)
				synctest.Wait()
				began := time.Now()
				cancel()
				if err := <-failed; !errors.Is(err, p2p.ErrTransport) || time.Since(began) > 0 {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if _, _, err := b.trunk.DialTLS(ctx, config); !errors.Is(err, p2p.ErrTransport) {
					t.Errorf("what was cancelled before it began: %v", err)
				}
			})
		})
	}
}

// What can't be reached is known in a time that a person waits.
func TestPatience(t *testing.T) {
	inBed(t, func(b *bed) {
		b.filter.drop[mainAt], b.filter.drop[webAt] = true, true
		if err := b.fails(headStart + webConnectTime + time.Second); !errors.Is(err, p2p.ErrUnreachable) {
			t.Error(err)
		}
	})
}

// What Try says is for a person to read.
func TestTry(t *testing.T) {
	inBed(t, func(b *bed) {
		try := func(way Way, parts ...string) {
			t.Helper()
			for _, err := range []error{b.use().Try(b.Context(), way), b.use().TryTLS(b.Context(), way, config)} {
				if len(parts) == 0 {
					if err != nil {
						t.Errorf("%v: %v", way, err)
					}
					continue
				}
				reads(t, err, parts...)
			}
		}
		try(TCP, "No coordinator answers at 10.0.0.1:13277", "refused")
		try(Web, "Nothing answers at chat.example:443", "refused")
		b.main()
		try(TCP)
		l := b.listen(webAt)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "220 mail.example\r\n")
				conn.Close()
			}
		}()
		try(Web, "What answers at chat.example:443 is no coordinator's web port")
		l.Close()
		b.web()
		try(Web)
		b.trunk, b.cfg.Host = nil, "nowhere.example"
		try(TCP, "The name nowhere.example could not be looked up.")
		try(Web, "The name nowhere.example could not be looked up.")
	})
}

// reads sees that an error of the family reads as a sentence with these parts.
func reads(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, p2p.ErrTransport) {
		t.Errorf("%v", err)
		return
	}
	text := err.Error()
	if !strings.HasSuffix(text, ".") || strings.HasPrefix(text, "transport") || strings.Contains(text, "\n") {
		t.Errorf("%q is no sentence", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}
