package nat

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	host4   = netip.MustParseAddrPort("10.0.0.2:13280")
	host6   = netip.MustParseAddrPort("[2001:db8:1::2]:13280")
	public4 = netip.MustParseAddr("198.51.100.7")
	main4   = netip.MustParseAddrPort("203.0.113.1:13277")
	second4 = netip.MustParseAddrPort("203.0.113.1:13278")
	third4  = netip.MustParseAddrPort("203.0.113.1:40000")
	main6   = netip.MustParseAddrPort("[2001:db8::1]:13277")
	second6 = netip.MustParseAddrPort("[2001:db8::1]:13278")
	third6  = netip.MustParseAddrPort("[2001:db8::1]:40000")
)

// world is a host, what is between it and the coordinator, and that. It is set
// up before it is used; then mu guards it.
type world struct {
	*testing.T
	asker   *Asker
	latency time.Duration // one way

	kind    Kind // of the NAT for IPv4; Blocked blocks IPv6, too
	open    bool // the NAT, or the firewall for IPv6, lets everything in
	routers int
	loss    func() bool
	cannot  func(to netip.AddrPort, ttl int) error // write

	servers   []netip.AddrPort
	token     string
	closed    []netip.AddrPort // ports of the coordinator that nobody reads
	noThird   bool
	answers   func(request []byte, at, from, via netip.AddrPort) [][]byte // nil is a good coordinator
	newCookie func() []byte                                               // nil is one for each address and token

	chance sync.Mutex // guards what loss uses

	mu       sync.Mutex
	mapped   map[netip.AddrPort]netip.AddrPort // by destination
	next     uint16
	sent     []sent
	shown    []netip.AddrPort // at which the device was seen, by its cookie
	unwanted int              // answers that the NAT kept out
}

type sent struct {
	at  time.Duration // since the beginning
	to  netip.AddrPort
	ttl int
	b   []byte
}

// inWorld runs a test in fake time.
func inWorld(t *testing.T, setUp func(*world), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if setUp != nil {
			setUp(w)
		}
		test(w)
	})
}

func newWorld(t *testing.T) *world {
	w := &world{
		T: t, latency: 20 * time.Millisecond, kind: Easy, routers: 6, token: "0123456789abcdef0123456789abcdef",
		servers: []netip.AddrPort{main4, second4}, mapped: make(map[netip.AddrPort]netip.AddrPort), next: 50000,
	}
	began := time.Now()
	w.asker = New(Config{
		Write:   func(b []byte, to netip.AddrPort, ttl int) error { return w.write(time.Since(began), b, to, ttl) },
		Servers: func() []netip.AddrPort { return w.servers },
		Token:   func() string { return w.token },
		Local:   func() []netip.AddrPort { return []netip.AddrPort{host4, host6} },
	})
	return w
}

// write takes a datagram as far as it gets.
func (w *world) write(at time.Duration, b []byte, to netip.AddrPort, ttl int) error {
	if w.cannot != nil {
		if err := w.cannot(to, ttl); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sent{at, to, ttl, slices.Clone(b)})
	if w.kind == Blocked || ttl == 1 {
		return nil
	}
	from := w.source(to)
	if ttl != 0 && ttl <= w.routers || w.lost() || slices.Contains(w.closed, to) {
		return nil
	}
	time.AfterFunc(w.latency, func() { w.arrive(slices.Clone(b), from, to) })
	return nil
}

// lost says whether a datagram is lost.
func (w *world) lost() bool {
	w.chance.Lock()
	defer w.chance.Unlock()
	return w.loss != nil && w.loss()
}

// source is the address that the world beyond the NAT sees.
func (w *world) source(to netip.AddrPort) netip.AddrPort {
	key := to
	switch {
	case to.Addr().Is6():
		w.mapped[to] = host6
		return host6
	case w.kind == None:
		w.mapped[to] = host4
		return host4
	case w.kind == Easy:
		key = netip.AddrPort{}
	}
	if !w.mapped[key].IsValid() {
		w.mapped[key] = netip.AddrPortFrom(public4, w.next)
		w.next++
	}
	w.mapped[to] = w.mapped[key]
	return w.mapped[to]
}

// arrive is at the coordinator.
func (w *world) arrive(b []byte, from, at netip.AddrPort) {
	m := new(stun.Message)
	if err := stun.Decode(b, m); err != nil {
		w.Errorf("the coordinator can't read %x: %v", b, err)
		return
	}
	via := at
	if m.Contains(stun.AttrChangeRequest) {
		switch {
		case !w.noThird:
			via = map[bool]netip.AddrPort{true: third4, false: third6}[at.Addr().Is4()]
		case at == main4:
			via = second4
		case at == main6:
			via = second6
		}
	}
	answers := [][]byte{w.answer(m, from)}
	if w.answers != nil {
		answers = w.answers(b, at, from, via)
	}
	time.AfterFunc(w.latency, func() {
		for _, answer := range answers {
			if len(answer) > len(b) && w.answers == nil {
				w.Errorf("%d bytes can't answer %d", len(answer), len(b))
			}
			if !w.lost() {
				w.back(answer, via, at)
			}
		}
	})
}

// answer is the good one, and notes where the device is seen.
func (w *world) answer(m *stun.Message, from netip.AddrPort) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	token, _ := m.Get(stun.AttrUsername)
	sum := sha256.Sum256(append(from.Addr().AsSlice(), token...))
	cookie := sum[:8]
	if w.newCookie != nil {
		cookie = w.newCookie()
	}
	if got, err := m.Get(attrCookie); err == nil && slices.Equal(got, cookie) {
		w.shown = append(w.shown, from)
	}
	setters := []stun.Setter{stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}}
	if len(token) > 0 {
		setters = append(setters, stun.RawAttribute{Type: attrCookie, Value: cookie})
	}
	return stun.MustBuild(append(setters, stun.Fingerprint)...).Raw
}

// back is at the NAT, which knows who was sent to.
func (w *world) back(b []byte, via, at netip.AddrPort) {
	w.mu.Lock()
	asked := w.mapped[via].IsValid() && w.mapped[via] == w.mapped[at]
	if !asked && !w.open {
		w.unwanted++
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	if !w.asker.Packet(b, via) {
		w.Errorf("%x is taken for something else", b)
	}
}

func (w *world) ask(full bool) Report {
	w.Helper()
	r, err := w.asker.Ask(w.Context(), full)
	if err != nil {
		w.Fatal(err)
	}
	if last, ok := w.asker.Last(); !ok || last != r {
		w.Errorf("the last report is %+v, %v and not %+v", last, ok, r)
	}
	return r
}

// wrote is what was sent since the last call.
func (w *world) wrote() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sent
	w.sent = nil
	return s
}

// The whole table: what is between, and what comes out.
func TestKinds(t *testing.T) {
	both := []netip.AddrPort{main4, second4, main6, second6}
	noSix := func(to netip.AddrPort, _ int) error {
		if to.Addr().Is6() {
			return syscall.ENETUNREACH
		}
		return nil
	}
	easy4, hard4 := netip.AddrPortFrom(public4, 50000), netip.AddrPortFrom(public4, 50000)
	const rtt = 40 * time.Millisecond
	for _, c := range []struct {
		name  string
		setUp func(*world)
		full  bool
		want  Report
		took  time.Duration
	}{
		{"none", func(w *world) { w.kind = None }, false, Report{Kind: None, V4: host4, RTT: rtt}, 2 * rtt},
		{"easy", nil, false, Report{Kind: Easy, V4: easy4, RTT: rtt}, 2 * rtt},
		{"easy, no token", func(w *world) { w.token = "" }, false, Report{Kind: Easy, V4: easy4, RTT: rtt}, rtt},
		{"hard", func(w *world) { w.kind = Hard }, false, Report{Kind: Hard, V4: hard4, RTT: rtt}, 2 * rtt},
		{"blocked", func(w *world) { w.kind = Blocked }, false, Report{Kind: Blocked}, maxTime},
		{"blocked, full", func(w *world) { w.kind = Blocked; w.servers = both }, true, Report{Kind: Blocked}, maxTime},
		{"nothing can be sent", func(w *world) { w.cannot = func(netip.AddrPort, int) error { return syscall.ENETUNREACH } }, true, Report{Kind: Blocked}, lastTry},
		{"second port closed", func(w *world) { w.closed = []netip.AddrPort{second4} }, false, Report{Kind: Unknown, V4: easy4, RTT: rtt}, maxTime},
		{"one port", func(w *world) { w.servers = []netip.AddrPort{main4} }, false, Report{Kind: Unknown, V4: easy4, RTT: rtt}, 2 * rtt},
		{"one port, none", func(w *world) { w.servers = []netip.AddrPort{main4}; w.kind = None }, false, Report{Kind: None, V4: host4, RTT: rtt}, 2 * rtt},
		{"both families", func(w *world) { w.servers = both }, false, Report{Kind: Easy, V4: easy4, V6: host6, RTT: rtt}, 2 * rtt},
		{"IPv6 only", func(w *world) { w.servers = both[2:] }, false, Report{Kind: None, V6: host6, RTT: rtt}, 2 * rtt},
		{"no IPv6", func(w *world) { w.servers = both; w.cannot = noSix }, false, Report{Kind: Easy, V4: easy4, RTT: rtt}, 2 * rtt},
		{"no IPv6, full", func(w *world) { w.servers = both; w.cannot = noSix }, true,
			Report{Kind: Easy, Filtering: Restricted, Hops: 4, V4: easy4, RTT: rtt}, lastTry + leastPatience},
		{"IPv6 broken", func(w *world) { w.servers = both; w.closed = both[2:] }, false, Report{Kind: Easy, V4: easy4, RTT: rtt}, lastTry + leastPatience},
		{"IPv4 broken", func(w *world) { w.servers = both; w.closed = both[:2] }, true,
			Report{Kind: None, Filtering: Restricted, Hops: 4, V6: host6, RTT: rtt}, lastTry + leastPatience},
		{"slow", func(w *world) { w.latency = 300 * time.Millisecond }, false, Report{Kind: Easy, V4: easy4, RTT: 600 * time.Millisecond}, 1200 * time.Millisecond},
		{"restricted, far", nil, true, Report{Kind: Easy, Filtering: Restricted, Hops: 4, V4: easy4, RTT: rtt}, lastTry + leastPatience},
		{"open, near", func(w *world) { w.open = true; w.routers = 1 }, true, Report{Kind: Easy, Filtering: Open, Hops: 1, V4: easy4, RTT: rtt}, 2 * rtt},
		{"two routers", func(w *world) { w.routers = 2 }, true, Report{Kind: Easy, Filtering: Restricted, Hops: 2, V4: easy4, RTT: rtt}, lastTry + leastPatience},
		{"three routers, hard", func(w *world) { w.routers = 3; w.kind = Hard }, true,
			Report{Kind: Hard, Filtering: Restricted, Hops: 3, V4: hard4, RTT: rtt}, lastTry + leastPatience},
		{"same link", func(w *world) { w.routers = 0; w.kind = None; w.open = true }, true, Report{Kind: None, Filtering: Open, Hops: 1, V4: host4, RTT: rtt}, 2 * rtt},
		{"no third port", func(w *world) { w.noThird = true; w.open = true; w.routers = 1 }, true, Report{Kind: Easy, Hops: 1, V4: easy4, RTT: rtt}, 2 * rtt},
		{"no TTL", func(w *world) {
			w.cannot = func(_ netip.AddrPort, ttl int) error {
				if ttl != 0 {
					return errors.ErrUnsupported
				}
				return nil
			}
		}, true, Report{Kind: Easy, Filtering: Restricted, V4: easy4, RTT: rtt}, lastTry + leastPatience},
		{"refused", func(w *world) { w.answers = refuse }, true, Report{Kind: Unknown}, lastTry + leastPatience},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, c.setUp, func(w *world) {
				began := time.Now()
				got := w.ask(c.full)
				c.want.At = began
				if took := time.Since(began); got != c.want || took != c.took {
					t.Errorf("got  %+v after %v\nwant %+v after %v", got, took, c.want, c.took)
				}
				for _, s := range w.wrote() {
					if len(s.b) < minRequest || s.ttl != 0 && (!c.full || s.ttl < 2 || s.ttl > MaxHops) {
						t.Errorf("%d bytes were sent to %v with TTL %d", len(s.b), s.to, s.ttl)
					}
				}
			})
		})
	}
}

// refuse answers with an error.
func refuse(request []byte, _, _, _ netip.AddrPort) [][]byte {
	m := new(stun.Message)
	if stun.Decode(request, m) != nil {
		return nil
	}
	return [][]byte{stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingError, stun.CodeUnknownAttribute, stun.Fingerprint).Raw}
}

// With losses the answer is late, or less, and never wrong.
func TestLoss(t *testing.T) {
	for _, c := range []struct {
		percent, least int // of a hundred rounds, those that find it out
	}{{5, 99}, {20, 90}, {50, 25}} {
		for _, kind := range []Kind{None, Easy, Hard} {
			got := make(map[Kind]int)
			for seed := range 100 {
				inWorld(t, func(w *world) {
					r := rand.New(rand.NewPCG(uint64(seed), 1))
					w.loss = func() bool { return r.IntN(100) < c.percent }
					w.kind = kind
				}, func(w *world) {
					began := time.Now()
					report := w.ask(seed%2 == 0)
					got[report.Kind]++
					if took := time.Since(began); took > maxTime {
						t.Errorf("it took %v", took)
					}
					if len(w.wrote()) > 2*tries*(3+4) {
						t.Error("a flood was sent")
					}
					w.settle()
				})
			}
			for k, n := range got {
				if k != kind && k != Unknown && k != Blocked {
					t.Errorf("%d times %v was found where it is %v", n, k, kind)
				}
			}
			if got[kind] < c.least {
				t.Errorf("with %d %% lost, of %v came %v", c.percent, kind, got)
			}
		}
	}
}

// settle lets what is under way arrive.
func (w *world) settle() {
	time.Sleep(5 * time.Second) // fake time
	synctest.Wait()
}
