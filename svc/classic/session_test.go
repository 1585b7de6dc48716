package classic

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
	"earshot/svc/roster"
)

// Everybody sees everybody come and go, whatever the dialect.
func TestComingAndGoing(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		bo := l.login(2, "波", classictest.UTF8Port)
		cho := l.login(3, "周", classictest.GBPort, classictest.HoldConnection())
		for _, c := range []*classictest.Client{ann, bo, cho} {
			l.names(time.Second, c, "Ann", "波", "周")
		}
		if err := bo.Logout(l.Context()); err != nil {
			l.Fatal(err)
		}
		l.names(time.Second, ann, "Ann", "周")
		l.names(time.Second, cho, "Ann", "周")
		for _, c := range []*classictest.Client{ann, cho} {
			if err := c.Died(); err != nil {
				l.Errorf("%s: %v", c.Name(), err)
			}
		}
	})
}

// The request is forwarded byte for byte, in each reader's encoding, once, and
// never to its sender.
func TestAnnouncedOnceAndNotToOneself(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.join(1, "Ann")
		bo := l.socket(2)
		for range 3 {
			l.send(2, "login,波,"+bo.at.String())
		}
		l.fetch(2, mainPort+1)
		l.send(2, "login,波,"+bo.at.String())
		l.fetch(2, mainPort+1)
		l.settle(500 * time.Millisecond)
		want := "login,波," + bo.at.String()
		if got := slices.DeleteFunc(ann.received(), isAlive); !slices.Equal(got, []string{want}) {
			t.Errorf("Ann heard %q", got)
		}
		got := slices.DeleteFunc(bo.received(), isAlive)
		if !slices.Equal(got, []string{"Accept,13278", "Accept,13278", "Accept,13278", "Accept,13278"}) {
			t.Errorf("波 heard %q", got)
		}
	})
}

func isAlive(s string) bool { return strings.HasPrefix(s, "alive,") }

// Nobody hears of a login whose list was never fetched, and its name is free
// again after a while.
func TestPendingLogin(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.join(1, "Ann")
		bo := l.socket(2)
		l.send(2, "login,Bo,"+bo.at.String())
		l.settle(9 * time.Second)
		other := l.socket(3)
		l.send(3, "login,bo,"+other.at.String())
		if got := other.received(); len(got) != 0 {
			t.Errorf("the name is reserved, and still another got %q", got)
		}
		l.settle(1500 * time.Millisecond)
		l.fetch(2, mainPort+1) // too late
		if got := slices.DeleteFunc(ann.received(), isAlive); len(got) != 0 || l.roster.Len() != 1 {
			t.Errorf("Ann heard %q of somebody who never came", got)
		}
		l.send(3, "login,bo,"+other.at.String())
		if got := other.received(); !slices.Equal(got, []string{"Accept,13278"}) {
			t.Errorf("the name is free, and still the next got %q", got)
		}
	})
}

// A lost Accept or a lost login costs a repeat, not the login.
func TestLostDatagrams(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		lost := 0
		l.sim.Loss(func(from, to netip.AddrPort, b []byte) bool {
			if to == serverPort || to.Addr() == address(2) {
				lost++
				return lost <= 3
			}
			return false
		})
		bo := l.client(2, "Bo", classictest.DotNet)
		if err := bo.Listen(l.Context()); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := bo.SendLogin(l.Context()); err != nil {
				t.Fatal(err)
			}
			l.settle(200 * time.Millisecond)
		}
		l.names(time.Second, bo, "Ann", "Bo")
		l.names(time.Second, ann, "Ann", "Bo")
	})
}

// A raw text connection that was kept is a lease.
func TestLease(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		l.login(2, "Bo", classictest.UTF8Port, classictest.HoldConnection())
		l.settle(leaseTime + time.Second)
		l.sim.CutTCP(address(2))
		l.settle(0)
		l.names(time.Millisecond, ann, "Ann")
	})
}

// One that ends within ten seconds is not, nor is one that can't be told from
// another's.
func TestNoLease(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.login(2, "Bo", classictest.UTF8Port)
		early := l.login(3, "Cho", classictest.UTF8Port, classictest.HoldConnection())
		l.settle(leaseTime - time.Second)
		l.sim.CutTCP(address(3))

		dee, eve := l.socket(4), l.socket(4)
		l.send(4, "login,Dee,"+dee.at.String())
		l.send(4, "login,Eve,"+eve.at.String())
		first, second := l.fetch(4, mainPort+1), l.fetch(4, mainPort+1)
		l.settle(leaseTime + time.Second)
		first.Close()
		second.Close()
		l.settle(4 * time.Second)
		l.names(time.Second, early, "Bo", "Cho", "Dee", "Eve")
	})
}

// Two who logged in together from one address get the same list, and the same
// changes after it.
func TestTogether(t *testing.T) {
	inLAN(t, func(l *lan) {
		a, b := l.client(1, "Ann", classictest.DotNet), l.client(1, "Bo", classictest.DotNet)
		for _, c := range []*classictest.Client{a, b} {
			if err := c.Listen(l.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.SendLogin(l.Context()); err != nil {
				t.Fatal(err)
			}
		}
		l.login(2, "Cho", classictest.UTF8Port)
		for _, c := range []*classictest.Client{a, b} {
			l.names(5*time.Second, c, "Ann", "Bo", "Cho")
		}
	})
}

// A change that happens while the list is read follows it.
func TestChangeDuringList(t *testing.T) {
	inLAN(t, func(l *lan) {
		bo := l.login(2, "Bo", classictest.UTF8Port)
		l.sim.Latency(20 * time.Millisecond)
		ann := l.client(1, "Ann", classictest.DotNet)
		if err := ann.Listen(l.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ann.SendLogin(l.Context()); err != nil {
			t.Fatal(err)
		}
		l.settle(90 * time.Millisecond) // the list is under way
		if err := bo.Logout(l.Context()); err != nil {
			t.Fatal(err)
		}
		l.names(2*time.Second, ann, "Ann")
	})
}

// A crashed program's closed port ends its stay within five seconds.
func TestCrash(t *testing.T) {
	for _, d := range classictest.Dialects {
		t.Run(d.String(), func(t *testing.T) {
			inLAN(t, func(l *lan) {
				ann := l.login(1, "Ann", classictest.DotNet)
				bo := l.login(2, "波", d)
				l.settle(3 * time.Second)
				bo.Crash()
				l.names(5*time.Second, ann, "Ann")
				// Its successor, at another port, comes in at once then.
				again := l.login(2, "波", d)
				l.names(time.Second, again, "Ann", "波")
			})
		})
	}
}

// A program that is back at the same port before anybody noticed keeps its place.
func TestBackAtTheSamePort(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		at := netip.AddrPortFrom(address(2), 9000)
		bo := l.login(2, "Bo", classictest.DotNet, classictest.ListenAt(at))
		bo.Crash()
		l.settle(500 * time.Millisecond)
		again := l.login(2, "Bo", classictest.DotNet, classictest.ListenAt(at))
		l.settle(10 * time.Second)
		l.names(time.Second, again, "Ann", "Bo")
		l.names(time.Second, ann, "Ann", "Bo")
		// Under another name, it is somebody else, and the first is gone.
		again.Crash()
		l.login(2, "Bea", classictest.DotNet, classictest.ListenAt(at))
		l.names(time.Second, ann, "Ann", "Bea")
	})
}

// A program that was killed and is back at another port is let in by the repeat
// of its login: the first one finds out that its predecessor is dead.
func TestBackAtAnotherPort(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		bo := l.login(2, "Bo", classictest.DotNet)
		bo.Crash()
		again := l.client(2, "Bo", classictest.DotNet)
		if err := again.Listen(l.Context()); err != nil {
			l.Fatal(err)
		}
		for range 2 {
			if err := again.SendLogin(l.Context()); err != nil {
				l.Fatal(err)
			}
			l.settle(50 * time.Millisecond)
		}
		l.names(500*time.Millisecond, again, "Ann", "Bo")
		l.names(500*time.Millisecond, ann, "Ann", "Bo")
		if !slices.Contains(ann.List(), classictest.User{Name: "Bo", Endpoint: again.Endpoint()}) {
			l.Errorf("Ann has %v; Bo is at %v", ann.List(), again.Endpoint())
		}
	})
}

// Silence means something only of who has echoed before.
func TestSilence(t *testing.T) {
	inLAN(t, func(l *lan) {
		quiet := l.login(1, "Quiet", classictest.DotNet)
		bo := l.join(2, "Bo")
		echo := "alive,Bo," + bo.at.String()
		for range 30 {
			l.send(2, echo)
			l.settle(2 * time.Second)
		}
		l.sim.Kill(address(2)) // a power cut: no answer of any kind
		l.settle(40 * time.Second)
		l.names(time.Second, quiet, "Quiet", "Bo")
		l.names(10*time.Second, quiet, "Quiet")
		l.settle(10 * time.Minute)
		l.names(time.Second, quiet, "Quiet")
	})
}

// A host that is out of reach is given half a minute.
func TestUnreachable(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.join(1, "Ann")
		l.server.mu.Lock()
		u := l.server.users["ann"]
		l.server.mu.Unlock()
		fail := func() {
			l.server.failed(u, &net.OpError{Op: "write", Err: syscall.EHOSTUNREACH}, time.Now())
		}
		fail()
		l.settle(40 * time.Second) // it was reachable in between
		for range 7 {
			fail()
			l.settle(4 * time.Second)
		}
		if l.roster.Len() != 1 {
			t.Fatal("gone too early")
		}
		l.settle(3 * time.Second)
		fail()
		if l.roster.Len() != 0 {
			t.Error("still there")
		}
	})
}

// A message to everyone arrives unchanged, at its sender too.
func TestGroup(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		bo := l.login(2, "波", classictest.UTF8Port)
		zhou := l.login(3, "周", classictest.GBPort)
		if err := bo.GroupTalk(l.Context(), "大家好"); err != nil {
			t.Fatal(err)
		}
		l.settle(time.Second)
		for _, c := range []*classictest.Client{ann, bo, zhou} {
			if _, err := c.WaitFor(l.Context(), classictest.Says("波", "大家好")); err != nil {
				t.Error(err)
			}
		}
		got := l.join(4, "Dee")
		message := "qunliao,Monday, November 23, 2026,Dee,a, b"
		l.send(4, message)
		if got := slices.DeleteFunc(got.received(), isAlive); !slices.Equal(got, []string{message}) {
			t.Errorf("got %q", got)
		}
	})
}

// The end: everyone hears of their own logout first, then of everyone else's.
func TestFarewell(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann, bo := l.join(1, "Ann"), l.join(2, "Bo")
		ann.received()
		bo.received()
		l.end()
		a, b := "logout,Ann,"+ann.at.String(), "logout,Bo,"+bo.at.String()
		if got := slices.DeleteFunc(ann.received(), isAlive); !slices.Equal(got, []string{a, b}) {
			t.Errorf("Ann heard %q", got)
		}
		if got := slices.DeleteFunc(bo.received(), isAlive); !slices.Equal(got, []string{b, a}) {
			t.Errorf("Bo heard %q", got)
		}
	})
}

// Whom one talks to, in which encoding.
func TestSpeaks(t *testing.T) {
	inLAN(t, func(l *lan) {
		zhou := l.login(1, "周", classictest.GBPort)
		l.join(2, "Bo")
		question := "speaks,周," + zhou.Endpoint().String()
		ask := func(host int) []string {
			s := l.socket(host)
			if _, err := s.WriteTo([]byte(question), net.UDPAddrFromAddrPort(serverPort)); err != nil {
				t.Fatal(err)
			}
			return s.received()
		}
		if got := ask(2); !slices.Equal(got, []string{"speaks,周,gb18030"}) {
			t.Errorf("Bo got %q", got)
		}
		if got := ask(3); len(got) != 0 {
			t.Errorf("a stranger got %q", got)
		}
	})
}

// A fan-out that the log has left behind tells the difference, and no more.
func TestFanOutFallsBehind(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann, bo := l.join(1, "Ann"), l.join(2, "Bo")
		l.settle(time.Second)
		ann.received()
		bo.received()
		// The log's whole length happens, and f has seen none of it.
		for range roster.MaxLog + 1 {
			u, _, err := l.roster.Join("flicker", bo.at)
			if err != nil {
				t.Fatal(err)
			}
			l.roster.Leave(u.ID)
		}
		stays, _, err := l.roster.Join("stays", bo.at)
		if err != nil {
			t.Fatal(err)
		}
		f := &fan{server: l.server, told: map[uint64]roster.User{}}
		users, at := l.roster.Snapshot()
		for _, u := range users[:2] {
			f.told[u.ID] = u
		}
		gone := roster.User{ID: 1 << 40, Name: "gone", Endpoint: bo.at}
		f.told[gone.ID] = gone
		f.at = roster.Position{Epoch: at.Epoch}
		changes, to := f.difference()
		want := []roster.Change{{Seq: at.Seq, Kind: roster.Left, User: gone}, {Seq: at.Seq, Kind: roster.Joined, User: stays}}
		if !slices.Equal(changes, want) || to != at {
			t.Errorf("the difference is %v up to %v", changes, to)
		}
		f.round(l.Context())
		if f.at != at || len(f.told) != 3 {
			t.Errorf("after the round it is at %v with %d people", f.at, len(f.told))
		}
		l.roster.Leave(stays.ID)
	})
}

// A coordinator that listens at the second of its host's addresses answers from
// there, and serves the list there.
func TestListensAtOneOfSeveralAddresses(t *testing.T) {
	inLAN(t, func(l *lan) {
		first, second := address(200), address(201)
		host := l.sim.Host(first, second)
		at := netip.AddrPortFrom(second, mainPort)
		packet, err1 := host.ListenPacket(l.Context(), at)
		raw, err2 := host.Listen(l.Context(), netip.AddrPortFrom(second, mainPort+1))
		dotNet, err3 := host.Listen(l.Context(), netip.AddrPortFrom(second, mainPort+2))
		if err := errors.Join(err1, err2, err3); err != nil {
			l.Fatal(err)
		}
		server, err := New(Config{Packet: packet, RawList: raw, DotNetList: dotNet, Net: host, Roster: roster.New(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			l.Fatal(err)
		}
		ctx, cancel := context.WithCancel(l.Context())
		done := make(chan error, 1)
		go func() { done <- server.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				l.Error(err)
			}
		}()
		ann := classictest.NewClient(l.sim.Host(address(1)), "Ann", classictest.DotNet, at)
		defer ann.Crash()
		within, stop := context.WithTimeout(l.Context(), 10*time.Second)
		defer stop()
		if err := ann.Login(within); err != nil {
			l.Fatal(err)
		}
		if e, err := ann.WaitFor(within, func(e classictest.Event) bool { return e.Verb == "Accept" }); err != nil || e.From.Addr() != second {
			l.Errorf("Accept came from %v, not %v (%v)", e.From, second, err)
		}
	})
}
