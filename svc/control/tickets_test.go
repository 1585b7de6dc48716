package control

import (
	"crypto/tls"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// A device is back by ticket as the device that it was; one that was removed
// meanwhile is not let in by it.
func TestTickets(t *testing.T) {
	inWorld(t, func(w *world) {
		key := identity.NewKey()
		config := identity.ClientTLS(key.Certificate(), identity.ALPNControl, nil)
		config.ClientSessionCache, config.ServerName = tls.NewLRUClientSessionCache(1), "chat.example"
		login := func() (*wire.ToClient, bool) {
			w.Helper()
			conn := tls.Client(w.connect(1), config)
			defer conn.Close()
			hello := &wire.Hello{VersionMin: 1, VersionMax: 1, Name: "Ann"}
			if _, err := conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}})); err != nil {
				w.Fatal(err)
			}
			m := new(wire.ToClient)
			if err := wire.Read(conn, wire.MaxToClient, m); err != nil {
				w.Fatal(err)
			}
			return m, conn.ConnectionState().DidResume
		}
		if m, resumed := login(); m.GetWelcome() == nil || resumed {
			w.Fatalf("the first login is answered by %v, resumed: %v", m, resumed)
		}
		m, resumed := login()
		if in := m.GetWelcome(); in == nil || !resumed || in.Account.Name != "Ann" {
			w.Fatalf("the second login is answered by %v, resumed: %v", m, resumed)
		}
		if err := w.accounts.RemoveDevice(w.Context(), "Ann", key.Public()); err != nil {
			w.Fatal(err)
		}
		if m, resumed := login(); m.GetRefused().GetCode() != wire.Refused_CODE_DEVICE_REMOVED || !resumed {
			w.Errorf("who was removed is answered by %v, resumed: %v", m, resumed)
		}
	}, func(c *Config) { c.Tickets = func() [][32]byte { return [][32]byte{{1}} } })
}

// The secrets are asked for each hour: what the one before has given is taken as
// long as it is among them.
func TestTicketSecretsChange(t *testing.T) {
	var secrets atomic.Pointer[[][32]byte]
	inWorld(t, func(w *world) {
		config := identity.ClientTLS(identity.NewKey().Certificate(), identity.ALPNCheck, nil)
		config.ClientSessionCache, config.ServerName = tls.NewLRUClientSessionCache(1), "chat.example"
		resumed := func() bool {
			w.Helper()
			conn := tls.Client(w.connect(1), config)
			defer conn.Close()
			_, _ = io.Copy(io.Discard, conn) // until the ticket has come, and the end
			return conn.ConnectionState().DidResume
		}
		resumed()
		for _, step := range []struct {
			secrets [][32]byte
			wait    time.Duration
			resumed bool
		}{
			{[][32]byte{{1}}, 0, true},
			{[][32]byte{{2}, {1}}, time.Hour, true},
			{[][32]byte{{2}}, time.Hour, true},
			{[][32]byte{{3}}, 59 * time.Minute, true},
			{[][32]byte{{3}}, time.Minute, false},
		} {
			secrets.Store(&step.secrets)
			<-time.After(step.wait)
			if got := resumed(); got != step.resumed {
				w.Errorf("with the secrets %v a client is back by ticket: %v", step.secrets, got)
			}
		}
	}, func(c *Config) {
		secrets.Store(&[][32]byte{{1}})
		c.Tickets = func() [][32]byte { return *secrets.Load() }
	})
}
