package storm

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

var publicServer = netip.MustParseAddrPort("198.51.100.1:13277")

// place is a kind of network that somebody may be in.
type place struct {
	name string
	nat  *hostnet.NATConfig // nil for none
	twin bool               // a NAT behind a NAT
}

var places = []place{
	{name: "none"},
	{name: "easy", nat: new(hostnet.EasyNAT())},
	{name: "hard", nat: new(hostnet.HardNAT())},
	{name: "open-input", nat: new(hostnet.OpenInputNAT())},
	{name: "full-cone", nat: new(hostnet.FullConeNAT())},
	{name: "blocked", nat: new(hostnet.BlockedNAT())},
	{name: "double", nat: new(hostnet.EasyNAT()), twin: true},
}

// spot is where a host was put.
type spot struct {
	host   hostnet.Net
	router *hostnet.Router // towards the world; nil if there is none
	pull   func(out bool)  // pulls the host's plug, and puts it back
}

// put puts a host into a place, the number of which tells two of them apart.
func (w *world) put(p place, number byte) spot {
	public := netip.AddrFrom4([4]byte{203, 0, 113, 10 * number})
	if p.nat == nil {
		return spot{host: w.sim.Host(public), pull: func(out bool) { w.sim.Down(public, out) }}
	}
	router := w.sim.NAT(public, *p.nat)
	inner := router
	if p.twin {
		inner = router.NAT(netip.AddrFrom4([4]byte{10, 0, number, 2}), *p.nat)
	}
	private := netip.AddrFrom4([4]byte{192, 168, number, 2})
	return spot{host: inner.Host(private), router: router, pull: func(out bool) { inner.Down(private, out) }}
}

// keys returns two keys, the one with the lower ID first.
func keys() []identity.Key {
	pair := []identity.Key{identity.NewKey(), identity.NewKey()}
	slices.SortFunc(pair, func(a, b identity.Key) int {
		x, y := a.Public().ID(), b.Public().ID()
		return bytes.Compare(x[:], y[:])
	})
	return pair
}

// hard says that a place's NAT has another port for every destination.
func (p place) hard() bool {
	return p.nat != nil && p.nat.Mapping != hostnet.EndpointIndependent && !p.nat.PreservePorts
}

// direct says whether two places can do without the relay.
func direct(a, b place) bool {
	for _, p := range []place{a, b} {
		if p.nat != nil && p.nat.BlockUDP {
			return false
		}
	}
	strict := func(p place) bool { return p.nat != nil && p.nat.Filtering != hostnet.FilterEndpointIndependent }
	return !(a.hard() && strict(b) && b.hard() && strict(a))
}

// Everybody reaches everybody: directly where theory allows it, and through the
// relay elsewhere.
func TestPaths(t *testing.T) {
	for _, a := range places {
		for _, b := range places {
			for _, lower := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s to %s lower=%v", a.name, b.name, lower), func(t *testing.T) {
					t.Parallel()
					inWorldAt(t, publicServer, func(w *world) { w.path(a, b, lower) })
				})
			}
		}
	}
}

func (w *world) path(a, b place, lower bool) {
	w.sim.Latency(20 * time.Millisecond)
	pair := keys()
	if !lower {
		pair[0], pair[1] = pair[1], pair[0]
	}
	ann, bo := w.person("Ann", w.put(a, 1).host, pair[0]), w.person("Bo", w.put(b, 2).host, pair[1])
	defer ann.stop()
	defer bo.stop()
	ann.sees(bo)
	bo.sees(ann)
	settle(5 * time.Second)
	took := w.wait("the first message", ann.send(bo, "one"), 15*time.Second, ann, bo)
	settle(10 * time.Second)
	back := w.wait("the answer", bo.send(ann, "two"), 15*time.Second, ann, bo)
	got := ann.route(bo)
	w.Logf("%s, %v and back %v", got, took, back)
	if want := direct(a, b); want != (got == p2p.RouteDirect || got == p2p.RoutePunched) {
		w.Errorf("it went %s\nAnn:\n%s\nBo:\n%s", got, ann.log.String(), bo.log.String())
	}
}
