package coordinator

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// run runs a coordinator on real sockets until the test ends.
func run(t *testing.T, cfg Config) *Coordinator {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	select {
	case <-c.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

// The whole on real sockets: people come, see each other, and go; the
// coordinator finds itself healthy, and counts.
func TestRealSockets(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := run(t, Config{Listen: loopback, Metrics: registry})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Healthy(ctx); err != nil {
		t.Error(err)
	}
	ann := classictest.NewClient(hostnet.OS, "Ann", classictest.DotNet, c.Addrs().UDP)
	bo := classictest.NewClient(hostnet.OS, "波", classictest.GBPort, c.Addrs().UDP, classictest.HoldConnection())
	defer ann.Crash()
	defer bo.Crash()
	for _, client := range []*classictest.Client{ann, bo} {
		if err := client.Login(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := ann.WaitForNames(ctx, "Ann", "波"); err != nil {
		t.Error(err)
	}
	bo.Crash() // its port is closed: no word, but an answer to the next probe
	if err := ann.WaitForNames(ctx, "Ann"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "earshot_users_online" {
			online := 0.0
			for _, m := range f.GetMetric() {
				online += m.GetGauge().GetValue()
			}
			if online != 1 {
				t.Errorf("the metric says %v users online", online)
			}
			return
		}
	}
	t.Error("no metric of users online")
}

// Whoever connects to the main TCP port learns what it is.
func TestGreeting(t *testing.T) {
	c := run(t, Config{Listen: loopback})
	conn, err := net.Dial("tcp", c.Addrs().TCP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "This is Earshot's coordinator. ") {
		t.Errorf("got %q, %v", text, err)
	}
}

// A taken port is named, with its protocol, whichever of the four it is.
func TestPortTaken(t *testing.T) {
	for i, protocol := range []string{"UDP", "TCP", "TCP", "TCP"} {
		first := run(t, Config{Listen: loopback}).Addrs().UDP
		listen := netip.AddrPortFrom(first.Addr(), first.Port())
		if i > 0 {
			// Only the last i-1 ports of the second are the first's first ones.
			listen = netip.AddrPortFrom(first.Addr(), first.Port()+1-uint16(i))
			probe, err := net.ListenPacket("udp", listen.String())
			if i == 1 || err != nil {
				if probe != nil {
					probe.Close()
				}
				continue // UDP is refused first, or somebody else has the port
			}
			probe.Close()
		}
		second, err := New(Config{Listen: listen})
		if err != nil {
			t.Fatal(err)
		}
		err = second.Run(t.Context())
		if !errors.Is(err, ErrPortTaken) {
			t.Fatalf("with its port taken Run returned %v", err)
		}
		for _, want := range []string{protocol, "127.0.0.1", strconv.Itoa(int(first.Port()))} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not name %s", err, want)
			}
		}
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no address":        {},
		"no room for lists": {Listen: netip.MustParseAddrPort("127.0.0.1:65534")},
		"negative limit":    {Listen: loopback, Limits: Limits{MaxUsers: -1}},
		"no network":        {Listen: loopback, TrustedNetworks: []netip.Prefix{{}}},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Before its ports are open, a coordinator is not healthy.
func TestUnhealthy(t *testing.T) {
	c, err := New(Config{Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Healthy(t.Context()); !errors.Is(err, ErrUnhealthy) {
		t.Errorf("got %v", err)
	}
}
