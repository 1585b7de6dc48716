package control

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
)

// A client that comes again does so by ticket.
func TestTickets(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		if p.conn.ConnectionState().DidResume {
			t.Error("the first connection is by ticket")
		}
		p.conn.Close()
		b.lost(time.Second)
		if p = b.login(7, 41); !p.conn.ConnectionState().DidResume {
			t.Error("the second connection is not by ticket")
		}
	})
}

// refusedBy takes the client's next connection, as a coordinator whom it refuses.
func (b *bed) refusedBy(config *tls.Config) {
	b.Helper()
	raw, err := b.listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	if err := tls.Server(raw, config).HandshakeContext(b.Context()); err == nil {
		// Only what comes next tells the coordinator that it was refused.
		_, _ = raw.Read(make([]byte, 1))
	}
}

// A coordinator that has forgotten its secret takes no ticket of before: the
// client comes once more at once, without one.
func TestTicketRefused(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		b.login(7, 40).conn.Close()
		b.lost(time.Second)
		next[Connecting](b, time.Minute)
		forgetful := theirTLS()
		identity.Resumable(forgetful, [][32]byte{theirKey.Secret("other tickets")})
		b.refusedBy(forgetful)
		p := b.accept()
		if state := p.conn.ConnectionState(); state.DidResume || state.CurveID != tls.X25519MLKEM768 {
			b.Errorf("the client comes by ticket: %v, and %v", state.DidResume, state.CurveID)
		}
		b.quiet(0)
	})
}

// What the coordinator showed then may not be right any more: the client comes
// once more, to see what it shows now.
func TestTicketOfBefore(t *testing.T) {
	expired := fmt.Errorf("%w: the certificate has expired", p2p.ErrIdentity)
	inBed(t, func(b *bed) {
		b.start()
		b.login(7, 40).conn.Close()
		b.lost(time.Second)
		next[Connecting](b, time.Minute)
		b.refusedBy(theirTLS())
		if d := next[Disconnected](b, time.Second); !errors.Is(d.Cause, expired) {
			b.Errorf("the client tells %+v", d)
		}
		if p := b.login(7, 41); p.conn.ConnectionState().DidResume {
			b.Error("the client comes by the same ticket again")
		}
	}, func(c *Config) {
		verify := c.Verify
		c.Verify = func(state tls.ConnectionState) error {
			if state.DidResume {
				return expired
			}
			return verify(state)
		}
	})
}
