package punch

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"earshot/protocol/wire"
)

var (
	begin     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	host      = netip.MustParseAddrPort("192.168.2.2:5000")
	reflexive = netip.MustParseAddrPort("203.0.113.20:40000")
	mapped    = netip.MustParseAddrPort("203.0.113.20:13280")
	six       = netip.MustParseAddrPort("[2001:db8::2]:5000")
)

func all() []Candidate {
	return []Candidate{
		{wire.Candidate_KIND_HOST, host}, {wire.Candidate_KIND_REFLEXIVE, reflexive},
		{wire.Candidate_KIND_MAPPED, mapped}, {wire.Candidate_KIND_REFLEXIVE, six},
	}
}

// ports is a Pick that starts at 1024.
func ports(n int) []uint16 {
	list := make([]uint16, n)
	for i := range list {
		list[i] = uint16(1024 + i)
	}
	return list
}

// drive gives a machine its time until it is over, and sockets when it wants
// them, and returns what it did, each with when.
func drive(m *Machine, now time.Time, event any) (did []string, sent int, end time.Time) {
	actions, wake := m.Step(event, now)
	for {
		var opened any
		for _, a := range actions {
			if s, ok := a.(Send); ok {
				sent++
				if s.Socket > 0 || m.crowd.ports != nil && s.To.Addr() == reflexive.Addr() && slices.Contains(m.crowd.ports, s.To.Port()) {
					continue // they are many
				}
			}
			if o, ok := a.(Open); ok {
				opened = Opened(o)
			}
			did = append(did, fmt.Sprintf("%v %T%v", now.Sub(begin), a, a))
		}
		if opened != nil {
			actions, wake = m.Step(opened, now)
			continue
		}
		if wake.IsZero() {
			return did, sent, now
		}
		if wake.Before(now) {
			panic("a wake in the past")
		}
		now = wake
		actions, wake = m.Step(nil, now)
	}
}

// The first second of each role, against all kinds of candidates.
func TestSchedule(t *testing.T) {
	cases := []struct {
		name string
		cfg  Config
		want []string
	}{
		{"who asked sends all the way, and tries at once what ought to work",
			Config{Lower: true, Local: wire.Nat_NAT_EASY, TTL: 2},
			[]string{
				"0s punch.Try{203.0.113.20:40000}",
				"0s punch.Send{192.168.2.2:5000 0 0}", "0s punch.Send{203.0.113.20:40000 0 0}",
				"0s punch.Send{203.0.113.20:13280 0 0}", "0s punch.Send{[2001:db8::2]:5000 0 0}",
				"60ms punch.Send{192.168.2.2:5000 0 0}", "60ms punch.Send{203.0.113.20:40000 0 0}",
			}},
		{"who answers opens its own NAT only, where there is one, and sends all the way to an open port",
			Config{Answers: true, Local: wire.Nat_NAT_EASY, TTL: 2},
			[]string{
				"0s punch.Send{192.168.2.2:5000 0 0}", "0s punch.Send{203.0.113.20:40000 2 0}",
				"0s punch.Send{203.0.113.20:13280 0 0}", "0s punch.Send{[2001:db8::2]:5000 0 0}",
				"60ms punch.Send{192.168.2.2:5000 0 0}", "60ms punch.Send{203.0.113.20:40000 2 0}",
			}},
		{"and has none to open without a NAT",
			Config{Answers: true, Local: wire.Nat_NAT_NONE, TTL: 2},
			[]string{"0s punch.Send{192.168.2.2:5000 0 0}", "0s punch.Send{203.0.113.20:40000 0 0}"}},
	}
	for _, c := range cases {
		did, _, end := drive(New(c.cfg, begin), begin, Told{wire.Nat_NAT_EASY, all()})
		if len(did) < len(c.want) || !slices.Equal(did[:len(c.want)], c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, did[:min(len(did), len(c.want))], c.want)
		}
		if end.Sub(begin) != giveUp {
			t.Errorf("%s: over after %v", c.name, end.Sub(begin))
		}
	}
}

// The answering device sends all the way in the end, and at once to where the
// other one was heard.
func TestHoldBack(t *testing.T) {
	m := New(Config{Answers: true, Local: wire.Nat_NAT_EASY, TTL: 2}, begin)
	did, _, _ := drive(m, begin, Told{wire.Nat_NAT_EASY, []Candidate{{wire.Candidate_KIND_REFLEXIVE, reflexive}}})
	last := slices.Index(did, "420ms punch.Send{203.0.113.20:40000 2 0}")
	if last < 0 || last+1 >= len(did) || did[last+1] != "820ms punch.Send{203.0.113.20:40000 0 0}" {
		t.Errorf("got %q", did)
	}
	m = New(Config{Answers: true, Local: wire.Nat_NAT_EASY, TTL: 2}, begin)
	m.Step(Told{wire.Nat_NAT_EASY, []Candidate{{wire.Candidate_KIND_REFLEXIVE, reflexive}}}, begin)
	m.Step(Heard{Type: Ping, From: reflexive}, begin)
	actions, _ := m.Step(nil, begin.Add(foundAgain))
	if len(actions) != 1 || actions[0] != (Send{To: reflexive}) {
		t.Errorf("got %v", actions)
	}
}

// told is a machine that knows the other device's addresses.
func told(cfg Config) *Machine {
	m := New(cfg, begin)
	m.Step(Told{wire.Nat_NAT_EASY, all()}, begin)
	return m
}

func TestRoles(t *testing.T) {
	strange := netip.MustParseAddrPort("203.0.113.20:50000")
	low, high := told(Config{Lower: true}), told(Config{})
	for _, kind := range []Type{Ping, Pong} {
		m := told(Config{Lower: true})
		if actions, _ := m.Step(Heard{Type: kind, From: strange}, begin); len(actions) == 0 || actions[0] != (Found{At: strange}) {
			t.Errorf("the lower ID does %v after a probe of type %d", actions, kind)
		}
	}
	actions, _ := low.Step(Heard{Type: Ping, From: strange, Socket: 7}, begin)
	if want := []any{Found{At: strange, Socket: 7}}; !slices.Equal(actions, want) {
		t.Errorf("the lower ID does %v, want %v", actions, want)
	}
	actions, _ = low.Step(Heard{Type: Ping, From: reflexive}, begin.Add(foundAgain-1))
	if len(actions) > 0 {
		t.Errorf("the path that was found is given no time: %v", actions)
	}
	actions, _ = low.Step(Heard{Type: Ping, From: reflexive}, begin.Add(foundAgain))
	if len(actions) == 0 || actions[0] != (Found{At: reflexive}) {
		t.Errorf("nothing is done after it has proven useless: %v", actions)
	}
	actions, _ = high.Step(Heard{Type: Ping, From: strange, Socket: 7}, begin)
	if want := []any{Keep{7}}; !slices.Equal(actions, want) {
		t.Errorf("the higher ID does %v, want %v", actions, want)
	}
	for range 3 {
		if actions, _ = high.Step(Heard{Type: Ping, From: strange, Socket: 7}, begin); len(actions) > 0 {
			t.Errorf("it is kept again: %v", actions)
		}
	}
}

// A ping in the name of an address that the other device never named is pinged
// back, and nothing more, until that is answered.
func TestUnnamed(t *testing.T) {
	third := netip.MustParseAddrPort("198.51.100.7:53")
	for _, socket := range []int{0, 7} {
		m := told(Config{Lower: true})
		pings, back, now := 0, 0, begin
		for ; now.Before(begin.Add(giveUp - time.Second)); now = now.Add(10 * time.Millisecond) {
			var event any
			if pings < 3 {
				pings++
				event = Heard{Type: Ping, From: third, Socket: socket}
			}
			actions, _ := m.Step(event, now)
			for _, a := range actions {
				if s, ok := a.(Send); ok && s.To.Addr() != third.Addr() {
					continue
				}
				back++
				if a != (Send{To: third, Socket: socket}) {
					t.Errorf("a ping from there is followed by %T%v", a, a)
				}
			}
		}
		if back == 0 || back > pings {
			t.Errorf("%d pings from there are followed by %d to there", pings, back)
		}
		actions, _ := m.Step(Heard{Type: Pong, From: third, Socket: socket}, now)
		if len(actions) == 0 || actions[0] != (Found{At: third, Socket: socket}) {
			t.Errorf("a pong from there is followed by %v", actions)
		}
	}
}

// A ping that comes through a hard NAT says nothing about the way back, so that
// the search for one goes on.
func TestOneWay(t *testing.T) {
	for _, lower := range []bool{false, true} {
		m := told(Config{Lower: lower, Local: wire.Nat_NAT_HARD})
		var did []any
		for _, after := range []time.Duration{100, 160, 240} {
			actions, _ := m.Step(Heard{Type: Ping, From: reflexive}, begin.Add(after*time.Millisecond))
			did = append(did, actions...)
		}
		if tries := slices.Contains(did, any(Try{reflexive})); tries != lower {
			t.Errorf("it tries to connect at once: %v", tries)
		}
		if actions, _ := m.Step(nil, begin.Add(crowdAfter)); !slices.Contains(actions, any(Open{crowdSockets})) {
			t.Errorf("nothing more is done: %v", actions)
		}
	}
}

// Birthday probing is for exactly one hard side, and bounded on both.
func TestCrowd(t *testing.T) {
	easy, hard := wire.Nat_NAT_EASY, wire.Nat_NAT_HARD
	for _, c := range []struct {
		local, remote wire.Nat
		opens         bool
		atLeast       int
		atMost        int
	}{
		{hard, easy, true, crowdSockets, crowdSockets + 60},
		{easy, hard, false, crowdGuesses, crowdGuesses + 60},
		{hard, hard, false, 1, 60}, {easy, easy, false, 1, 60}, {wire.Nat_NAT_NONE, hard, false, 1, 60},
		{hard, wire.Nat_NAT_NONE, false, 1, 60}, {hard, wire.Nat_NAT_BLOCKED, false, 1, 60},
	} {
		for _, answers := range []bool{false, true} {
			m := New(Config{Answers: answers, Local: c.local, TTL: 2, Pick: ports}, begin)
			did, sent, _ := drive(m, begin, Told{c.remote, all()})
			opens := slices.ContainsFunc(did, func(s string) bool { return s == fmt.Sprintf("250ms punch.Open{%d}", crowdSockets) })
			if opens != c.opens || sent < c.atLeast || sent > c.atMost {
				t.Errorf("%v to %v: opens %v, %d probes; want %v, %d to %d", c.local, c.remote, opens, sent, c.opens, c.atLeast, c.atMost)
			}
		}
	}
}

// The guesses of the easy side come after the openers of the hard one, and no
// more than a batch in one tick.
func TestCrowdPace(t *testing.T) {
	m := New(Config{Local: wire.Nat_NAT_EASY, Pick: ports}, begin)
	m.Step(Told{wire.Nat_NAT_HARD, all()}, begin)
	guesses, last := 0, time.Time{}
	for now := begin; now.Before(begin.Add(3 * time.Second)); now = now.Add(time.Millisecond) {
		actions, _ := m.Step(nil, now)
		n := 0
		for _, a := range actions {
			if s := a.(Send); s.To.Addr() == reflexive.Addr() && s.To != reflexive && s.To != mapped {
				n++
			}
		}
		if n > crowdBatch || n > 0 && now.Sub(begin) < crowdAfter+guessAfter || n > 0 && now.Sub(last) < crowdTick {
			t.Fatalf("%d guesses after %v", n, now.Sub(begin))
		}
		if n > 0 {
			guesses, last = guesses+n, now
		}
	}
	if guesses != crowdGuesses {
		t.Errorf("%d guesses", guesses)
	}
}

// The openers of a hard NAT wait for the distance that they have to go, but not
// for ever, and never go far without knowing it.
func TestCrowdIsPlaced(t *testing.T) {
	openers := func(place time.Duration) (first time.Duration, ttls map[int]int) {
		m := New(Config{Lower: true, Pick: ports}, begin)
		ttls = make(map[int]int)
		actions, wake := m.Step(Told{wire.Nat_NAT_EASY, all()}, begin)
		for now, placed := begin, false; !wake.IsZero(); actions, wake = m.Step(nil, now) {
			for i := 0; i < len(actions); i++ {
				switch a := actions[i].(type) {
				case Open:
					actions, wake = m.Step(Opened(a), now)
					i = -1
				case Send:
					if a.Socket > 0 {
						if len(ttls) == 0 {
							first = now.Sub(begin)
						}
						ttls[a.TTL]++
					}
				}
			}
			if now = wake; !placed && now.Sub(begin) >= place {
				now, placed = begin.Add(place), true
				m.Step(Placed{wire.Nat_NAT_HARD, 4}, now)
			}
		}
		return first, ttls
	}
	if first, ttls := openers(40 * time.Millisecond); first != crowdAfter+crowdTick || ttls[4] != crowdSockets || len(ttls) != 1 {
		t.Errorf("known before: openers after %v by TTL %v", first, ttls)
	}

	m := New(Config{Lower: true, Local: wire.Nat_NAT_HARD, Pick: ports}, begin)
	_, sent, _ := drive(m, begin, Told{wire.Nat_NAT_EASY, all()})
	if sent < crowdSockets {
		t.Errorf("%d probes where the distance is never known", sent)
	}
	m = New(Config{Lower: true, Local: wire.Nat_NAT_HARD, Pick: ports}, begin)
	m.Step(Told{wire.Nat_NAT_EASY, all()}, begin)
	at := begin.Add(crowdAfter)
	m.Step(nil, at)
	m.Step(Opened{crowdSockets}, at)
	sends := func(event any) (n, ttl int) {
		actions, _ := m.Step(event, at)
		for _, a := range actions {
			if s, ok := a.(Send); ok && s.Socket > 0 {
				n, ttl = n+1, s.TTL
			}
		}
		return n, ttl
	}
	at = at.Add(placeAfter - 1)
	if n, _ := sends(nil); n > 0 {
		t.Errorf("%d openers left before the distance was known", n)
	}
	if n, ttl := sends(Placed{wire.Nat_NAT_HARD, 3}); n != openBatch || ttl != 3 {
		t.Errorf("once it is known %d openers leave, of TTL %d", n, ttl)
	}
}

// An opener that didn't get past all NATs leaves again once it is known how far
// it has to go, and not again for less.
func TestOpenerIsPlaced(t *testing.T) {
	m := New(Config{Answers: true, Local: wire.Nat_NAT_EASY}, begin)
	actions, _ := m.Step(Told{wire.Nat_NAT_EASY, []Candidate{{wire.Candidate_KIND_REFLEXIVE, reflexive}}}, begin)
	if want := []any{Send{To: reflexive, TTL: defaultTTL}}; !slices.Equal(actions, want) {
		t.Errorf("at first %v", actions)
	}
	now := begin.Add(10 * time.Millisecond)
	for _, c := range []struct {
		ttl  int
		want []any
	}{{4, []any{Send{To: reflexive, TTL: 4}}}, {4, nil}, {3, nil}} {
		if actions, _ := m.Step(Placed{wire.Nat_NAT_EASY, c.ttl}, now); !slices.Equal(actions, c.want) {
			t.Errorf("placed by TTL %d: %v", c.ttl, actions)
		}
	}
}

// Who answers somebody without a NAT sends all the way at once: nobody there
// could be spoiled, and behind a hard NAT no probe of the other one gets in.
func TestNothingToSpoil(t *testing.T) {
	for remote, ttl := range map[wire.Nat]int{wire.Nat_NAT_NONE: 0, wire.Nat_NAT_EASY: 2} {
		m := New(Config{Answers: true, Local: wire.Nat_NAT_HARD, TTL: 2}, begin)
		public := Candidate{wire.Candidate_KIND_HOST, netip.MustParseAddrPort("203.0.113.7:5000")}
		actions, _ := m.Step(Told{remote, []Candidate{public}}, begin)
		if want := []any{Send{To: public.At, TTL: ttl}}; !slices.Equal(actions, want) {
			t.Errorf("%v is probed by %v", remote, actions)
		}
	}
}

// However many candidates a device names, and whatever it says, the probes are
// bounded.
func TestBudget(t *testing.T) {
	for _, local := range []wire.Nat{wire.Nat_NAT_UNSPECIFIED, wire.Nat_NAT_EASY, wire.Nat_NAT_HARD} {
		for _, remote := range []wire.Nat{wire.Nat_NAT_UNSPECIFIED, wire.Nat_NAT_EASY, wire.Nat_NAT_HARD, 77} {
			m := New(Config{Local: local, Pick: ports}, begin)
			var many []Candidate
			for i := range 1000 {
				many = append(many, Candidate{wire.Candidate_Kind(i % 5), netip.AddrPortFrom(reflexive.Addr(), uint16(i))})
			}
			_, sent, _ := drive(m, begin, Told{remote, many})
			if limit := crowdGuesses + crowdSockets + MaxCandidates*16; sent > limit {
				t.Errorf("%v to %v: %d probes, more than %d", local, remote, sent, limit)
			}
			if len(m.targets) > MaxCandidates {
				t.Errorf("%d candidates", len(m.targets))
			}
			if actions, wake := m.Step(Told{remote, many}, begin.Add(giveUp)); len(actions) > 0 || !wake.IsZero() {
				t.Errorf("it goes on after its end: %v, %v", actions, wake)
			}
		}
	}
}
