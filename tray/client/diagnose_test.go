package client_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/client"
)

// examined is a network that can tell about itself.
type examined struct {
	p2p.Transport
	found  p2p.Network
	routes map[identity.PublicKey]p2p.Route
}

func (e *examined) Examine(context.Context) (p2p.Network, error) { return e.found, nil }

func (e *examined) Try(_ context.Context, device identity.PublicKey) (p2p.Route, error) {
	route, ok := e.routes[device]
	if !ok {
		return p2p.RouteNone, p2p.ErrNotConnected
	}
	return route, nil
}

// Who is online is tried on all devices, and the best way counts; why others are
// not is said.
func TestDiagnose(t *testing.T) {
	bo, boPhone, cho, eve := identity.NewKey(), identity.NewKey(), identity.NewKey(), identity.NewKey()
	way := &examined{
		found: p2p.Network{NAT: "easy", Firewall: "restricted", Checks: []p2p.Check{{What: "tcp", OK: true, Took: 3 * time.Millisecond}, {What: "web", Why: "transport: no answer: Nobody there."}}},
		routes: map[identity.PublicKey]p2p.Route{
			bo.Public(): p2p.RouteRelayed, boPhone.Public(): p2p.RoutePunched, cho.Public(): p2p.RouteNone,
		},
	}
	r := newRig(t, filepath.Join(t.TempDir(), "h.db"), func(c *client.Config) {
		way.Transport = c.Transport
		c.Transport = way
	})
	r.net.events <- p2p.Connected{
		Server: "coordinator", Secure: true, Self: p2p.Person{Name: "Me"},
		Roster: []p2p.Person{{Name: "Bo", Devices: devices(bo, boPhone)}, {Name: "Cho", Devices: devices(cho)}, who("Dee")},
	}
	r.awaitType(chat.EventRoster)
	// Somebody comes with a device that nobody vouches for.
	r.net.events <- p2p.Came{Person: p2p.Person{Name: "Cho", Devices: devices(cho, eve)}}
	r.awaitType(chat.EventPerson)

	d, err := r.Diagnose(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.Protocol != chat.ProtocolSecure || d.NAT != "easy" || len(d.Checks) != 2 || d.Checks[0].Milliseconds != 3 || d.Checks[1].Why != "Nobody there." {
		t.Errorf("%+v", d)
	}
	got := make(map[string]chat.Reach)
	for _, reach := range d.People {
		reach.Milliseconds = 0
		got[reach.Name] = reach
	}
	for name, want := range map[string]chat.Reach{
		"Bo": {Name: "Bo", Route: chat.RoutePunched}, "Cho": {Name: "Cho", Skip: chat.SkipBlocked}, "Dee": {Name: "Dee", Skip: chat.SkipClassic},
	} {
		if got[name] != want {
			t.Errorf("%s is %+v, want %+v", name, got[name], want)
		}
	}
	if _, err := r.Diagnose(t.Context(), []string{"Nobody"}); err == nil {
		t.Error("somebody unknown is diagnosed")
	}
	if d, err = r.Diagnose(t.Context(), []string{"bo"}); err != nil || len(d.People) != 1 {
		t.Errorf("just Bo: %+v, %v", d.People, err)
	}

	// How somebody is reached shows on the roster, and why nobody is any more.
	reach := func(e p2p.Reached) chat.Person {
		t.Helper()
		r.net.events <- e
		return *r.awaitType(chat.EventPerson).Person
	}
	if p := reach(p2p.Reached{Name: "Bo", Device: bo.Public(), Route: p2p.RouteRelayed}); p.Route != chat.RouteRelayed || !p.Connected {
		t.Errorf("relayed: %+v", p)
	}
	if p := reach(p2p.Reached{Name: "Bo", Device: boPhone.Public(), Route: p2p.RouteDirect}); p.Route != chat.RouteDirect {
		t.Errorf("the best way is %+v", p)
	}
	reach(p2p.Reached{Name: "Bo", Device: boPhone.Public()})
	if p := reach(p2p.Reached{Name: "Bo", Device: bo.Public(), Why: "timeout"}); p.Connected || p.Unreachable == "" {
		t.Errorf("lost: %+v", p)
	}
}
