package kernelnat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/protocol/hostnet"

	"golang.org/x/sys/unix"
)

// watched is a host in a namespace of its own, whose link leads to another.
type watched struct {
	*testing.T
	host, other string
	news        chan hostnet.Change
}

func newWatched(t *testing.T) *watched {
	need(t, "ip")
	prefix := fmt.Sprintf("hnw%d", os.Getpid())
	w := &watched{T: t, host: prefix + "a", other: prefix + "b", news: make(chan hostnet.Change, 64)}
	t.Cleanup(func() {
		for _, ns := range []string{w.host, w.other} {
			_ = exec.Command("ip", "netns", "del", ns).Run() // it may not be there yet
		}
	})
	w.run("ip netns add HOST", "ip netns add OTHER",
		"ip -n HOST link set lo up",
		"ip -n HOST link add eth0 type veth peer name eth0 netns OTHER",
		"ip -n HOST link add spare type veth peer name spare netns OTHER",
		"ip -n OTHER link set eth0 up", "ip -n HOST link set eth0 up", "ip -n OTHER link set spare up", "ip -n HOST link set spare up",
		"ip -n HOST addr add 192.0.2.7/24 dev eth0",
		"ip -n HOST addr add 2001:db8::7/64 dev eth0 nodad valid_lft 3600 preferred_lft 3600",
		"ip -n HOST route add default via 192.0.2.1")
	net := &namespace{path: filepath.Join("/run/netns", w.host)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- net.Watch(ctx, func(c hostnet.Change) { w.news <- c }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// It has begun when it tells of something.
	for i := 0; ; i++ {
		w.run(fmt.Sprintf("ip -n HOST addr add 192.0.2.%d/24 dev eth0", 100+i))
		if w.told(200 * time.Millisecond) {
			break
		}
		if i == 50 {
			t.Fatal("it never tells of anything")
		}
	}
	w.quiet()
	return w
}

func (w *watched) run(lines ...string) {
	w.Helper()
	for _, line := range lines {
		line = strings.NewReplacer("HOST", w.host, "OTHER", w.other).Replace(line)
		if out, err := exec.CommandContext(w.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
			w.Fatalf("%s: %v: %s", line, err, out)
		}
	}
}

// told says whether something is told in time.
func (w *watched) told(within time.Duration) bool {
	select {
	case <-w.news:
		return true
	case <-time.After(within):
		return false
	}
}

// quiet waits until nothing more is told.
func (w *watched) quiet() {
	for w.told(200 * time.Millisecond) {
	}
}

// TestWatch changes a host's network in the ways of cables, DHCP and VPNs.
func TestWatch(t *testing.T) {
	w := newWatched(t)
	for _, c := range []struct {
		what  string
		lines []string
		told  bool
	}{
		{"an address comes", []string{"ip -n HOST addr add 10.8.0.2/24 dev spare"}, true},
		{"an address goes", []string{"ip -n HOST addr del 10.8.0.2/24 dev spare"}, true},
		{"an IPv6 address is good for longer", []string{"ip -n HOST addr change 2001:db8::7/64 dev eth0 valid_lft 7200 preferred_lft 7200"}, false},
		{"a link without an address comes and goes", []string{"ip -n HOST link add d1 type veth peer name d2; ip -n HOST link set d1 up; ip -n HOST link del d1"}, false},
		{"another way out", []string{"ip -n HOST route replace default via 192.0.2.2"}, true},
		{"a route to somewhere", []string{"ip -n HOST route add 198.51.100.0/24 via 192.0.2.9"}, false},
		{"the way out goes and comes back", []string{"ip -n HOST route del default; ip -n HOST route add default via 192.0.2.2"}, true},
		{"an IPv6 way out", []string{"ip -n HOST route add default via 2001:db8::1"}, true},
		{"the same way out, good for longer", []string{"ip -n HOST route replace default via 2001:db8::1 expires 600"}, false},
		{"the cable is pulled", []string{"ip -n OTHER link set eth0 down"}, true},
		{"the cable is put in", []string{"ip -n OTHER link set eth0 up"}, true},
		{"the same address again", []string{"ip -n HOST addr del 192.0.2.7/24 dev eth0; ip -n HOST addr add 192.0.2.7/24 dev eth0"}, true},
	} {
		w.run(c.lines...)
		patience := 5 * time.Second
		if !c.told {
			patience = 300 * time.Millisecond
		}
		if told := w.told(patience); told != c.told {
			t.Errorf("%s: told is %v", c.what, told)
		}
		w.quiet()
	}
}

// TestWatchClock sets the clock, to what it is: a kernel that wakes from sleep
// cancels the same timers.
func TestWatchClock(t *testing.T) {
	w := newWatched(t)
	var now unix.Timespec
	for range 2 {
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal("this test sets the clock and needs CAP_SYS_TIME: ", err)
		}
		select {
		case c := <-w.news:
			if c != hostnet.Woke {
				t.Errorf("a clock that is set is told as %q", c)
			}
		case <-time.After(5 * time.Second):
			t.Error("nothing is told when the clock is set")
		}
	}
}
