//go:build linux

package natlab

import (
	"fmt"
	"strings"
)

// mapping is how a NAT gives addresses to what leaves (RFC 4787, 4.1).
type mapping int

const (
	noNAT mapping = iota
	endpointIndependent
	addressAndPortDependent
)

// kind is a kind of network that a client may be in.
type kind struct {
	name, says string
	nat        mapping
	// openInput: the router takes packets that nobody asked for, for itself,
	// and remembers them as flows. fullCone: it passes all UDP on to the host.
	openInput, fullCone bool
	noUDP, onlyHTTPS    bool
	double              bool // the same again inside
	upnp                bool // opens ports at the client's wish
	ipv6, noIPv4        bool
}

var (
	none    = kind{name: "none", says: "a public address and no firewall"}
	easy    = kind{name: "easy", says: "keeps the port, for all destinations the same; lets answers in only: a usual home router", nat: endpointIndependent}
	hard    = kind{name: "hard", says: "another random port for every destination (\"symmetric\"); lets answers in only", nat: addressAndPortDependent}
	open    = kind{name: "open-input", says: "as easy, but the router itself takes packets that nobody asked for", nat: endpointIndependent, openInput: true}
	cone    = kind{name: "full-cone", says: "as easy, but whatever comes by UDP is passed on to the host", nat: endpointIndependent, fullCone: true}
	blocked = kind{name: "udp-blocked", says: "as easy, without UDP", nat: endpointIndependent, noUDP: true}
	twice   = kind{name: "double", says: "easy behind easy, as behind a provider's NAT", nat: endpointIndependent, double: true}
	six     = kind{name: "ipv6-only", says: "no IPv4 at all; a firewall that lets answers in only", ipv6: true, noIPv4: true}
	dual    = kind{name: "dual-stack", says: "IPv4 as easy, IPv6 as ipv6-only", nat: endpointIndependent, ipv6: true}
	mapped  = kind{name: "upnp", says: "as easy, and opens ports at the client's wish (miniupnpd: UPnP, NAT-PMP, PCP)", nat: endpointIndependent, upnp: true}
	https   = kind{name: "https-only", says: "nothing but TCP port 443 gets out", nat: endpointIndependent, noUDP: true, onlyHTTPS: true}
)

// kinds are all of them.
var kinds = []kind{none, easy, hard, open, cone, blocked, twice, six, dual, mapped, https}

func (k kind) ipv4() bool { return !k.noIPv4 }

// punchable says whether theory has a direct path between two kinds.
func punchable(a, b kind) bool {
	switch {
	case a.noUDP || b.noUDP:
		return false
	case a.ipv6 && b.ipv6:
		return true
	case a.noIPv4 || b.noIPv4:
		return false
	}
	return a.nat != addressAndPortDependent || b.nat != addressAndPortDependent
}

// rules are a router's between the devices lan and wan, as a script of nft.
// The chains "event" are for what tests let happen later.
func (k kind) rules(s *side) string {
	source, pre, forward, input := "masquerade", "", "", "iif wan ct state new drop"
	if k.nat == addressAndPortDependent {
		source = "masquerade fully-random"
	}
	if k.openInput {
		input = "accept"
	}
	if k.fullCone {
		pre = "iif wan meta l4proto udp dnat to " + s.address
	}
	if k.noUDP {
		forward = "oif wan meta l4proto udp drop" // what stays inside is not the router's, though some kernels show it
	}
	if k.onlyHTTPS {
		forward = "oif wan meta l4proto != tcp drop\n oif wan tcp dport != 443 drop"
	}
	return fmt.Sprintf(`
table ip lab {
  chain event_nat {
  }
  chain post {
    type nat hook postrouting priority 100
    oif wan jump event_nat
    oif wan %s
  }
  chain pre {
    type nat hook prerouting priority -100
    %s
  }
  chain in {
    type filter hook input priority 0
    %s
  }
  chain event {
  }
  chain through {
    type filter hook forward priority 0
    jump event
    %s
    iif wan ct state established,related accept
    iif wan ct status dnat accept
    iif wan drop
  }
}
`, source, pre, input, forward)
}

// firewall6 is the IPv6 side of a router.
const firewall6 = `
table ip6 lab {
  chain event {
  }
  chain in {
    type filter hook input priority 0
    iif wan ct state established,related accept
    iif wan meta l4proto ipv6-icmp accept
    iif wan drop
  }
  chain through {
    type filter hook forward priority 0
    jump event
    iif wan ct state established,related accept
    iif wan drop
  }
}
`

// probeCounter counts the probes that a host sends: 68 bytes that begin with
// 1d 'E' 'P' 01. Those with a low TTL, which get nowhere, count as well.
const probeCounter = `
table inet count {
  counter probes {
  }
  chain out {
    type filter hook output priority 0
    udp length 76 @th,64,32 0x1d455001 counter name "probes"
  }
}
`

// rebind lets the NAT of a side give other ports to everything, as when it has
// restarted: what it had given is forgotten. None is a port that a host takes by
// itself, or one that it had before.
func (s *side) rebind() {
	s.lab.t.Helper()
	if s.kind.nat != addressAndPortDependent { // which gives other ports anyway
		s.rebound++
		first := 6000 + 2000*s.rebound
		s.lab.nft(s.edge, fmt.Sprintf("flush chain ip lab event_nat\nadd rule ip lab event_nat meta l4proto udp masquerade to :%d-%d\n",
			first, first+1999))
	}
	s.forget()
}

// readdress lets the side have another public address from now on.
func (s *side) readdress() {
	s.lab.t.Helper()
	s.readdressed++
	how := "snat to " + s.public4(10+s.readdressed%2)
	if s.kind.nat == addressAndPortDependent {
		how += " fully-random"
	}
	s.lab.nft(s.edge, "flush chain ip lab event_nat\nadd rule ip lab event_nat "+how+"\n")
	s.forget()
}

// forget flushes what the NAT of a side knows of flows.
func (s *side) forget() {
	s.lab.t.Helper()
	s.lab.must(s.lab.command(s.edge, "conntrack", "-F"))
}

// udp lets UDP through a side's router, or not.
func (s *side) udp(through bool) {
	s.lab.t.Helper()
	var script strings.Builder
	for _, family := range []string{"ip", "ip6"} {
		if family == "ip" && !s.kind.ipv4() || family == "ip6" && !s.kind.ipv6 {
			continue
		}
		fmt.Fprintf(&script, "flush chain %s lab event\n", family)
		if !through {
			fmt.Fprintf(&script, "add rule %s lab event meta l4proto udp drop\n", family)
		}
	}
	s.lab.nft(s.edge, script.String())
}
