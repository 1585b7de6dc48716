package secure

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// Whom a person wants nothing to do with is not told where this device is.
func TestOnlyTheAdmittedAreAnswered(t *testing.T) {
	for _, admitted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			sim := hostnet.NewSim()
			c := startCoordinator(t, sim)
			ann := newClient(t, sim, "10.0.0.2", "Ann")
			ann.online()
			bo := newClient(t, sim, "10.0.0.3", "Bo")
			var asked []string
			bo.AskBefore(func(p p2p.Person, device identity.PublicKey) bool {
				if len(p.Devices) != 1 || p.Devices[0].Key != device {
					t.Errorf("%v is asked about with the devices %v", device, p.Devices)
				}
				asked = append(asked, p.Name)
				return admitted
			})
			to := ann.came("Bo")
			// Without a word from the coordinator there is no way.
			sim.Loss(func(_, to netip.AddrPort, _ []byte) bool { return to.Port() != coordinatorAt.Port() })
			if err := ann.say(to, "hello"); !errors.Is(err, p2p.ErrUnreachable) {
				t.Errorf("it is said with %v", err)
			}
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if got := c.answers["Bo"] > 0; got != admitted {
				t.Errorf("admitted is %v, and there were %d answers", admitted, c.answers["Bo"])
			}
			if !slices.Contains(asked, "Ann") {
				t.Error("nobody was asked")
			}
		})
	}
}

// The loopback's addresses mean another computer to everybody else.
func TestLoopbackIsNotForStrangers(t *testing.T) {
	loopback, lan := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.2")
	at := func(addrs ...netip.Addr) (list []netip.AddrPort) {
		for _, a := range addrs {
			list = append(list, netip.AddrPortFrom(a, 0))
		}
		return list
	}
	for _, c := range []struct {
		local                netip.Addr
		host                 []netip.Addr
		announced, reachable []netip.AddrPort
	}{
		{lan, []netip.Addr{lan}, at(lan), at(lan)},
		{loopback, []netip.Addr{lan}, at(lan), at(loopback, lan)},
		{loopback, []netip.Addr{loopback}, at(loopback), at(loopback, lan)},
	} {
		tr := &Transport{cfg: Config{Net: hostnet.NewSim().Host(c.host[0])}, local: c.local}
		if got := tr.announced(); !slices.Equal(got, c.announced) {
			t.Errorf("from %v with %v it announces %v", c.local, c.host, got)
		}
		if got := tr.reachable(at(loopback, lan)); !slices.Equal(got, c.reachable) {
			t.Errorf("from %v it reaches %v", c.local, got)
		}
	}
}
