package e2e

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

func textbook(t testing.TB, c netip.AddrPort, name string, d classictest.Dialect, options ...classictest.Option) *classictest.Client {
	t.Helper()
	k := classictest.NewClient(hostnet.OS, name, d, c, options...)
	t.Cleanup(k.Crash)
	if err := k.Login(within(t)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return k
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Programs as found in the field, one of each dialect, and a client of ours
// stand on one roster, talk in every direction, and see each other go, whether
// by goodbye, crash or lost lease. None of the fragile ones dies of what it
// gets.
func TestTextbookProgramsOnOneRoster(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	net := textbook(t, c.addr, "NetUser", classictest.DotNet)
	utf := textbook(t, c.addr, "Utf 波", classictest.UTF8Port, classictest.HoldConnection())
	gb := textbook(t, c.addr, "国标", classictest.GBPort)
	programs := []*classictest.Client{net, utf, gb}

	for _, k := range programs {
		if err := k.WaitForNames(within(t), "Ann", "NetUser", "Utf 波", "国标"); err != nil {
			t.Errorf("%s: %v", k.Name(), err)
		}
		ann.waitOnline(t, k.Name(), true)
	}
	for _, k := range programs {
		// The first words to somebody whose encoding Ann has not seen yet.
		ann.must(t, "send", k.Name(), "你好, "+k.Name())
		if _, err := k.WaitFor(within(t), classictest.Says("Ann", "你好， "+k.Name())); err != nil {
			t.Errorf("%s: %v", k.Name(), err)
		}
		if err := k.Talk(within(t), "Ann", "早上好"); err != nil {
			t.Fatal(err)
		}
		ann.waitMessage(t, k.Name(), "早上好")
	}
	if err := gb.GroupTalk(within(t), "大家好"); err != nil {
		t.Fatal(err)
	}
	ann.waitMessage(t, "国标", "大家好")
	for _, k := range programs {
		if _, err := k.WaitFor(within(t), classictest.Says("国标", "大家好")); err != nil {
			t.Errorf("%s: %v", k.Name(), err)
		}
	}

	if err := net.Logout(within(t)); err != nil {
		t.Fatal(err)
	}
	ann.wait(t, "NetUser's logout", isLogout("NetUser"))
	gone := time.Now()
	gb.Crash()
	ann.wait(t, "国标's logout", isLogout("国标"))
	t.Logf("a crashed textbook client left the roster after %v", time.Since(gone).Round(time.Millisecond))
	if err := utf.Died(); err != nil {
		t.Error(err)
	}
}

// A coordinator that knows nothing but the textbook, and dies of anything else,
// serves our client too.
func TestTextbookCoordinator(t *testing.T) {
	base := freePorts(t, 4)
	server := classictest.NewServer(hostnet.OS, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), base))
	if err := server.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	c := &coordinator{addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), base)}
	ann := startClient(t, c, "Ann", "auto")
	bo := startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
	ann.must(t, "send", bo.name, "through a stranger")
	bo.waitMessage(t, ann.name, "through a stranger")
	bo.term(t)
	ann.wait(t, "Bo's logout", isLogout(bo.name))
	if err := server.Died(); err != nil {
		t.Errorf("the textbook coordinator died of us: %v", err)
	}
}
