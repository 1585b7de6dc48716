package classic

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	wire "earshot/protocol/classic"
	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
	"earshot/svc/roster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lan is a coordinator at 10.0.0.1 and a simulated network round it.
type lan struct {
	*testing.T
	sim    *hostnet.Sim
	roster *roster.Roster
	server *Server
	stop   func() error
}

const mainPort = 13277

var (
	serverAddr = netip.MustParseAddr("10.0.0.1")
	serverPort = netip.AddrPortFrom(serverAddr, mainPort)
)

// inLAN runs a test in fake time, and fails it if anything is left running.
func inLAN(t *testing.T, test func(*lan), configure ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lan{T: t, sim: hostnet.NewSim(), roster: roster.New()}
		l.serve(configure...)
		test(l)
		if l.stop != nil {
			l.end()
		}
	})
}

func (l *lan) serve(configure ...func(*Config)) {
	host := l.sim.Host(serverAddr)
	ctx, cancel := context.WithCancel(context.Background())
	packet, err1 := host.ListenPacket(ctx, serverPort)
	raw, err2 := host.Listen(ctx, netip.AddrPortFrom(serverAddr, mainPort+1))
	dotNet, err3 := host.Listen(ctx, netip.AddrPortFrom(serverAddr, mainPort+2))
	if err1 != nil || err2 != nil || err3 != nil {
		l.Fatal(err1, err2, err3)
	}
	cfg := Config{Packet: packet, RawList: raw, DotNetList: dotNet, Net: host, Roster: l.roster, Log: testLog(l.T)}
	for _, c := range configure {
		c(&cfg)
	}
	var err error
	if l.server, err = New(cfg); err != nil {
		l.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.server.Run(ctx) }()
	l.stop = func() error { cancel(); return <-ended }
}

func (l *lan) end() {
	l.Helper()
	began := time.Now()
	if err := l.stop(); err != nil {
		l.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		l.Errorf("the end took %v", took)
	}
	if n := l.roster.Len(); n != 0 {
		l.Errorf("%d users are left on the roster", n)
	}
	l.stop = nil
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(1 + n/250), byte(1 + n%250)})
}

// client makes a client that has not logged in, at a host of that number.
func (l *lan) client(host int, name string, d classictest.Dialect, options ...classictest.Option) *classictest.Client {
	c := classictest.NewClient(l.sim.Host(address(host)), name, d, serverPort, options...)
	l.Cleanup(c.Crash)
	return c
}

func (l *lan) login(host int, name string, d classictest.Dialect, options ...classictest.Option) *classictest.Client {
	l.Helper()
	c := l.client(host, name, d, options...)
	ctx, cancel := context.WithTimeout(l.Context(), 10*time.Second)
	defer cancel()
	if err := c.Login(ctx); err != nil {
		l.Fatalf("%s can't log in: %v", name, err)
	}
	return c
}

// names says within how long a client's list must be of these people.
func (l *lan) names(within time.Duration, c *classictest.Client, names ...string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), within)
	defer cancel()
	if err := c.WaitForNames(ctx, names...); err != nil {
		l.Errorf("%s does not see %v within %v: %v", c.Name(), names, within, err)
	}
}

// settle lets time pass.
func (l *lan) settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// send sends a datagram from a host of that number.
func (l *lan) send(host int, text string) {
	l.Helper()
	l.sendRaw(host, []byte(text))
}

func (l *lan) sendRaw(host int, b []byte) {
	l.Helper()
	c, err := l.sim.Host(address(host)).DialPacket(l.Context(), serverPort)
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(b); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
}

// online is the roster, one line each.
func (l *lan) online() string {
	users, _ := l.roster.Snapshot()
	var s strings.Builder
	for _, u := range users {
		fmt.Fprintf(&s, "%d %s %s\n", u.ID, u.Name, u.Endpoint)
	}
	return s.String()
}

// socket is a bare UDP socket on a host.
type socket struct {
	net.PacketConn
	at netip.AddrPort
}

func (l *lan) socket(host int) *socket {
	l.Helper()
	c, err := l.sim.Host(address(host)).ListenPacket(l.Context(), netip.AddrPortFrom(address(host), 0))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	return &socket{c, hostnet.AddrPort(c.LocalAddr())}
}

// received returns what has arrived so far.
func (s *socket) received() []string {
	synctest.Wait()
	var all []string
	buf := make([]byte, 65536)
	for {
		_ = s.SetReadDeadline(time.Now().Add(time.Nanosecond))
		n, _, err := s.ReadFrom(buf)
		if err != nil {
			return all
		}
		text, err := wire.Detect(buf[:n]).Decode(buf[:n])
		if err != nil {
			text = err.Error()
		}
		all = append(all, text)
	}
}

// join brings somebody online by hand, who keeps no list and answers nothing.
func (l *lan) join(host int, name string) *socket {
	l.Helper()
	s := l.socket(host)
	l.send(host, "login,"+name+","+s.at.String())
	l.fetch(host, mainPort+1).Close()
	l.settle(time.Second)
	if got := s.received(); len(got) < 2 || got[0] != "Accept,13278" || got[1] != "alive,"+name+","+s.at.String() {
		l.Fatalf("%s was not let in: %q", name, got)
	}
	return s
}

// fetch opens a list connection.
func (l *lan) fetch(host int, port uint16) net.Conn {
	l.Helper()
	c, err := l.sim.Host(address(host)).Dial(l.Context(), netip.AddrPortFrom(serverAddr, port))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	synctest.Wait()
	return c
}

func udpAddr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }
