package nat

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v3"

	"earshot/protocol/hostnet"
)

// coordinate answers on a socket of a network; what asks for another port is
// answered through third.
func coordinate(t *testing.T, c, third net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		m := new(stun.Message)
		if err := stun.Decode(buf[:n], m); err != nil {
			t.Errorf("the coordinator can't read %x: %v", buf[:n], err)
			continue
		}
		at, via := hostnet.AddrPort(from), c
		if m.Contains(stun.AttrChangeRequest) {
			via = third
		}
		answer := stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())}, stun.Fingerprint)
		_, _ = via.WriteTo(answer.Raw, from)
	}
}

// onNetwork returns an Asker on a socket of a host that has these addresses, and
// whose coordinator has those.
func onNetwork(t *testing.T, theirs, ours hostnet.Net, coordinator, local []netip.Addr) *Asker {
	t.Helper()
	var all []net.PacketConn
	open := func(n hostnet.Net, a netip.Addr) net.PacketConn {
		c, err := n.ListenPacket(context.Background(), netip.AddrPortFrom(a, 0))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		return c
	}
	var reading sync.WaitGroup
	var servers, own []netip.AddrPort
	for _, a := range coordinator {
		main, second, third := open(theirs, a), open(theirs, a), open(theirs, a)
		for _, c := range []net.PacketConn{main, second} {
			servers = append(servers, hostnet.AddrPort(c.LocalAddr()))
			reading.Go(func() { coordinate(t, c, third) })
		}
	}
	peer := open(ours, netip.IPv6Unspecified())
	for _, a := range local {
		own = append(own, netip.AddrPortFrom(a, hostnet.AddrPort(peer.LocalAddr()).Port()))
	}
	a := New(Config{
		Write:   func(b []byte, to netip.AddrPort, ttl int) error { return hostnet.WriteTTL(peer, b, to, ttl) },
		Servers: func() []netip.AddrPort { return servers },
		Token:   func() string { return "" },
		Local:   func() []netip.AddrPort { return own },
	})
	reading.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := peer.ReadFrom(buf)
			if err != nil {
				return
			}
			if !a.Packet(buf[:n], hostnet.AddrPort(from)) {
				t.Errorf("%x is taken for something else", buf[:n])
			}
		}
	})
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
		reading.Wait()
	})
	return a
}

// What a NAT does, and what is found out, on a network with real NATs in memory.
func TestNATs(t *testing.T) {
	addressDependent := hostnet.NATConfig{Mapping: hostnet.AddressDependent, Filtering: hostnet.FilterAddress}
	for name, c := range map[string]struct {
		nats      []hostnet.NATConfig // from the outermost on
		kind      Kind
		filtering Filtering
		hops      uint8
	}{
		"none":              {nil, None, Open, 1},
		"easy":              {[]hostnet.NATConfig{hostnet.EasyNAT()}, Easy, Restricted, 1},
		"hard":              {[]hostnet.NATConfig{hostnet.HardNAT()}, Hard, Restricted, 1},
		"open input":        {[]hostnet.NATConfig{hostnet.OpenInputNAT()}, Easy, Restricted, 1},
		"full cone":         {[]hostnet.NATConfig{hostnet.FullConeNAT()}, Easy, Open, 1},
		"blocked":           {[]hostnet.NATConfig{hostnet.BlockedNAT()}, Blocked, FilteringUnknown, 0},
		"address-dependent": {[]hostnet.NATConfig{addressDependent}, Easy, Open, 1}, // as one address can't tell
		"two":               {[]hostnet.NATConfig{hostnet.EasyNAT(), hostnet.EasyNAT()}, Easy, Restricted, 2},
		"easy behind hard":  {[]hostnet.NATConfig{hostnet.HardNAT(), hostnet.FullConeNAT()}, Hard, Restricted, 2},
		"hard behind easy":  {[]hostnet.NATConfig{hostnet.FullConeNAT(), hostnet.HardNAT()}, Hard, Restricted, 2},
		"three":             {[]hostnet.NATConfig{hostnet.EasyNAT(), hostnet.EasyNAT(), hostnet.EasyNAT()}, Easy, Restricted, 3},
		"four":              {[]hostnet.NATConfig{hostnet.EasyNAT(), hostnet.EasyNAT(), hostnet.EasyNAT(), hostnet.EasyNAT()}, Easy, Restricted, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				sim.Latency(25 * time.Millisecond)
				server, public := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("198.51.100.1")
				theirs := sim.Host(server)
				network, local := &sim.Network, public
				for i, cfg := range c.nats {
					network = &network.NAT(local, cfg).Network
					local = netip.AddrFrom4([4]byte{10, 0, byte(i), 9})
				}
				a := onNetwork(t, theirs, network.Host(local), []netip.Addr{server}, []netip.Addr{local})
				r, err := a.Ask(t.Context(), true)
				if err != nil {
					t.Fatal(err)
				}
				at := public
				if c.kind == Blocked {
					at = netip.Addr{}
				}
				if r.Kind != c.kind || r.Filtering != c.filtering || r.Hops != c.hops || r.V4.Addr() != at || r.V6.IsValid() {
					t.Errorf("the report is %+v", r)
				}
			})
		})
	}
}

// Both families, each on its own: a NAT for one, a firewall for the other.
func TestDualStack(t *testing.T) {
	for name, c := range map[string]struct {
		cfg       hostnet.NATConfig
		without   int // that of the coordinator's addresses which nobody reads; -1 is none
		kind      Kind
		filtering Filtering
	}{
		"easy":    {hostnet.EasyNAT(), -1, Easy, Restricted},
		"hard":    {hostnet.HardNAT(), -1, Hard, Restricted},
		"open":    {hostnet.NATConfig{}, -1, Easy, Open},
		"no IPv4": {hostnet.EasyNAT(), 0, None, Restricted},
		"no IPv6": {hostnet.EasyNAT(), 1, Easy, Restricted},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				sim.Latency(25 * time.Millisecond)
				servers := []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")}
				public := netip.MustParseAddr("198.51.100.1")
				local := []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8:1::9")}
				sim.Loss(func(_, to netip.AddrPort, _ []byte) bool { return c.without >= 0 && to.Addr() == servers[c.without] })
				theirs := sim.Host(servers[0], servers[1])
				ours := sim.NAT(public, c.cfg).Host(local[0], local[1])
				r, err := onNetwork(t, theirs, ours, servers, local).Ask(t.Context(), true)
				if err != nil {
					t.Fatal(err)
				}
				v4, v6 := public, local[1]
				switch c.without {
				case 0:
					v4 = netip.Addr{}
				case 1:
					v6 = netip.Addr{}
				}
				if r.Kind != c.kind || r.Filtering != c.filtering || r.V4.Addr() != v4 || r.V6.Addr() != v6 {
					t.Errorf("the report is %+v", r)
				}
			})
		})
	}
}

// The NAT starts anew while somebody asks, and the next asking sees it.
func TestRebinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(25 * time.Millisecond)
		server, local := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("10.0.0.9")
		router := sim.NAT(netip.MustParseAddr("198.51.100.1"), hostnet.EasyNAT())
		a := onNetwork(t, sim.Host(server), router.Host(local), []netip.Addr{server}, []netip.Addr{local})
		before, err := a.Ask(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		router.Rebind()
		after, err := a.Ask(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if before.Kind != Easy || after.Kind != Easy || before.V4 == after.V4 {
			t.Errorf("the reports are %+v and %+v", before, after)
		}
	})
}

// The operating system's sockets, with a TTL as they have it.
func TestOS(t *testing.T) {
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	a := onNetwork(t, hostnet.OS, hostnet.OS, loopback, loopback)
	r, err := a.Ask(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != None || r.Filtering != Open || r.Hops != 1 || r.V4.Addr() != loopback[0] || r.RTT <= 0 {
		t.Errorf("the report is %+v", r)
	}
}
