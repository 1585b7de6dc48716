package limit

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	l := NewRate(10, time.Second)
	now := time.Unix(1000, 0)
	count := func(a netip.Addr) (n int) {
		for range 100 {
			if l.Allow(a, now) {
				n++
			}
		}
		return n
	}
	if n := count(netip.MustParseAddr("10.0.1.1")); n != 10 {
		t.Errorf("%d of a burst of 10", n)
	}
	now = now.Add(500 * time.Millisecond)
	if n := count(netip.MustParseAddr("10.0.1.1")); n != 5 {
		t.Errorf("%d after half a second at 10", n)
	}
	for i := range 2 * maxSources {
		l.Allow(netip.AddrFrom4([4]byte{1, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(l.paces) > maxSources {
		t.Errorf("%d addresses are kept", len(l.paces))
	}
	now = now.Add(5 * time.Second)
	if n := count(netip.MustParseAddr("9.9.9.9")); n != 10 {
		t.Errorf("%d of a burst of 10, once the flood is over", n)
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if n := count(a) + count(b); n != 10 {
		t.Errorf("%d for two addresses of one /64", n)
	}
}

// Who may wait is admitted at the rate.
func TestPace(t *testing.T) {
	var p Pace
	now := time.Unix(1000, 0)
	for i := range 10 {
		want := max(0, time.Duration(i-4)*time.Second)
		if got := p.Wait(now, time.Second, 5*time.Second); got != want {
			t.Errorf("event %d waits %v, not %v", i, got, want)
		}
	}
	if p.Allow(now, time.Second, 5*time.Second) {
		t.Error("an event above the rate was admitted")
	}
	if !p.Allow(now.Add(6*time.Second), time.Second, 5*time.Second) {
		t.Error("an event within the rate was not admitted")
	}
}

func TestSetDefaults(t *testing.T) {
	family := errors.New("family")
	zero, set, negative := 0, 7, -1
	if err := SetDefaults(family, Default{"Zero", &zero, 3}, Default{"Set", &set, 3}); err != nil || zero != 3 || set != 7 {
		t.Errorf("got %d and %d, %v", zero, set, err)
	}
	if err := SetDefaults(family, Default{"Negative", &negative, 3}); !errors.Is(err, family) {
		t.Errorf("got %v", err)
	}
}
