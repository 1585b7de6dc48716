package stun

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v3"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"earshot/protocol/hostnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef0123456789abcdef"

// bed is a server and a client on a network.
type bed struct {
	*testing.T
	server              *Server
	main, second, third netip.AddrPort
	client              net.PacketConn
	at                  netip.AddrPort // of the client
	registry            *prometheus.Registry

	mu   sync.Mutex
	seen []string
}

// serve runs a server at addr, and a client at from, on these networks.
func serve(t *testing.T, theirs, ours hostnet.Net, addr, listen, from netip.Addr, configure ...func(*Config)) *bed {
	t.Helper()
	b := &bed{T: t, registry: prometheus.NewPedanticRegistry()}
	open := func(n hostnet.Net, a netip.Addr) net.PacketConn {
		c, err := n.ListenPacket(t.Context(), netip.AddrPortFrom(a, 0))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	port := func(c net.PacketConn) netip.AddrPort {
		return netip.AddrPortFrom(addr, hostnet.AddrPort(c.LocalAddr()).Port())
	}
	cfg := Config{Main: open(theirs, listen), Second: open(theirs, listen), Third: open(theirs, listen), Seen: b.note, Metrics: b.registry}
	b.main, b.second, b.third = port(cfg.Main), port(cfg.Second), port(cfg.Third)
	for _, c := range configure {
		c(&cfg)
	}
	var err error
	if b.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.client = open(ours, from)
	b.at = hostnet.AddrPort(b.client.LocalAddr())

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.server.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	running.Go(func() { // as the classic server does
		buf := make([]byte, 2048)
		for {
			n, at, err := cfg.Main.ReadFrom(buf)
			if err != nil {
				return
			}
			if Is(buf[:n]) {
				b.server.Handle(buf[:n], hostnet.AddrPort(at), time.Now())
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		if _, err := cfg.Main.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(b.at)); err != nil {
			t.Errorf("the main socket was closed: %v", err)
		}
		cfg.Main.Close()
		b.client.Close()
		running.Wait()
		if _, err := cfg.Second.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(b.at)); err == nil {
			t.Error("the second socket is still open")
		}
	})
	return b
}

func (b *bed) note(token string, at netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, token+" "+at.String())
}

// noted is who was seen since the last call.
func (b *bed) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.seen
	b.seen = nil
	return s
}

// ask sends a request and returns the answer, and where it came from; nil is
// none within a second.
func (b *bed) ask(to netip.AddrPort, setters ...stun.Setter) (*stun.Message, netip.AddrPort) {
	b.Helper()
	request := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, setters...)...)
	if _, err := b.client.WriteTo(request.Raw, net.UDPAddrFromAddrPort(to)); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 2048)
	_ = b.client.SetReadDeadline(time.Now().Add(time.Second))
	n, from, err := b.client.ReadFrom(buf)
	if err != nil {
		return nil, netip.AddrPort{}
	}
	answer := new(stun.Message)
	if err := stun.Decode(buf[:n], answer); err != nil {
		b.Fatal(err)
	}
	if answer.TransactionID != request.TransactionID {
		b.Fatal("an answer to another request")
	}
	if n > len(request.Raw) {
		b.Errorf("%d bytes answer %d", n, len(request.Raw))
	}
	return answer, hostnet.AddrPort(from)
}

// sees wants an answer that comes from via and says where the client is. It
// returns the cookie.
func (b *bed) sees(to, via netip.AddrPort, setters ...stun.Setter) stun.RawAttribute {
	b.Helper()
	answer, from := b.ask(to, setters...)
	if answer == nil {
		b.Fatalf("%v doesn't answer", to)
	}
	var at stun.XORMappedAddress
	if err := at.GetFrom(answer); err != nil {
		b.Fatalf("%v: %v", answer, err)
	}
	if at.String() != b.at.String() || from != via {
		b.Errorf("%v answers through %v that it sees %v, which is at %v", to, from, at, b.at)
	}
	c, _ := answer.Get(attrCookie)
	return stun.RawAttribute{Type: attrCookie, Value: slices.Clone(c)}
}

var (
	padding = stun.RawAttribute{Type: stun.AttrPadding, Value: make([]byte, 32)}
	other   = stun.RawAttribute{Type: stun.AttrChangeRequest, Value: []byte{0, 0, 0, changePort}}
)

// answers is what the server does on any network.
func answers(b *bed) {
	b.Helper()
	b.sees(b.main, b.main, padding)
	b.sees(b.second, b.second, padding, stun.Fingerprint)
	b.sees(b.main, b.third, padding, other)
	b.sees(b.second, b.third, padding, other)
	if got := b.noted(); len(got) != 0 {
		b.Errorf("seen was %v", got)
	}

	cookie := b.sees(b.main, b.main, stun.NewUsername(token), stun.Fingerprint)
	if len(cookie.Value) != len(Cookie{}) {
		b.Fatalf("the cookie is %x", cookie.Value)
	}
	if got := b.noted(); len(got) != 0 {
		b.Errorf("a source that may be forged made %v seen", got)
	}
	b.sees(b.second, b.second, stun.NewUsername(token), cookie, stun.Fingerprint)
	b.sees(b.main, b.third, stun.NewUsername(token), cookie, other)
	want := []string{token + " " + b.at.String(), token + " " + b.at.String()}
	if got := b.noted(); !slices.Equal(got, want) {
		b.Errorf("seen was %v, want %v", got, want)
	}
	// Somebody else's cookie shows nothing.
	b.sees(b.main, b.main, stun.NewUsername(strings.ToUpper(token)), cookie)
	if got := b.noted(); len(got) != 0 {
		b.Errorf("another's cookie made %v seen", got)
	}
}

func TestSim(t *testing.T) {
	for name, addrs := range map[string][2]string{
		"IPv4": {"192.0.2.1", "192.0.2.9"}, "IPv6": {"2001:db8::1", "2001:db8:0:1::9"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				sim.Latency(20 * time.Millisecond)
				server, client := netip.MustParseAddr(addrs[0]), netip.MustParseAddr(addrs[1])
				answers(serve(t, sim.Host(server), sim.Host(client), server, server, client))
			})
		})
	}
}

func TestOS(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	for name, listen := range map[string]netip.Addr{"IPv4": loopback, "both": netip.IPv6Unspecified()} {
		t.Run(name, func(t *testing.T) { answers(serve(t, hostnet.OS, hostnet.OS, loopback, listen, loopback)) })
	}
}

// Without a third port the two answer for each other.
func TestOtherPort(t *testing.T) {
	inSim(t, func(b *bed) {
		b.sees(b.main, b.second, padding, other)
		b.sees(b.second, b.main, padding, other)
	}, func(c *Config) { c.Third.Close(); c.Third = nil })
}

// Who can't be answered by less isn't.
func TestTooShort(t *testing.T) {
	inSim(t, func(b *bed) {
		for _, s := range [][]stun.Setter{
			nil, {stun.Fingerprint}, {stun.NewUsername("a")}, {other},
			{stun.RawAttribute{Type: 0x7fff}},
		} {
			if m, _ := b.ask(b.main, s...); m != nil {
				b.Errorf("%v is answered by %v", s, m)
			}
		}
		m, from := b.ask(b.second, other, padding, stun.RawAttribute{Type: 0x7ffe}, stun.NewUsername(token))
		var unknown stun.UnknownAttributes
		if err := m.Parse(&unknown); err != nil || m.Type != stun.BindingError || len(unknown) != 1 || unknown[0] != 0x7ffe || from != b.second {
			b.Errorf("an unknown attribute is answered by %v through %v, %v", m, from, err)
		}
		if n := b.metric("earshot_stun_dropped_total"); n != 5 {
			b.Errorf("%v were too short", n)
		}
	})
}

func TestRate(t *testing.T) {
	inSim(t, func(b *bed) {
		request := stun.MustBuild(stun.TransactionID, stun.BindingRequest, padding)
		from := netip.MustParseAddrPort("198.51.100.1:1")
		flood := func(n int, from netip.AddrPort) {
			for range n {
				b.server.Handle(request.Raw, from, time.Now())
			}
		}
		flood(3*perSecond, from)
		if n := b.metric("earshot_stun_answered_total"); n != 2*perSecond {
			b.Errorf("%v answers at once", n)
		}
		time.Sleep(time.Second)
		flood(3*perSecond, netip.AddrPortFrom(from.Addr(), 2)) // another port is no other host
		if n := b.metric("earshot_stun_answered_total"); n != 3*perSecond {
			b.Errorf("%v answers after a second", n)
		}
		b.sees(b.main, b.main, padding) // somebody else
	})
}

// A source that can't be one gets nothing.
func TestNoSource(t *testing.T) {
	inSim(t, func(b *bed) {
		request := stun.MustBuild(stun.TransactionID, stun.BindingRequest, padding)
		for _, from := range []netip.AddrPort{{}, netip.MustParseAddrPort("192.0.2.9:0"), netip.MustParseAddrPort("0.0.0.0:5"), netip.MustParseAddrPort("[::]:5")} {
			b.server.Handle(request.Raw, from, time.Now())
		}
		if n := b.metric("earshot_stun_answered_total"); n != 0 {
			b.Errorf("%v answers", n)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a server without sockets")
	}
	inSim(t, func(b *bed) {
		b.sees(b.main, b.main, padding)
		if n := b.metric("earshot_stun_answered_total"); n != 1 {
			b.Errorf("%v answers are counted", n)
		}
		if _, err := New(b.server.cfg); err == nil {
			b.Error("two servers have the same metrics")
		}
	})
}

// metric is the sum of a counter over its labels.
func (b *bed) metric(name string) (sum float64) {
	b.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// inSim runs a test in fake time.
func inSim(t *testing.T, test func(*bed), configure ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		server, client := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")
		test(serve(t, sim.Host(server), sim.Host(client), server, server, client, configure...))
	})
}
