//go:build linux

package natlab

import (
	"fmt"
	"os"
	"path/filepath"
)

// startUPnP starts miniupnpd on a side's router, with the chains that it wants.
// Debian keeps its nftables flavour in the package miniupnpd-nftables.
func (l *lab) startUPnP(s *side) {
	l.t.Helper()
	l.nft(s.edge, `
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
	dir := l.t.TempDir()
	config := filepath.Join(dir, "miniupnpd.conf")
	text := fmt.Sprintf("ext_ifname=wan\next_ip=%s\nlistening_ip=lan\nipv6_disable=yes\nenable_natpmp=yes\nenable_upnp=yes\n"+
		"secure_mode=yes\nuuid=039a5d1c-e98d-4766-b40b-71d4ca0ffc%02d\nallow 1024-65535 %s.0/24 1024-65535\n", s.public4(10), s.net, inside)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.start("miniupnpd of "+s.letter, l.command(s.edge, "miniupnpd", "-d", "-f", config, "-P", filepath.Join(dir, "pid")))
}
