package portmap

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/protocol/hostnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const localPort = 40123

// bed is a host with a Mapper, and its router, in fake time.
type bed struct {
	testing.TB
	sim    *hostnet.Sim
	router *router
	*Mapper
	cancel func()
	stop   func() // Run's end

	mu      sync.Mutex
	outside Outside
	gateway netip.Addr
	changes int
}

// inBed runs a test with a router that is what change makes of it.
func inBed(t *testing.T, change func(*router), test func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		b := &bed{TB: t, sim: sim, router: newRouter(t, sim.Host(routerAt)), gateway: routerAt, outside: Outside{Toward: serverAt, Seen: publicAt, NAT: true}}
		if change != nil {
			change(b.router)
		}
		if b.router.told.IsValid() {
			b.gateway = b.router.told
		}
		defer b.router.serve()()
		b.Mapper = New(Config{
			Net: sim.Host(hostAt), Port: localPort,
			Outside: func() Outside {
				b.mu.Lock()
				defer b.mu.Unlock()
				return b.outside
			},
			OnChange: func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.changes++
			},
			Gateway: func(toward netip.Addr) (netip.Addr, netip.Addr, error) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if toward != serverAt {
					t.Errorf("the way to %v is asked for", toward)
				}
				return b.gateway, hostAt, nil
			},
		})
		// NAT-PMP's library has sockets of the system's; TestNATPMP is about it.
		b.protocols = []protocol{b.protocols[0], b.protocols[2]}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		b.cancel = cancel
		b.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		defer b.stop()
		test(b)
	})
}

// after lets time pass and everybody come to rest.
func (b *bed) after(d time.Duration) {
	time.Sleep(d) // in fake time
	synctest.Wait()
}

func (b *bed) set(o Outside) {
	b.mu.Lock()
	b.outside = o
	b.mu.Unlock()
	b.Changed()
}

// mapped fails unless there is a mapping, which is the router's.
func (b *bed) mapped(by Method) netip.AddrPort {
	b.Helper()
	at, method, ok := b.Mapping()
	if !ok || method != by {
		b.Fatalf("the mapping is %v by %q, %v: %v", at, method, ok, b.Status().Err)
	}
	open := b.router.mappings()
	o, is := open[at.Port()]
	if !is || o.to != netip.AddrPortFrom(hostAt, localPort) || at.Addr() != b.router.external || len(open) != 1 {
		b.Fatalf("the mapping is %v, and the router has %v", at, open)
	}
	if s := b.Status(); s.External != at || s.Method != by || s.Gateway != routerAt || s.Err != nil {
		b.Errorf("the status is %+v", s)
	}
	return at
}

func (b *bed) unmapped(why Reason) {
	b.Helper()
	if at, by, ok := b.Mapping(); ok || at.IsValid() || by != 0 {
		b.Errorf("the mapping is %v by %q", at, by)
	}
	s := b.Status()
	if ReasonOf(s.Err) != why {
		b.Errorf("there is no mapping because: %v", s.Err)
	}
	if s.External.IsValid() || !s.Until.IsZero() || s.Method.String() != "" {
		b.Errorf("the status is %+v", s)
	}
}

func speaksPCP(r *router) { r.pcp = true }

func speaksUPnP(service string) func(*router) {
	return func(r *router) { r.service = "urn:schemas-upnp-org:service:" + service }
}

// Every kind of router opens a port, keeps it open for days, and is asked no
// more often than needed; and the port is closed when the client ends.
func TestKinds(t *testing.T) {
	for name, kind := range map[string]struct {
		router func(*router)
		by     Method
		port   uint16 // the external one
		most   int    // questions a day
	}{
		"PCP":        {speaksPCP, PCP, localPort, 50},
		"PCP, taken": {func(r *router) { r.pcp, r.taken[localPort] = true, true }, PCP, localPort + 1, 50},
		"PCP, short": {func(r *router) { r.pcp, r.longest = true, 2*time.Minute }, PCP, localPort, 1500},
		"UPnP 2":     {speaksUPnP("WANIPConnection:2"), UPnP, localPort, 50},
		"UPnP 2, taken": {func(r *router) {
			speaksUPnP("WANIPConnection:2")(r)
			r.taken[localPort] = true
		}, UPnP, localPort + 1, 50},
		"UPnP 1": {speaksUPnP("WANIPConnection:1"), UPnP, localPort, 50},
		"UPnP 1, taken": {func(r *router) {
			speaksUPnP("WANIPConnection:1")(r)
			r.taken[localPort], r.taken[localPort+10007] = true, true
		}, UPnP, localPort + 2*10007, 50},
		"UPnP, PPP": {speaksUPnP("WANPPPConnection:1"), UPnP, localPort, 50},
		"UPnP 1, permanent": {func(r *router) {
			speaksUPnP("WANIPConnection:1")(r)
			r.permanent = true
		}, UPnP, localPort, 50},
		"UPnP 2, permanent": {func(r *router) {
			speaksUPnP("WANIPConnection:2")(r)
			r.permanent = true
		}, UPnP, localPort, 50},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, kind.router, func(b *bed) {
				b.after(3 * time.Second)
				if at := b.mapped(kind.by); at.Port() != kind.port {
					b.Errorf("the mapping is %v", at)
				}
				for range 48 {
					b.after(time.Hour)
					b.mapped(kind.by)
				}
				if n := len(b.router.questions()); n < 48 || n > 2*kind.most {
					b.Errorf("the router was asked %d times in two days", n)
				}
				if b.changes != 1 {
					b.Errorf("the mapping changed %d times", b.changes)
				}
				begun := time.Now()
				b.stop()
				if took := time.Since(begun); took > 100*time.Millisecond {
					b.Errorf("giving it back took %v", took)
				}
				if open := b.router.mappings(); len(open) != 0 {
					b.Errorf("the router still has %v", open)
				}
				b.unmapped(ErrNotKnown)
			})
		})
	}
}

// Of a router that speaks everything, one port is used, and nothing is left
// behind of others.
func TestFirstWins(t *testing.T) {
	both := func(r *router) { r.pcp, r.service = true, "urn:schemas-upnp-org:service:WANIPConnection:2" }
	inBed(t, both, func(b *bed) {
		b.after(5 * time.Second)
		b.mapped(PCP)
		b.stop()
		if n := len(b.router.questions()); n != 1 {
			b.Errorf("the router was asked for %d ports", n)
		}
		if open := b.router.mappings(); len(open) != 0 {
			b.Errorf("the router still has %v", open)
		}
	})
}

// If the first protocol's answer is of no use, another one has its turn.
func TestSecondWins(t *testing.T) {
	inBed(t, func(r *router) {
		speaksUPnP("WANIPConnection:1")(r)
		r.datagram = func(in []byte) [][]byte { // knows PCP and refuses
			out := append([]byte(nil), in...)
			out[1] |= pcpResponse
			if in[1] == pcpMap {
				out[3] = 2
			}
			return [][]byte{out}
		}
	}, func(b *bed) {
		b.after(5 * time.Second)
		b.mapped(UPnP)
	})
}

// Where there is no NAT, or it isn't known yet, no router hears of it.
func TestNotNeeded(t *testing.T) {
	inBed(t, speaksPCP, func(b *bed) {
		b.after(time.Minute)
		b.mapped(PCP)
		heard := b.router.heard()
		b.set(Outside{Toward: serverAt, Seen: hostAt})
		b.after(time.Minute)
		b.unmapped(ErrNotNeeded)
		if open := b.router.mappings(); len(open) != 0 {
			b.Errorf("the router still has %v", open)
		}
		if n := b.router.heard(); n != heard+1 {
			b.Errorf("the router heard %d datagrams to close one port", n-heard)
		}
		b.set(Outside{})
		b.after(72 * time.Hour)
		b.unmapped(ErrNotKnown)
		if n := b.router.heard(); n != heard+1 {
			b.Errorf("the router heard %d datagrams more", n-heard-1)
		}
		b.set(Outside{Toward: serverAt, Seen: publicAt, NAT: true})
		b.after(100 * time.Millisecond) // nobody is to be spared
		b.mapped(PCP)
	})
}

// A coordinator that doesn't answer for a while costs no mapping, and one that
// is here, or whose address no router has, needs none.
func TestOutside(t *testing.T) {
	inBed(t, speaksPCP, func(b *bed) {
		b.after(time.Second)
		b.mapped(PCP)
		b.set(Outside{})
		b.after(10 * time.Hour)
		b.mapped(PCP)
		for _, toward := range []string{"127.0.0.1", "::1", "2a11::1"} {
			b.set(Outside{Toward: netip.MustParseAddr(toward), Seen: publicAt, NAT: true})
			b.after(settle)
			b.unmapped(ErrNoGateway)
		}
	})
}

// Only a router on a private network is asked.
func TestGateways(t *testing.T) {
	for _, at := range []string{"11.0.0.7", "127.0.0.1", "0.0.0.0", "239.255.255.250", "fe80::1", "192.168.1.10", "11.0.0.1"} {
		inBed(t, func(r *router) { r.pcp, r.told = true, netip.MustParseAddr(at) }, func(b *bed) {
			b.after(time.Hour)
			b.unmapped(ErrNoGateway)
			if n := b.router.heard(); n > 0 {
				b.Errorf("with %s as router, another heard %d datagrams", at, n)
			}
		})
	}
}

// A port that can't be reached from outside is no mapping, and is given back.
func TestDoubleNAT(t *testing.T) {
	for _, external := range []string{"100.64.10.2", "192.168.178.20", "10.0.0.2", "198.18.0.1"} {
		for _, speaks := range []func(*router){speaksPCP, speaksUPnP("WANIPConnection:2")} {
			inBed(t, func(r *router) { speaks(r); r.external = netip.MustParseAddr(external) }, func(b *bed) {
				b.after(5 * time.Second)
				b.unmapped(ErrDoubleNAT)
				if open := b.router.mappings(); len(open) != 0 {
					b.Errorf("the router still has %v", open)
				}
				// It is what the coordinator sees: both are on that network.
				b.set(Outside{Toward: serverAt, Seen: netip.MustParseAddr(external), NAT: true})
				b.after(5 * time.Second)
				if at, _, ok := b.Mapping(); !ok || at.Addr().String() != external {
					b.Errorf("the mapping is %v", at)
				}
			})
		}
	}
}

// Another network has another router, and the old one is left alone.
func TestOtherNetwork(t *testing.T) {
	inBed(t, speaksPCP, func(b *bed) {
		b.after(time.Second)
		b.mapped(PCP)
		second := newRouter(t, b.sim.Host(netip.MustParseAddr("192.168.1.2")))
		second.at, second.pcp, second.external = netip.MustParseAddr("192.168.1.2"), true, netip.MustParseAddr("11.0.20.20")
		defer second.serve()()
		heard := b.router.heard()
		b.mu.Lock()
		b.gateway = second.at
		b.mu.Unlock()
		b.set(Outside{Toward: serverAt, Seen: second.external, NAT: true})
		b.after(settle)
		if at, _, ok := b.Mapping(); !ok || at.Addr() != second.external {
			b.Errorf("the mapping is %v", at)
		}
		if b.router.heard() != heard {
			b.Error("the old router was asked")
		}
		b.stop()
		if open := second.mappings(); len(open) != 0 {
			b.Errorf("the router still has %v", open)
		}
	})
}

// A router that has another address tells when it is asked, at once if the
// coordinator has noticed.
func TestOtherAddress(t *testing.T) {
	inBed(t, speaksPCP, func(b *bed) {
		b.after(time.Second)
		b.mapped(PCP)
		b.router.mu.Lock()
		b.router.external = netip.MustParseAddr("11.0.10.11")
		b.router.mu.Unlock()
		b.set(Outside{Toward: serverAt, Seen: netip.MustParseAddr("11.0.10.11"), NAT: true})
		b.after(settle)
		b.mapped(PCP)
		if b.changes != 2 {
			b.Errorf("the mapping changed %d times", b.changes)
		}
	})
}

// A router that is restarted forgets the port; when it is asked again it has it
// again. While it is away the mapping is believed as long as was promised.
func TestRouterAway(t *testing.T) {
	inBed(t, speaksPCP, func(b *bed) {
		b.after(time.Second)
		b.mapped(PCP)
		b.router.mu.Lock()
		b.router.pcp = false
		clear(b.router.open)
		b.router.mu.Unlock()
		b.after(58 * time.Minute)
		if _, _, ok := b.Mapping(); !ok {
			b.Error("the mapping is gone before its time")
		}
		b.after(3 * time.Minute)
		b.unmapped(ErrNoAnswer)
		b.router.mu.Lock()
		b.router.pcp = true
		b.router.mu.Unlock()
		b.after(2 * time.Minute)
		b.mapped(PCP)
		b.router.mu.Lock()
		clear(b.router.open)
		b.router.mu.Unlock()
		b.after(31 * time.Minute)
		b.mapped(PCP)
	})
}

// A router that opens no ports is asked seldom; never twice within 20 seconds
// unless something has changed, and then not all the time either.
func TestSilence(t *testing.T) {
	inBed(t, nil, func(b *bed) {
		b.after(10 * time.Second)
		b.unmapped(ErrNoAnswer)
		b.after(24 * time.Hour)
		const once = 3 + 4 // PCP's tries, and UPnP's
		if n := b.router.heard(); n > 32*once {
			b.Errorf("the router heard %d datagrams in a day", n)
		}
		before := b.router.heard()
		for range 100 {
			b.Changed()
			b.after(100 * time.Millisecond)
		}
		if n := b.router.heard() - before; n < once || n > 6*once {
			b.Errorf("the router heard %d datagrams while the network changed", n)
		}
	})
}

// Whoever asks is told what the router says now.
func TestAsk(t *testing.T) {
	inBed(t, nil, func(b *bed) {
		b.after(time.Hour)
		b.unmapped(ErrNoAnswer)
		b.router.mu.Lock()
		b.router.pcp = true
		b.router.mu.Unlock()
		if s := b.Ask(b.Context()); s.Method != PCP || s.External.Addr() != publicAt || s.Err != nil {
			b.Errorf("%+v", s)
		}
		b.mapped(PCP)
		b.router.mu.Lock()
		b.router.pcp = false
		b.router.mu.Unlock()
		ctx, cancel := context.WithTimeout(b.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		b.Ask(ctx)
		if took := time.Since(begun); took > 100*time.Millisecond {
			b.Errorf("it took %v", took)
		}
		b.stop()
		if took := time.Since(begun); took > openWithin+closeWithin {
			b.Errorf("the end took %v", took)
		}
	})
}

// A router that falls silent doesn't hold up the end.
func TestEndIsBounded(t *testing.T) {
	for _, when := range []time.Duration{0, 10 * time.Millisecond, 300 * time.Millisecond, time.Minute} {
		inBed(t, speaksPCP, func(b *bed) {
			if when == time.Minute {
				b.after(when)
				b.mapped(PCP)
			}
			b.router.mu.Lock()
			b.router.pcp = false
			b.router.mu.Unlock()
			b.after(when)
			begun := time.Now()
			b.stop()
			if took := time.Since(begun); took > openWithin+closeWithin {
				b.Errorf("after %v the end took %v", when, took)
			}
		})
	}
}
