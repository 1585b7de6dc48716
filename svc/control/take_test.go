package control

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Connections that come in by another way are served under the same limits, and
// whoever brought them is told of their end.
func TestTake(t *testing.T) {
	inWorld(t, func(w *world) {
		other := netip.AddrPortFrom(w.addr.Addr(), 443)
		l, err := w.sim.Host(other.Addr()).Listen(w.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan net.Addr, 10)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					w.server.Take(w.Context(), conn)
					ended <- conn.RemoteAddr()
				}()
			}
		}()
		defer l.Close()
		login := func(name string, key identity.Key) *client {
			c := newClient(w, w.sim.Host(address(1)), other, name, key)
			c.sendHello()
			return c
		}
		key := identity.NewKey()
		ann := login("Ann", key)
		ann.sees("Ann")
		bo := w.login(2, "Bo")
		ann.sees("Ann", "Bo")
		ann.ping()
		select {
		case at := <-ended:
			t.Errorf("%v is said to have ended", at)
		default:
		}
		again := login("Ann", key) // replaces the first one, which is told so
		ann.isRefused(wire.Refused_CODE_REPLACED)
		again.sees("Ann", "Bo")
		at := hostnet.AddrPort(<-ended)
		if at.Addr() != address(1) {
			t.Errorf("what has ended came from %v", at)
		}
		login("Bo", identity.NewKey()).isRefused(wire.Refused_CODE_NAME_TAKEN)
		<-ended
		again.close()
		<-ended
		bo.sees("Bo")

		// One too many of an address is closed at once.
		var held []net.Conn
		for range 3 {
			conn, err := w.sim.Host(address(3)).Dial(w.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
		}
		<-ended
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("more than one of three connections were closed, and two may be open")
		}
		for _, conn := range held {
			conn.Close()
		}
		<-ended
		<-ended
	}, func(c *Config) { c.Limits.MaxHandshakesPerAddress = 2 })
}
