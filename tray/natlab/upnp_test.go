//go:build linux

package natlab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
)

// startUPnP has a side's router open ports at the client's wish, by every
// protocol.
func (l *lab) startUPnP(s *side) {
	l.t.Helper()
	l.startMiniupnpd(s.edge, s.public4(10), true, true)
}

// startMiniupnpd starts it on a router with an external address, which it sees
// for itself if that is empty, and with the chains that it wants. Debian keeps its nftables flavour in the package
// miniupnpd-nftables.
func (l *lab) startMiniupnpd(router, external string, upnp, natpmp bool) *process {
	l.t.Helper()
	l.nft(router, `
table inet filter {
  chain miniupnpd {
  }
  chain forward {
    type filter hook forward priority -10
    jump miniupnpd
  }
  chain prerouting_miniupnpd {
  }
  chain prerouting {
    type nat hook prerouting priority -110
    jump prerouting_miniupnpd
  }
  chain postrouting_miniupnpd {
  }
  chain postrouting {
    type nat hook postrouting priority 90
    jump postrouting_miniupnpd
  }
}
`)
	yes := map[bool]string{true: "yes", false: "no"}
	dir := l.t.TempDir()
	config := filepath.Join(dir, "miniupnpd.conf")
	if external != "" {
		external = "ext_ip=" + external + "\n"
	}
	text := fmt.Sprintf("ext_ifname=wan\n%slistening_ip=lan\nipv6_disable=yes\nenable_upnp=%s\nenable_natpmp=%s\n"+
		"secure_mode=yes\nuuid=039a5d1c-e98d-4766-b40b-71d4ca0ffc20\nallow 1024-65535 %s.0/24 1024-65535\n",
		external, yes[upnp], yes[natpmp], inside)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.start("miniupnpd of "+router, l.command(router, "miniupnpd", "-d", "-f", config, "-P", filepath.Join(dir, "pid")))
}

// ports are what a router has opened: a line of nft for each.
func (l *lab) ports(router string) (rules []string) {
	l.t.Helper()
	for line := range strings.Lines(l.must(l.command(router, "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"))) {
		if strings.Contains(line, "dnat") {
			rules = append(rules, strings.TrimSpace(line))
		}
	}
	return rules
}

// logged returns the attributes of the last line with a message in the client's
// log; nil if there is none.
func (k *client) logged(message string) map[string]string {
	var value map[string]string
	for line := range strings.Lines(k.log()) {
		if !strings.Contains(line, `msg="`+message+`"`) {
			continue
		}
		value = make(map[string]string)
		for _, m := range attribute.FindAllStringSubmatch(line, -1) {
			value[m[1]] = strings.Trim(m[2], `"`)
		}
	}
	return value
}

const (
	portOpen   = "a port is open on the router"
	portClosed = "no port is open on the router"
)

// A real router opens a port by each protocol; somebody behind a hard NAT comes
// in by it, at once and without a search; and the router has closed it once the
// client has ended.
func TestRouterOpensPort(t *testing.T) {
	Need(t, "miniupnpd")
	for _, c := range []struct {
		name         string
		behind       kind
		upnp, natpmp bool
		by           []string
	}{
		{"UPnP", easy, true, false, []string{"UPnP"}},
		{"NAT-PMP and PCP", easy, false, true, []string{"NAT-PMP", "PCP"}},
		{"all", easy, true, true, []string{"NAT-PMP", "PCP", "UPnP"}},
		// Without the port theory has no direct path here.
		{"hard and hard", hard, true, true, []string{"NAT-PMP", "PCP", "UPnP"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer enter()()
			l := newLab(t, c.behind, hard, options{})
			l.startMiniupnpd(l.a.edge, l.a.public4(10), c.upnp, c.natpmp)
			l.startCoordinator()
			ann, bo := l.a.startClient("Ann"), l.b.startClient("Bo")
			took := l.eventually("the router opens a port", func() bool { return ann.logged(portOpen) != nil })
			open := ann.logged(portOpen)
			if by := strings.Join(c.by, " "); !strings.Contains(by, open["by"]) {
				t.Errorf("the port was opened by %q", open["by"])
			}
			rules := l.ports(l.a.edge)
			if len(rules) != 1 || !strings.Contains(rules[0], l.a.address) {
				t.Fatalf("the router has opened %q", rules)
			}
			if !strings.HasPrefix(open["at"], l.a.public4(10)+":") {
				t.Errorf("the port is at %q", open["at"])
			}
			ann.waitOnline(bo.name)
			bo.waitOnline(ann.name)
			before := l.traffic()
			clicked := bo.say(ann.name, "hello").at
			delivered := bo.waitMessage("hello", chat.Delivered, chat.Read).at.Sub(clicked)
			within(settled, func() bool {
				paths := bo.paths(ann.name)
				return len(paths) > 0 && direct(paths[len(paths)-1].route)
			})
			paths := bo.paths(ann.name)
			if len(paths) == 0 || paths[len(paths)-1].route != "direct" || paths[len(paths)-1].at.Sub(clicked) > quickly {
				t.Errorf("the paths are %+v", paths)
			}
			cost := l.traffic().minus(before)
			t.Logf("a port by %s %v after the login at %s; delivered in %v, %+v, %d bytes, %d probes", open["by"], took.Round(time.Millisecond),
				open["at"], delivered.Round(time.Millisecond), paths, cost.bytes, cost.probes)
			if cost.probes > 60 {
				t.Errorf("%d probes were needed", cost.probes)
			}
			ann.term(t)
			if rules := l.ports(l.a.edge); len(rules) != 0 {
				t.Errorf("the client has ended, and the router still has %q", rules)
			}
		})
	}
}

// A router that is behind another one opens ports in vain: that is said, and
// the port is given back.
func TestRouterBehindRouter(t *testing.T) {
	Need(t, "miniupnpd")
	t.Parallel()
	defer enter()()
	l := newLab(t, twice, easy, options{})
	inner := l.prefix + "inner-a"
	l.startMiniupnpd(inner, "", true, true) // it takes no private address from its configuration
	l.startCoordinator()
	ann := l.a.startClient("Ann")
	l.eventually("the client says why there is no port", func() bool {
		reason := ann.logged(portClosed)["reason"]
		return reason == "double-nat" || reason == "no-address" // as the router says it
	})
	t.Logf("the client says %v", ann.logged(portClosed))
	if rules := l.ports(inner); len(rules) != 0 {
		t.Errorf("the router still has %q", rules)
	}
	if ann.logged(portOpen) != nil {
		t.Error("the port counts as open")
	}
	ann.term(t)
}

// Who doesn't want ports opened, or is on the coordinator's own network, leaves
// the router alone.
func TestRouterIsLeftAlone(t *testing.T) {
	Need(t, "miniupnpd")
	t.Run("switched off", func(t *testing.T) {
		t.Parallel()
		defer enter()()
		l := newLab(t, easy, none, options{})
		l.startMiniupnpd(l.a.edge, l.a.public4(10), true, true)
		l.nft(l.a.host, countAsked)
		l.startCoordinator()
		ann := l.a.startClient("Ann")
		l.eventually("the router opens a port", func() bool { return len(l.ports(l.a.edge)) == 1 })
		ann.term(t)
		if err := os.WriteFile(filepath.Join(ann.profile, "settings.toml"), []byte("keyring = 'off'\nport_mapping = 'off'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := l.asked(l.a.host)
		if before == 0 {
			t.Error("the router opened a port that nobody asked for")
		}
		ann.start()
		bo := l.b.startClient("Bo")
		ann.waitOnline(bo.name)
		ann.say(bo.name, "hello")
		ann.waitMessage("hello", chat.Delivered, chat.Read) // so much time has passed
		if n := l.asked(l.a.host); n != before {
			t.Errorf("the router was sent %d datagrams", n-before)
		}
	})
	t.Run("no NAT", func(t *testing.T) {
		t.Parallel()
		defer enter()()
		l := newLab(t, none, none, options{})
		l.nft(l.a.host, countAsked)
		l.startCoordinator()
		ann, bo := l.a.startClient("Ann"), l.b.startClient("Bo")
		ann.waitOnline(bo.name)
		ann.say(bo.name, "hello")
		ann.waitMessage("hello", chat.Delivered, chat.Read)
		l.eventually("the client knows that it needs no port", func() bool {
			return ann.logged(portClosed)["reason"] == "not-needed"
		})
		if n := l.asked(l.a.host); n != 0 {
			t.Errorf("routers were sent %d datagrams", n)
		}
	})
}

// countAsked counts what a host sends to routers: PCP, NAT-PMP and SSDP.
const countAsked = `
table inet asked {
  counter routers {
  }
  chain out {
    type filter hook output priority 0
    udp dport { 1900, 5351 } counter name "routers"
  }
}
`

func (l *lab) asked(host string) (n int) {
	l.t.Helper()
	out := l.must(l.command(host, "nft", "list", "counter", "inet", "asked", "routers"))
	_, after, _ := strings.Cut(out, "packets ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		l.t.Fatalf("nft printed %q: %v", out, err)
	}
	return n
}
