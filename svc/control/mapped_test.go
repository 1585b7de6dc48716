package control

import (
	"net/netip"
	"testing"

	"earshot/protocol/wire"
	"earshot/svc/limit"
	"earshot/svc/roster"
)

// A port that a router has opened is passed on if the device has been seen at
// the router's address, whatever port that was: the mapping's is another one
// than that of any datagram which the coordinator got. Nobody can be aimed at
// whose address the sender doesn't share anyway.
func TestMappedCandidates(t *testing.T) {
	c := &session{}
	for _, at := range []string{"11.0.10.10", "2a11:0:10::5"} {
		c.seen = append(c.seen, limit.Host(netip.MustParseAddr(at)))
	}
	for _, x := range []struct {
		at string
		ok bool
	}{
		{"11.0.10.10:40123", true},
		{"11.0.10.10:53", true},
		{"11.0.10.11:40123", false},
		{"[2a11:0:10::77]:40123", true}, // of the same host's /64
		{"[2a11:0:11::5]:40123", false},
		{"192.168.1.10:40123", true}, // leads out of nobody's network
		{"100.64.1.1:40123", true},
		{"169.254.1.1:40123", false},
		{"224.0.0.1:40123", false},
		{"255.255.255.255:40123", false},
	} {
		candidate := roster.Candidate{Kind: wire.Candidate_KIND_MAPPED, Address: netip.MustParseAddrPort(x.at)}
		if passed := len(c.own([]roster.Candidate{candidate})) == 1; passed != x.ok {
			t.Errorf("%s is passed on: %v", x.at, passed)
		}
		if len(c.onRoster([]roster.Candidate{candidate})) != 0 {
			t.Errorf("%s is told to everybody", x.at)
		}
	}
}
