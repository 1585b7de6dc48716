package identity_test

import (
	"crypto/tls"
	"encoding/hex"
	"testing"

	"earshot/protocol/identity"
)

// Who has been there is back by ticket, as whom it was, as long as the secret is
// the same; without one nobody is.
func TestResumable(t *testing.T) {
	ours, theirs := identity.NewKey(), identity.NewKey()
	server := func(secret [32]byte) *tls.Config {
		config := identity.ServerTLS(theirs.Certificate(), identity.ALPNControl, nil)
		if secret != [32]byte{} {
			identity.Resumable(config, secret)
		}
		return config
	}
	one, other := theirs.Secret("one"), theirs.Secret("other")
	for _, c := range []struct {
		name          string
		first, second [32]byte
		resumed       bool
	}{
		{"the same secret", one, one, true},
		{"another secret", one, other, false},
		{"no secret any more", one, [32]byte{}, false},
		{"no secret", [32]byte{}, [32]byte{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := identity.ClientTLS(ours.Certificate(), identity.ALPNControl, identity.Expect(theirs.Public()))
			client.ClientSessionCache, client.ServerName = tls.NewLRUClientSessionCache(1), "chat.example"
			for i, secret := range [][32]byte{c.first, c.second, c.second} {
				s, mine, serverErr, clientErr := handshake(t, server(secret), client)
				if serverErr != nil || clientErr != nil {
					t.Fatal(serverErr, clientErr)
				}
				if want := i == 1 && c.resumed || i == 2 && c.second != [32]byte{}; s.DidResume != want || mine.DidResume != want {
					t.Errorf("connection %d was resumed: %v", i, s.DidResume)
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
