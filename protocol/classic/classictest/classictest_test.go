package classictest_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	. "earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBoth runs f on the operating system's network and on a simulated one, with
// the addresses of a server's and two clients' hosts.
func onBoth(t *testing.T, f func(t *testing.T, nets [3]hostnet.Net, server netip.Addr)) {
	t.Run("os", func(t *testing.T) {
		f(t, [3]hostnet.Net{hostnet.OS, hostnet.OS, hostnet.OS}, netip.MustParseAddr("127.0.0.1"))
	})
	t.Run("sim", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := hostnet.NewSim()
			sim.Latency(time.Millisecond)
			var nets [3]hostnet.Net
			addr := netip.MustParseAddr("10.0.0.1")
			for i, a := 0, addr; i < len(nets); i, a = i+1, a.Next() {
				nets[i] = sim.Host(a)
			}
			f(t, nets, addr)
		})
	})
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConversation(t *testing.T) {
	onBoth(t, func(t *testing.T, nets [3]hostnet.Net, at netip.Addr) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		server := NewServer(nets[0], netip.AddrPortFrom(at, 0))
		try(t, server.Start(ctx))
		defer server.Close()
		ann := NewClient(nets[1], "Ann", DotNet, server.Address())
		bo := NewClient(nets[2], "博", DotNet, server.Address())
		defer ann.Crash()
		defer bo.Crash()

		try(t, ann.Login(ctx))
		try(t, bo.Login(ctx))
		try(t, bo.WaitForNames(ctx, "Ann", "博"))
		_, err := ann.WaitFor(ctx, Is("login", "博"))
		try(t, err)
		try(t, ann.Talk(ctx, "博", "hello 😀, and more"))
		_, err = bo.WaitFor(ctx, Says("Ann", "hello 😀"))
		try(t, err)
		try(t, bo.GroupTalk(ctx, "all"))
		for _, c := range []*Client{ann, bo} {
			_, err = c.WaitFor(ctx, Says("博", "all"))
			try(t, err)
		}
		try(t, bo.Logout(ctx))
		_, err = ann.WaitFor(ctx, Is("logout", "博"))
		try(t, err)
		try(t, ann.WaitForNames(ctx, "Ann"))
		if err := ann.Talk(ctx, "博", "gone?"); err == nil {
			t.Error("Ann still finds the one who left")
		}
		try(t, errors.Join(ann.Died(), server.Died()))
	})
}

// TestFragile holds that everything dies that would, and of nothing else.
func TestFragile(t *testing.T) {
	cases := []struct {
		name     string
		dialect  Dialect
		datagram []byte
		dies     bool
	}{
		{"unknown verb", DotNet, DotNet.Encode("alive,Ann,10.0.0.1:5"), false},
		{"utf-8 to .NET", DotNet, []byte("login,Ann,10.0.0.1:5"), true},
		{"odd bytes to .NET", DotNet, []byte("l\x00o"), true},
		{".NET to utf-8", UTF8Port, DotNet.Encode("login,Ann,10.0.0.1:5"), true},
		{"gb18030 to utf-8", UTF8Port, GBPort.Encode("login,张,10.0.0.1:5"), true},
		{"well-formed", GBPort, GBPort.Encode("login,张,10.0.0.1:5"), false},
		{"too few fields", UTF8Port, []byte("login,Ann"), true},
		{"too many fields", UTF8Port, []byte("login,A,n,10.0.0.1:5"), true},
		{"short talk", DotNet, DotNet.Encode("talk,12:00:00,Ann"), true},
		{"no endpoint", UTF8Port, []byte("logout,Ann,nowhere"), true},
		{"no port", DotNet, DotNet.Encode("Accept,soon"), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				host := sim.Host(netip.MustParseAddr("10.0.0.1"))
				client := NewClient(host, "x", c.dialect, netip.MustParseAddrPort("10.0.0.1:13277"))
				try(t, client.Listen(t.Context()))
				defer client.Crash()
				try(t, client.SendRaw(t.Context(), client.Endpoint(), c.datagram))
				synctest.Wait()
				if err := client.Died(); (err != nil) != c.dies || c.dies && !errors.Is(err, ErrDied) {
					t.Errorf("died of %v, want death: %t", err, c.dies)
				}
			})
		})
	}
}

// TestServerSilenced holds that one foreign datagram ends a server's service.
func TestServerSilenced(t *testing.T) {
	onBoth(t, func(t *testing.T, nets [3]hostnet.Net, at netip.Addr) {
		server := NewServer(nets[0], netip.AddrPortFrom(at, 0))
		try(t, server.Start(t.Context()))
		defer server.Close()
		clumsy := NewClient(nets[1], "clumsy", UTF8Port, server.Address())
		defer clumsy.Crash()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := clumsy.Login(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the login ended with %v", err)
		}
		if err := server.Died(); !errors.Is(err, ErrDied) {
			t.Errorf("the server died of %v", err)
		}
	})
}

// TestHeldConnection runs against a server by hand, since textbook servers
// always close.
func TestHeldConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, nets [3]hostnet.Net, at netip.Addr) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		lists, err := nets[0].Listen(ctx, netip.AddrPortFrom(at, 0))
		try(t, err)
		defer lists.Close()
		client := NewClient(nets[1], "张", GBPort, netip.AddrPortFrom(at, 9), HoldConnection())
		try(t, client.Listen(ctx))
		defer client.Crash()
		sender := NewClient(nets[0], "server", GBPort, client.Endpoint())
		try(t, sender.Listen(ctx))
		defer sender.Crash()
		port := hostnet.AddrPort(lists.Addr()).Port()
		try(t, sender.Send(ctx, client.Endpoint(), "Accept,"+netip.AddrPortFrom(at, port).String()[len(at.String())+1:]))
		conn, err := lists.Accept()
		try(t, err)
		for _, b := range GBPort.Encode("张,10.0.0.7:80;end") {
			_, err := conn.Write([]byte{b})
			try(t, err)
		}
		try(t, client.WaitForNames(ctx, "张"))
		conn.Close()
		_, err = client.WaitFor(ctx, func(e Event) bool { return e.Verb == "closed" })
		try(t, err)
	})
}
