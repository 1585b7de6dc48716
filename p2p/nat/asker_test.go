package nat

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v3"
)

func TestNobodyToAsk(t *testing.T) {
	inWorld(t, func(w *world) { w.servers = nil }, func(w *world) {
		for _, servers := range [][]netip.AddrPort{nil, {{}}, {netip.AddrPortFrom(main4.Addr(), 0)}} {
			w.servers = servers
			if _, err := w.asker.Ask(w.Context(), true); !errors.Is(err, ErrNoServer) {
				t.Errorf("asking %v: %v", servers, err)
			}
		}
		if r, ok := w.asker.Last(); ok {
			t.Errorf("the last report is %+v", r)
		}
	})
}

// Repetitions come after 100, 300 and 700 ms, and are the same bytes.
func TestRepetition(t *testing.T) {
	inWorld(t, func(w *world) { w.kind = Blocked }, func(w *world) {
		w.ask(false)
		first := make(map[netip.AddrPort][]byte)
		times := make(map[netip.AddrPort][]time.Duration)
		for _, s := range w.wrote() {
			times[s.to] = append(times[s.to], s.at/time.Millisecond)
			if first[s.to] == nil {
				first[s.to] = s.b
			} else if !slices.Equal(first[s.to], s.b) {
				t.Errorf("to %v %x is repeated as %x", s.to, first[s.to], s.b)
			}
		}
		for _, to := range w.servers {
			if !slices.Equal(times[to], []time.Duration{0, 100, 300, 700}) {
				t.Errorf("%v was asked after %d ms", to, times[to])
			}
		}
	})
}

// When Ask returns, the coordinator has seen the device where it is; from then on
// that costs nothing, until something changes.
func TestProof(t *testing.T) {
	inWorld(t, func(w *world) { w.servers = []netip.AddrPort{main4, second4, main6, second6} }, func(w *world) {
		asked := func(what string, datagrams int) {
			t.Helper()
			r := w.ask(false)
			if n := len(w.wrote()); n != datagrams {
				t.Errorf("%s: %d datagrams, want %d", what, n, datagrams)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, at := range []netip.AddrPort{r.V4, r.V6} {
				if !slices.Contains(w.shown, at) {
					t.Errorf("%s: the coordinator saw the device at %v, not %v", what, w.shown, at)
				}
			}
			w.shown = nil
		}
		asked("at first", 4+2)
		asked("again", 4)
		w.token = "another"
		asked("with another token", 4+2)
		public := public4
		public4 = netip.MustParseAddr("198.51.100.99")
		defer func() { public4 = public }()
		clear(w.mapped)
		asked("at another address", 4+1)
	})
}

// A coordinator that has a new cookie each time is not asked for ever.
func TestCookieForever(t *testing.T) {
	n := uint64(0)
	inWorld(t, func(w *world) {
		w.newCookie = func() []byte { n++; return binary.BigEndian.AppendUint64(nil, n) }
	}, func(w *world) {
		w.ask(true)
		w.settle()
		if n := len(w.wrote()); n > 2*8*tries {
			t.Errorf("%d datagrams were sent", n)
		}
	})
}

func TestShare(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		var calls sync.WaitGroup
		reports := make([]Report, 10)
		for i := range reports {
			calls.Go(func() {
				var err error
				if reports[i], err = w.asker.Ask(w.Context(), false); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		for _, r := range reports {
			if r != reports[0] || r.Kind != Easy {
				t.Errorf("one gets %+v, another %+v", r, reports[0])
			}
		}
		if n := len(w.wrote()); n != 3 {
			t.Errorf("ten who ask at once send %d datagrams", n)
		}

		// A quick look need not wait for the end of a full one, and the last
		// report is that of the quick one until then.
		calls.Go(func() { w.ask(true) })
		synctest.Wait()
		began := time.Now()
		if r := w.ask(false); r.Kind != Easy || time.Since(began) != 2*w.latency {
			t.Errorf("after %v a quick look is %+v", time.Since(began), r)
		}
		calls.Wait()
		if r := w.ask(false); r.Hops != 4 || r.Filtering != Restricted {
			t.Errorf("what the full report found is forgotten: %+v", r)
		}
		w.kind = Hard
		clear(w.mapped)
		if r := w.ask(false); r.Hops != 0 || r.Filtering != FilteringUnknown {
			t.Errorf("of another network is remembered %+v", r)
		}
		w.kind = Easy
		clear(w.mapped)

		// Who wants all of it is not content with less.
		var full Report
		calls.Go(func() { _, _ = w.asker.Ask(w.Context(), false) })
		synctest.Wait()
		calls.Go(func() { full, _ = w.asker.Ask(w.Context(), true) })
		calls.Wait()
		if full.Hops == 0 || full.Filtering != Restricted {
			t.Errorf("the full report is %+v", full)
		}
	})
}

// What a full look has heard of the distance is known when its beginning is,
// long before it is certain that nothing else comes.
func TestDistanceIsKnownEarly(t *testing.T) {
	for routers, want := range map[int]uint8{1: 1, 2: 2, 3: 3, 6: 0} {
		var early []Report
		inWorld(t, func(w *world) { w.routers = routers }, func(w *world) {
			w.asker.cfg.Early = func(r Report) { early = append(early, r) }
			var calls sync.WaitGroup
			calls.Go(func() { w.ask(true) })
			synctest.Wait()
			began := time.Now()
			r := w.ask(false)
			if took := time.Since(began); took > 4*w.latency || r.Hops != want || r.Filtering != FilteringUnknown {
				t.Errorf("behind %d routers %+v is known after %v", routers, r, took)
			}
			calls.Wait()
			if len(early) != 1 || early[0] != r {
				t.Errorf("behind %d routers it was told of %+v", routers, early)
			}
		})
	}
}

// An asking that is under way when the network changes is begun again, and what
// it had heard is not taken for what is so now.
func TestDoubt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.asker.Doubt() // nobody asks
		var calls sync.WaitGroup
		var full Report
		calls.Go(func() { full = w.ask(true) })
		time.Sleep(3 * w.latency)
		if r := w.ask(false); r.V4.Addr() != public4 {
			t.Errorf("at first it is seen at %v", r.V4)
		}
		public := public4
		public4 = netip.MustParseAddr("198.51.100.99")
		defer func() { public4 = public }()
		w.mu.Lock()
		clear(w.mapped)
		w.mu.Unlock()
		changed := time.Now()
		w.asker.Doubt()
		if r := w.ask(false); r.V4.Addr() != public4 || r.At.Before(changed) {
			t.Errorf("after the change it is seen at %v, asked at %v", r.V4, r.At)
		}
		calls.Wait()
		if last, _ := w.asker.Last(); full.V4.Addr() != public4 || full.Hops == 0 || last.V4 != full.V4 {
			t.Errorf("the full report is %+v, the last one %+v", full, last)
		}
		w.settle()
	})
}

// Who gives up does so alone.
func TestGivingUp(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := w.asker.Ask(ctx, false); !errors.Is(err, context.Canceled) {
				t.Errorf("who asked first gets %v", err)
			}
		})
		synctest.Wait()
		calls.Go(func() {
			if r, err := w.asker.Ask(w.Context(), false); err != nil || r.Kind != Easy {
				t.Errorf("who waits gets %+v, %v", r, err)
			}
		})
		calls.Go(func() {
			if _, err := w.asker.Ask(ctx, false); !errors.Is(err, context.Canceled) {
				t.Errorf("who waited gets %v", err)
			}
		})
		synctest.Wait()
		cancel()
		calls.Wait()
		if _, err := w.asker.Ask(ctx, false); !errors.Is(err, context.Canceled) {
			t.Errorf("who has given up before gets %v", err)
		}
		w.ask(false)
		w.settle()
	})
}

func TestPacket(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		late := w.answer(stun.MustBuild(stun.TransactionID, stun.BindingRequest), main4)
		for text, want := range map[string]bool{
			string(late): true, string(late[:20]): true, string(late[:19]): false, "": false,
			"\x40" + string(late[1:]): false, "\x05 probe of another kind altogether": false,
		} {
			if w.asker.Packet([]byte(text), main4) != want {
				t.Errorf("%x is STUN: %v", text, !want)
			}
		}
	})
}

// evil is what somebody tries who can send anything from anywhere, but doesn't
// see the requests; and what a broken coordinator does.
func TestEvil(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("203.0.113.99:13277")
	lie := func(id transaction, ip string, port int, more ...stun.Setter) []byte {
		return stun.MustBuild(append([]stun.Setter{stun.NewTransactionIDSetter(id), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: netip.MustParseAddr(ip).AsSlice(), Port: port}}, more...)...).Raw
	}
	const ip = "192.0.2.66"
	for _, c := range []struct {
		name string
		lie  func(id transaction) []byte
		from netip.AddrPort
	}{
		{"another address", func(id transaction) []byte { return lie(id, ip, 1) }, elsewhere},
		{"another port", func(id transaction) []byte { return lie(id, ip, 1) }, third4},
		{"the other port", func(id transaction) []byte { return lie(id, ip, 1) }, netip.AddrPort{}},
		{"another transaction", func(id transaction) []byte { id[11]++; return lie(id, ip, 1) }, main4},
		{"a wrong fingerprint", func(id transaction) []byte {
			b := lie(id, ip, 1, stun.Fingerprint)
			b[len(b)-1]++
			return b
		}, main4},
		{"something behind the fingerprint", func(id transaction) []byte {
			return lie(id, ip, 1, stun.Fingerprint, stun.NewSoftware("x"))
		}, main4},
		{"port 0", func(id transaction) []byte { return lie(id, ip, 0) }, main4},
		{"loopback", func(id transaction) []byte { return lie(id, "127.0.0.1", 1) }, main4},
		{"multicast", func(id transaction) []byte { return lie(id, "224.0.0.1", 1) }, main4},
		{"broadcast", func(id transaction) []byte { return lie(id, "255.255.255.255", 1) }, main4},
		{"nowhere", func(id transaction) []byte { return lie(id, "0.0.0.0", 1) }, main4},
		{"link-local", func(id transaction) []byte { return lie(id, "169.254.1.1", 1) }, main4},
		{"another family", func(id transaction) []byte { return lie(id, "2001:db8::66", 1) }, main4},
		{"no address", func(id transaction) []byte {
			return stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingSuccess).Raw
		}, main4},
		{"an indication", func(id transaction) []byte {
			return stun.MustBuild(stun.NewTransactionIDSetter(id), stun.NewType(stun.MethodBinding, stun.ClassIndication)).Raw
		}, main4},
		{"a request", func(id transaction) []byte {
			return stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingRequest).Raw
		}, main4},
		{"more than it says", func(id transaction) []byte { return append(lie(id, ip, 1), 0, 0, 0, 0) }, main4},
		{"less than it says", func(id transaction) []byte { b := lie(id, ip, 1); return b[:len(b)-4] }, main4},
		{"too much", func(id transaction) []byte {
			return lie(id, ip, 1, stun.RawAttribute{Type: 0x8888, Value: make([]byte, maxAnswer)})
		}, main4},
		{"an error from elsewhere", func(id transaction) []byte {
			return stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingError, stun.CodeTryAlternate).Raw
		}, elsewhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.cannot = func(to netip.AddrPort, _ int) error { // whatever is asked, the lie is there first
					w.overtake(to, c.lie, c.from)
					return nil
				}
				if r := w.ask(true); r.Kind != Easy || r.V4 != netip.AddrPortFrom(public4, 50000) || r.RTT != 2*w.latency {
					t.Errorf("it is believed: %+v", r)
				}
				w.settle()
			})
		})
	}
}

// overtake has a lie come in for each question that is about to be sent to a
// port, as only a test can: it looks up their transactions. Not so for the one
// that other ports may answer.
func (w *world) overtake(to netip.AddrPort, lie func(transaction) []byte, from netip.AddrPort) {
	var ids []transaction
	w.asker.mu.Lock()
	for _, q := range w.asker.flight.round.questions {
		if q.to == to && q.purpose != forOther {
			ids = append(ids, q.id)
		}
	}
	w.asker.mu.Unlock()
	if !from.IsValid() {
		from = map[netip.AddrPort]netip.AddrPort{main4: second4, second4: main4}[to]
	}
	for _, id := range ids {
		w.asker.Packet(lie(id), from)
	}
}

// The first answer counts: one that comes twice, with something else, doesn't.
func TestSecondAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.answers = func(request []byte, at, from, _ netip.AddrPort) [][]byte {
			m := new(stun.Message)
			if err := stun.Decode(request, m); err != nil {
				t.Error(err)
			}
			other := netip.AddrPortFrom(from.Addr(), from.Port()+1)
			return [][]byte{w.answer(m, from), w.answer(m, other), refuse(request, at, from, at)[0]}
		}
	}, func(w *world) {
		if r := w.ask(false); r.Kind != Easy || r.V4.Port() != 50000 {
			t.Errorf("the report is %+v", r)
		}
		w.settle()
	})
}

// What was heard in one round says nothing in the next.
func TestReplay(t *testing.T) {
	inWorld(t, func(w *world) { w.token = "" }, func(w *world) {
		var old [][]byte
		w.answers = func(request []byte, _, from, _ netip.AddrPort) [][]byte {
			m := new(stun.Message)
			if err := stun.Decode(request, m); err != nil {
				t.Error(err)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			replay := slices.Clone(old)
			good := stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
				&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}).Raw
			old = append(old, good)
			return append(replay, good)
		}
		w.ask(false)
		clear(w.mapped) // the NAT has forgotten, and maps anew
		if r := w.ask(false); r.Kind != Easy || r.V4.Port() != 50001 {
			t.Errorf("the report is %+v", r)
		}
	})
}

// Random bytes, and good answers with some of them changed, while a round is
// under way: the report stays what it is.
func TestNoise(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		r := rand.New(rand.NewPCG(3, 4))
		w.answers = func(request []byte, _, from, _ netip.AddrPort) (all [][]byte) {
			m := new(stun.Message)
			if err := stun.Decode(request, m); err != nil {
				t.Error(err)
			}
			good := w.answer(m, from)
			w.chance.Lock()
			defer w.chance.Unlock()
			for range 50 {
				b := slices.Clone(good)
				b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
				if isSTUN(b) {
					all = append(all, b)
				}
			}
			return append(all, good)
		}
		if r := w.ask(true); r.Kind != Easy || r.V4.Port() != 50000 {
			t.Errorf("the report is %+v", r)
		}
		w.settle()
	})
}
