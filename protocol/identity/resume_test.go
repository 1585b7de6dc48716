package identity_test

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"testing"

	"earshot/protocol/identity"
)

// Who has been there is back by ticket, as whom it was and at a smaller price, as
// long as the secret is the same. Once it isn't, nobody relies on the small price
// alone.
func TestResumable(t *testing.T) {
	ours, theirs := identity.NewKey(), identity.NewKey()
	server := func(secret [32]byte) *tls.Config {
		config := identity.ServerTLS(theirs.Certificate(), identity.ALPNControl, nil)
		if secret != [32]byte{} {
			identity.Resumable(config, [][32]byte{secret})
		}
		return config
	}
	one, other := theirs.Secret("one"), theirs.Secret("other")
	const full, resumed, refused = "full", "resumed", "refused"
	for _, c := range []struct {
		name          string
		first, second [32]byte
		then          []string // the connections to the second
	}{
		{"the same secret", one, one, []string{resumed, resumed}},
		{"another secret", one, other, []string{refused, full, resumed}},
		{"no secret any more", one, [32]byte{}, []string{refused, full, full}},
		{"no secret", [32]byte{}, [32]byte{}, []string{full, full}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tickets := tls.NewLRUClientSessionCache(1)
			secret := c.first
			for i, want := range append([]string{full}, c.then...) {
				client := identity.ClientTLS(ours.Certificate(), identity.ALPNControl, identity.Expect(theirs.Public()))
				client.ServerName = "chat.example"
				identity.Resuming(client, tickets)
				s, mine, serverErr, clientErr := handshake(t, server(secret), client)
				secret = c.second
				if want == refused {
					if !errors.Is(clientErr, identity.ErrTicket) || !errors.Is(clientErr, identity.ErrPeer) {
						t.Errorf("connection %d: %v", i, clientErr)
					}
					continue
				}
				if serverErr != nil || clientErr != nil {
					t.Fatal(i, serverErr, clientErr)
				}
				curve := tls.X25519MLKEM768
				if want == resumed {
					curve = tls.CurveP256
				}
				if s.DidResume != (want == resumed) || mine.DidResume != s.DidResume || s.CurveID != curve {
					t.Errorf("connection %d was resumed: %v, by %v", i, s.DidResume, s.CurveID)
				}
				if key, err := identity.PeerKey(s); key != ours.Public() || err != nil {
					t.Errorf("connection %d is of %v, %v", i, key, err)
				}
			}
		})
	}
}

// A secret is the same for a key and a purpose, for ever: tickets outlive an update.
func TestSecret(t *testing.T) {
	k := key8410(t)
	const want = "890bef416fb4d4237336176c124ecdbe07d16fdc3f4cdc6bb54e41dc9569854d"
	got := k.Secret("session tickets")
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("the secret is %x", got)
	}
	if got == k.Secret("session ticket") || got == identity.NewKey().Secret("session tickets") {
		t.Error("it is another's, too")
	}
}
