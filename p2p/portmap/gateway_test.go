package portmap

import (
	"net/netip"
	"testing"
)

// The system's table of routes is read; nothing is sent for that. What it says
// depends on the computer, but it says something or an error with a reason.
func TestRoute(t *testing.T) {
	m := New(Config{Outside: func() Outside { return Outside{} }})
	for _, toward := range []string{"11.0.0.1", "192.168.77.1", "127.0.0.1"} {
		at := netip.MustParseAddr(toward)
		gateway, local, err := route(at)
		t.Logf("to %v: from %v by %v: %v", at, local, gateway, err)
		switch {
		case err != nil && ReasonOf(err) != ErrNoGateway:
			t.Errorf("to %v: %v", at, err)
		case err == nil && !local.Is4():
			t.Errorf("to %v it is from %v by %v", at, local, gateway)
		}
		p, err := m.find(at)
		if err == nil && (!usable(p.gateway) || !usable(p.local)) || err != nil && ReasonOf(err) != ErrNoGateway {
			t.Errorf("for %v, %v is asked: %v", at, p, err)
		}
	}
	if _, err := m.find(netip.MustParseAddr("127.0.0.1")); err == nil {
		t.Error("there is a router on the way to this computer")
	}
}
